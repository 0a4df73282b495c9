use v5.36;
use utf8;
use Test2::V0;
use Cwd ();
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib";
use HTTP::Request::Common qw(POST);
use LWP::UserAgent;
use PAGITest::Backends qw(server_binary);
use PAGITest::Peer;
use PAGITest::ServerClient;
use PAGITest::ServerProcess;

# The examples psgi-bridge and cgi.

my $TOP = Cwd::abs_path("$FindBin::Bin/../../..");
my $book = File::Temp->new;
my %env = (PERL5LIB => join(':', "$TOP/perl-runtime/lib", grep { defined } $ENV{PERL5LIB}), GUESTBOOK => "$book");
my $ua = LWP::UserAgent->new(max_redirect => 0, no_proxy => ['127.0.0.1'], keep_alive => 2);

sub bridge_ok ($port) {
    my $base = "http://127.0.0.1:$port";
    is $ua->get("$base/?name=Ann")->content, "Hello, Ann\n", 'a page';
    my $answer = $ua->get("$base/count");
    is $answer->content, "1\n2\n3\n", 'a stream';
    is $ua->request(POST "$base/upload", Content_Type => 'form-data', Content => [file => [undef, 'a.bin', Content => 'x' x 500_000]])->content, "a.bin 500000\n", 'an upload';
    is $ua->request(POST "$base/upload", [])->code, 400, 'none';
    my $css = $ua->get("$base/static/style.css");
    is [$css->code, $css->header('Content-Type') =~ s/;.*//r, $css->header('Content-Length')], [200, 'text/css', 22], 'a file';
    is $ua->get("$base/static/../app.psgi")->code, 403, 'not that one';
    my $head = $ua->head("$base/?name=Ann");
    is [$head->header('Content-Length'), $head->content], [11, ''], 'HEAD';
}

subtest 'psgi-bridge under Starman' => sub {
    my $peer = PAGITest::Peer->new(starman => "$TOP/examples/psgi-bridge/app.psgi");
    bridge_ok($peer->port);
};

my $binary = server_binary();
ok defined $binary || !$ENV{PAGI_REQUIRE_SERVER}, 'there is a pagi-server to run';
for my $args (defined $binary ? ([], ['--pool', 2], ['--workers', 2]) : ()) {
    subtest "psgi-bridge under pagi-server @$args" => sub {
        my $server = PAGITest::ServerProcess->new(binary => $binary, args => [@$args, '--port', 0, "$TOP/examples/psgi-bridge/app.psgi"], env => \%env);
        bridge_ok($server->port);
    };
}

subtest cgi => sub {
    my $server = PAGITest::ServerProcess->new(binary => $binary, args => ['--port', 0, "$TOP/examples/cgi/app.pl"], env => \%env);
    my $client = PAGITest::ServerClient->new(port => $server->port);
    like $client->get('/')->content, qr/Guestbook/, 'the page';
    my %seen = map { /\A(\w+)=(.*)/ ? ($1 => $2) : () } split /\n/, $client->get('/cgi-bin/environment/extra/path?a=b')->content;
    is { map { $_ => $seen{$_} } qw(SCRIPT_NAME PATH_INFO QUERY_STRING REQUEST_METHOD GATEWAY_INTERFACE) },
        { SCRIPT_NAME => '/cgi-bin/environment', PATH_INFO => '/extra/path', QUERY_STRING => 'a=b', REQUEST_METHOD => 'GET', GATEWAY_INTERFACE => 'CGI/1.1' }, 'the environment';
    for my $name ('Ann', 'Zoë <b>') {
        my $answer = $client->post('/cgi-bin/guestbook', form => { name => $name });
        is [$answer->status, $answer->location], [303, '/cgi-bin/guestbook'], "$name signs";
    }
    is [$client->get('/cgi-bin/guestbook')->text =~ m{<li>(.*)</li>}g], ['Ann', 'Zoë &lt;b>'], 'and is remembered';
} if defined $binary;

done_testing;
