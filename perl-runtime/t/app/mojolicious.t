use v5.36;
use utf8;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use PAGI::App::Mojolicious;
use Time::HiRes qw(sleep time);

# A Mojolicious script, as it is, under the server.

like dies { PAGI::App::Mojolicious->new }, qr/\APAGI::App::Mojolicious needs one of app, class and file at \Q$0\E/, 'nothing given';
like dies { PAGI::App::Mojolicious->new(app => 'x') }, qr/must be an application object/, 'no object';
like dies { PAGI::App::Mojolicious->new(class => 'No::Such') }, qr/Can't find application class "No::Such"/, 'no class';
like dies { PAGI::App::Mojolicious->new(class => 'X', wrong => 1) }, qr/Unknown options.*wrong/, 'a wrong option';

my $script = "$FindBin::Bin/apps/mojolicious.pl";
my $binary = server_binary();
if (!defined $binary) {
    ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
    done_testing;
    exit;
}
my %env = (PERL5LIB => join ':', "$FindBin::Bin/../../lib", grep { defined } $ENV{PERL5LIB});
my $server = PAGITest::ServerProcess->new(binary => $binary, args => ['-E', 'production', '--port', 0, $script], env => \%env);
my $client = PAGITest::ServerClient->new(port => $server->port);

sub eventually ($code, $expected, $name) {
    my $deadline = time + 20;
    my $got;
    while (time < $deadline) {
        $got = $code->();
        last if $got eq $expected;
        sleep 0.05;
    }
    is $got, $expected, $name;
}
sub logged ($key) { return sub { $client->get("/log/$key")->content } }

subtest requests => sub {
    is $client->get('/?n=5')->content, '5 /x / 127.0.0.1', 'parameters, urls, addresses';
    is $client->get('/mode')->content, 'production', 'the mode of the server';
    is $client->get('/started')->content, 'Mojo::Server', 'before_server_start has run';
    is $client->post('/echo', body => 'x' x 500_000)->content, 'x' x 500_000, 'a large body';
    my $chunked = PAGITest::Wire->new($server->port);
    $chunked->write("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    my $head = $chunked->read_head;
    is [$chunked->read_body($head, 'POST')], ['abcdefg', 1], 'a chunked one';
    my $type = 'multipart/form-data; boundary=XX';
    my $form = join "\r\n", '--XX', 'Content-Disposition: form-data; name="name"', '', 'Ann', '--XX',
        'Content-Disposition: form-data; name="file"; filename="a.txt"', 'Content-Type: text/plain', '', 'y' x 300_000, '--XX--', '';
    is $client->post('/form', headers => [['content-type', $type]], body => $form)->content, 'Ann a.txt 300000', 'an upload';
    my $response = $client->get('/session');
    is [$response->content, [$response->header_all('x-two')]], [1, ['a', 'b']], 'a new session; repeated headers';
    is $client->get('/session')->content, 2, 'its cookie';
    is [$client->get('/redirect')->status, $client->get('/redirect')->location], [302, '/x'], 'a redirection';
    is $client->head('/')->content, '', 'HEAD';
    $response = $client->get('/die');
    is $response->status, 500, 'an exception';
    like $response->content, qr/Internal Server Error|page is missing|Oops|Error/i, 'in Mojolicious\'s words';
    like $server->log, qr/on purpose/, 'and logged';
    is $client->get('/nope')->status, 404, 'no route';
    is $client->post('/echo', body => 'x' x 17_000_000)->status, 413, 'Mojolicious\'s limit';
};

subtest 'responses that take their time' => sub {
    is $client->get('/later')->content, 'later', 'delayed';
    is $client->get('/promise')->content, 'got later', 'a promise, and a request to itself';
    is $client->get('/chunks')->content, "part 1\npart 2\npart 3\n", 'chunks';
    my $file = $client->get('/file');
    is length $file->content, -s $script, 'a file';
    is $client->get('/file', headers => [['range', 'bytes=0-0']])->content, 'u', 'the first byte of it';
    is $client->get('/file', headers => [['range', 'bytes=4-12']])->content, 'Mojolicio', 'a range';
    is $client->sse('/events')->receive_event->{data}, 0, 'an event stream';
    eventually(logged('events'), 'finished', 'which ends when the client goes');
    my $slow = PAGITest::Wire->new($server->port);
    $slow->write("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    $slow->read_head;
    sleep 0.5;
    my $left = logged('big')->();
    cmp_ok $left, '>', 50, "a client that does not read holds the application up ($left of 200 left)";
    my $ended = 0;
    for my $accept ('*/*', 'text/event-stream') {
        my $leaving = PAGITest::Wire->new($server->port);
        $leaving->write("GET /endless HTTP/1.1\r\nHost: x\r\nAccept: $accept\r\n\r\n");
        $leaving->read_head;
        $leaving->close;
        eventually(logged('endless'), ++$ended, "a response without an end ends with its client ($accept)");
    }
    my $body = $client->get('/big')->content;
    is length $body, 20_000_000, 'one that reads gets all';
};

subtest websocket => sub {
    my $ws = $client->websocket('/ws', subprotocols => ['other', 'chat']);
    is $ws->subprotocol, 'chat', 'subprotocol';
    $ws->send_text("hé");
    is $ws->receive_text, "echo: hé", 'text';
    is logged('text')->(), 3, 'which is bytes for those who want them';
    $ws->send_text('binary');
    is $ws->receive_bytes, "\xffbinary", 'binary';
    $ws->send_text('die');
    $ws->send_bytes('x' x 2000);
    is $ws->receive_json, { length => 2000 }, 'binary in, JSON out, and an exception is not the end';
    eventually(logged('drain'), 1, 'drain');
    $ws->send_text('bye');
    $ws->receive_text;
    is [$ws->close_code, $ws->close_reason], [4001, 'grüße'], 'closed by the application';
    eventually(logged('ws'), "4001 gr\xc3\xbc\xc3\x9fe", 'which hears of it');
    $ws = $client->websocket('/ws');
    $ws->close(4007, 'enough');
    eventually(logged('ws'), '4007 enough', 'closed by the client');
    my $refused = $client->websocket('/no', decline_ok => 1);
    is [$refused->response->status, $refused->response->content], [403, 'not you'], 'refused';
    is $client->websocket('/nope', decline_ok => 1)->response->status, 404, 'no route';
    my $leaving = PAGITest::Wire->new($server->port);
    $leaving->write("GET /endless-ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    is $leaving->read_head->{status}, 101, 'messages without an end';
    $leaving->close;
    eventually(logged('endless-ws'), 'finished', 'end with their client');
    $ws = $client->websocket('/ws');
    $ws->send_bytes('x' x 300_000);
    $ws->receive_text;
    is $ws->close_code, 1009, 'Mojolicious\'s limit';
};

subtest 'nothing stays' => sub {
    for (1 .. 10) {
        $client->get($_) for '/', '/later', '/promise', '/chunks', '/die', '/file';
        my $ws = $client->websocket('/ws');
        $ws->send_text('bye');
        $_ % 2 ? $ws->close : $ws->receive_text;
        $client->websocket('/no', decline_ok => 1);
        my $sse = $client->sse('/events');
        $sse->receive_event;
        $sse->close;
    }
    eventually(logged('alive'), 1, 'only the transaction that asks');
};
$server->stop;

subtest 'below a prefix, from Perl' => sub {
    my $file = File::Temp->new(SUFFIX => '.pl');
    print {$file} "use PAGI::App::Mojolicious; use PAGI::App::URLMap;\n",
        "PAGI::App::URLMap->new->mount('/my app' => PAGI::App::Mojolicious->new(file => '$script'))->to_app;\n";
    close $file;
    my $mounted = PAGITest::ServerProcess->new(binary => $binary, args => ['--port', 0, '--workers', 2, "$file"], env => \%env);
    my $there = PAGITest::ServerClient->new(port => $mounted->port);
    is $there->get('/my%20app/')->content, '- /my%20app/x /my%20app/ 127.0.0.1', 'its urls have the prefix';
    my $ws = $there->websocket('/my%20app/ws');
    $ws->send_text('hi');
    is $ws->receive_text, 'echo: hi', 'WebSocket';
    $ws->close;
    $mounted->stop;
    my $other = PAGITest::ServerProcess->new(binary => $binary, args => ['-E', 'production', '--port', 0, $script], env => { %env, MOJO_MODE => 'testing' });
    is(PAGITest::ServerClient->new(port => $other->port)->get('/mode')->content, 'testing', 'unless MOJO_MODE says something else');
    $other->stop;
};

done_testing;
