use v5.36;
use Test2::V0;
use Cwd ();
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib";
use PAGITest::Backends qw(server_binary);
use PAGITest::Browser qw(browse);
use PAGITest::Notes qw(notes_ok);
use PAGITest::Peer;
use PAGITest::ServerProcess;

# One application, three frameworks: everybody's server has to answer the same.

my $TOP = Cwd::abs_path("$FindBin::Bin/../../..");
my %env = (PERL5LIB => join ':', "$TOP/perl-runtime/lib", grep { defined } $ENV{PERL5LIB});
# What each is written for, and what it can do there.
my %of = (catalyst => ['app.psgi', starman => 0], dancer2 => ['app.psgi', starman => 0], mojolicious => ['app.pl', mojolicious => 1]);

my $dir = File::Temp->newdir;
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $dir/key.pem -out $dir/cert.pem -days 2 -subj /CN=localhost "
    . '-addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null') == 0 or die 'openssl made no certificate';

my $binary = server_binary();
ok defined $binary || !$ENV{PAGI_REQUIRE_SERVER}, 'there is a pagi-server to run';

for my $framework (sort keys %of) {
    my ($file, $kind, $live) = @{ $of{$framework} };
    my $app = "$TOP/examples/$framework/$file";
    subtest "$framework under its own server" => sub {
        my $peer = PAGITest::Peer->new($kind => $app);
        notes_ok($peer->port, live => $live);
        browse('framework_notes', 'http://127.0.0.1:' . $peer->port . '/', $live) or diag $peer->log;
        $peer->stop;
    };
    next unless defined $binary;
    my @setups = $framework eq 'mojolicious' ? ([], ['--workers', 2]) : (['--workers', 2, '--pool', 2], []);
    for my $args (@setups) {
        subtest "$framework under pagi-server @$args" => sub {
            my $server = PAGITest::ServerProcess->new(binary => $binary, args => ['-E', 'production', @$args, '--port', 0, $app], env => \%env);
            notes_ok($server->port, live => 1);
            browse('framework_notes', 'http://127.0.0.1:' . $server->port . '/', 1) or diag $server->log if $args == $setups[0];
            unlike $server->log, qr/ ERROR (?!.*(?:on purpose|fail))/, 'nothing went wrong unseen' or diag $server->log;
            $server->stop;
        };
    }
    # Chromium speaks HTTP/2 then, for its WebSocket too (RFC 8441).
    subtest "$framework over TLS and HTTP/2" => sub {
        my $server = PAGITest::ServerProcess->new(binary => $binary, env => \%env,
            args => ['-E', 'production', @{ $setups[0] }, '--ssl-cert', "$dir/cert.pem", '--ssl-key', "$dir/key.pem", '--access-log', "$dir/$framework.log", '--port', 0, $app]);
        browse('framework_notes', 'https://127.0.0.1:' . $server->port . '/', 1) or diag $server->log;
        $server->stop;
        open my $log, '<', "$dir/$framework.log" or die "no access log: $!";
        like join('', readline $log), qr{"CONNECT /shout" 200}, 'a WebSocket over HTTP/2';
    };
}

done_testing;
