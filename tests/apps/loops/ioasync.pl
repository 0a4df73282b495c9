# IO::Async's own tests of a loop class, run inside a worker: /io, /timer, ...
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use IO::Async::LoopTests ();
use Tap;

sub run { return IO::Async::LoopTests::run_tests('PAGI::Native::IOAsyncLoop', @_) }

# These send TERM to themselves, which stops a server. While the file is loaded there is none yet.
tap_to_file($ENV{SIGNAL_TESTS}, sub { run('signal') }) if defined $ENV{SIGNAL_TESTS};

tap_app(map { my $name = $_; $name => sub { run($name) } } qw(io timer idle process control metrics));
