use strict;
use warnings;

(my $file = __FILE__) =~ s{[^/]*\z}{hello.psgi};
do $file;
