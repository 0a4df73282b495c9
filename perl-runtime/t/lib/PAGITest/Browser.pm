package PAGITest::Browser;

# Headless Chromium as a client: see tests/browser/README.md.
#
#     use PAGITest::Browser qw(browse);
#     browse('periodic_events', "http://127.0.0.1:$port/");    # one ok()

use strict;
use warnings;

use Cwd ();
use Exporter qw(import);
use File::Basename ();
use Test2::API ();

our @EXPORT_OK = qw(browse);

my $RUN = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../../../tests/browser/run');

# A scenario of tests/browser/scenarios, by name without .py, or the path of a file that ends in .py.
sub browse {
    my ($scenario, $url, @arguments) = @_;
    my $context = Test2::API::context();
    my $pid = open my $output, '-|';
    die "Cannot fork: $!\n" unless defined $pid;
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec $RUN, $scenario, $url, @arguments or die "Cannot run $RUN: $!\n";
    }
    my @said = <$output>;
    my $ok = close $output;
    $context->ok($ok, "$scenario in a browser", ["$RUN $scenario $url", @said]);
    $context->release;
    return $ok;
}

1;
