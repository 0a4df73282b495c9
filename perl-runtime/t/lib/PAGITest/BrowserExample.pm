package PAGITest::BrowserExample;

# An example with a page: started on the real server, looked at with a browser.
#
#     browser_example('simple/chat', 'simple_chat', '--workers', 4);

use v5.36;
use Cwd ();
use Exporter qw(import);
use File::Basename ();
use PAGITest::Backends qw(server_binary);
use PAGITest::Browser qw(browse);
use PAGITest::ServerProcess;
use Test2::V0;

our @EXPORT_OK = qw(browser_example);

my $TOP = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../../..');

sub browser_example ($example, $scenario, @args) {
    subtest $example => sub {
        my $binary = server_binary();
        if (!defined $binary) {
            ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
            return;
        }
        my $server = PAGITest::ServerProcess->new(
            binary => $binary,
            args   => [ @args, '--port', 0, "$TOP/examples/$example/app.pl" ],
            env    => { PAGI_ENV => 'test', PERL5LIB => join ':', "$TOP/perl-runtime/lib", $ENV{PERL5LIB} // () },
        );
        browse($scenario, 'http://127.0.0.1:' . $server->port . '/') or diag $server->log;
        $server->stop;
    };
    return;
}

1;
