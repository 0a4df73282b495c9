# IO::Async's own tests of a loop class, run inside a worker: /io, /timer, ...
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use IO::Async::LoopTests ();
use Tap;

tap_app(map {
    my $name = $_;
    $name => sub { IO::Async::LoopTests::run_tests('PAGI::Native::IOAsyncLoop', $name) };
} qw(io timer signal idle process control metrics));
