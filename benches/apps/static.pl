use strict;
use warnings;
use Future::AsyncAwait;

# Never called: harness/contender.py starts the server with --static for all paths.
async sub { die "the file is served without the application\n" };
