use v5.36;
use Test::More ();    # Catalyst::Test is of the older kind
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use HTTP::Request::Common qw(GET);
use HTTP::Message::PSGI qw(req_to_psgi res_from_psgi);
use PAGI::App::Catalyst;
use PAGI::Test::Client;
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use PAGITest::Wire;
use Time::HiRes qw(sleep time);

like dies { PAGI::App::Catalyst->new }, qr/\APAGI::App::Catalyst needs class, the name of a Catalyst application at \Q$0\E/, 'no class';
like dies { PAGI::App::Catalyst->new(class => 'List::Util') }, qr/List::Util is not a Catalyst application/, 'another class';
like dies { PAGI::App::Catalyst->new(class => 'X', colour => 1) }, qr/Unknown options.*colour/, 'a wrong option';
like dies { PAGI::App::Catalyst->new(class => 'TestNoPlugin') }, qr/chat is :Async, but TestNoPlugin does not use the plugin/, 'CB-21: no plugin';

sub get_psgi ($app, $path) {
    my $response;
    my $result = $app->(req_to_psgi(GET "http://localhost$path"));
    $result->(sub { $response = res_from_psgi($_[0]) });
    return $response;
}

my $said = '';
my $app = do { local *STDERR; open STDERR, '>', \$said; PAGI::App::Catalyst->new(class => 'TestCatalyst')->to_app };
subtest 'CB-18: under a PSGI server' => sub {
    like $said, qr{Asynchronous actions: /at_once, /class, /dies, }, 'CB-21: what is asynchronous';
    is get_psgi($app, '/sync')->content, 'begin auto 0 http', 'a synchronous action';
    $said = '';
    { local *STDERR; open STDERR, '>', \$said; is get_psgi($app, '/http')->code, 500, 'an asynchronous one' }
    like $said, qr{The action /http is :Async and runs under pagi-server only}, 'says why';
};

subtest 'CB-19: in tests' => sub {
    { package ByCatalyst; require Catalyst::Test; Catalyst::Test->import('TestCatalyst') }
    is ByCatalyst::get('/sync'), 'begin auto 0 http', 'Catalyst::Test';
    my $client = PAGI::Test::Client->new(app => $app);
    is $client->get('/sync')->content, 'begin auto 0 http', 'a synchronous action';
    is $client->get('/at_once')->content, 'at once', 'an asynchronous one';
    my $ws = $client->websocket('/room/3/talk');
    is $ws->receive_text, 'room 3', 'a WebSocket';
};

my $binary = server_binary();
if (!defined $binary) {
    ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
    done_testing;
    exit;
}
my %env = (PERL5LIB => join ':', "$FindBin::Bin/../../lib", "$FindBin::Bin/lib", grep { defined } $ENV{PERL5LIB});
sub start (@args) {
    return PAGITest::ServerProcess->new(binary => $binary, args => ['-E', 'production', @args, '--port', 0, 'PAGI::App::Catalyst', 'class=TestCatalyst'], env => \%env);
}
sub eventually ($client, $key, $expected, $name) {
    my $deadline = time + 20;
    my $got;
    while (time < $deadline) {
        $got = $client->get("/noted/$key")->content;
        last if $got eq $expected;
        sleep 0.05;
    }
    is $got, $expected, $name;
}

my $server = start();
my $client = PAGITest::ServerClient->new(port => $server->port);

subtest http => sub {
    is $client->get('/sync')->content, 'begin auto 0 http', 'a synchronous action';
    is $client->post('/http', form => { a => 'x' x 100_000 })->content, 'begin auto 1 http same POST 100000', 'an asynchronous one: begin, auto, body, end';
    is $client->cookie('late'), 'yes', 'its cookie';
    is $client->get('/at_once')->content, 'at once', 'one that does not wait';
    is $client->get('/class')->content, 'by class', 'by class';
    is $client->get('/off')->content, 'elsewhere one two', 'CB-14: blocking code in a process of its own';
    is [map { $_->status, $_->content } $client->get('/http?refuse=1')], [401, 'not you'], 'refused by auto';
    is $client->head('/http')->content, '', 'HEAD: as Catalyst does it';
    my $raw = $client->get('/raw');
    is [$raw->status, $raw->content, $raw->header('set-cookie')], [202, 'raw /raw', 'raw=cookie; path=/'], 'by the protocol, with cookies';
    my $streamed = $client->get('/streamed');
    is [$streamed->status, $streamed->content, $streamed->header('set-cookie'), $streamed->header('content-length')],
        [201, "part 1\npart 2\npart 3\n", 'streamed=cookie; path=/', undef], 'as a stream';
    is $client->get('/noted/started')->content, 1, 'CB-16: pagi_startup has run';
};

subtest errors => sub {
    for my $path (qw(dies dies_now forwards wrong)) {
        my $response = $client->get("/$path");
        is $response->status, 500, $path;
        like $response->content, qr/Please come back later/, 'the page of Catalyst';
    }
    my $log = $server->log;
    like $log, qr/Caught exception in TestCatalyst::Controller::Root->dies "after a while"/, 'CB-7: reported as usual';
    like $log, qr/Caught exception in TestCatalyst::Controller::Root->dies_now "at once"/, 'both';
    like $log, qr/'forward' is not possible after the first await of an :Async action/, 'CB-8';
    like $log, qr/\$c->pagi->websocket: this is a request of type 'http'/, 'no WebSocket here';
    unlike $log, qr/Deep recursion|uninitialized/, 'nothing else';
};

subtest 'CB-12: clients that go' => sub {
    my $wire = PAGITest::Wire->new($server->port);
    $wire->write("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually($client, 'long', 'waiting', 'an action waits');
    $wire->close;
    eventually($client, 'long', 'cleaned up', 'cancelled, and cleaned up');
    my $sse = $client->sse('/events');
    is $sse->receive_event->{data}, 'sse', 'an event stream';
    $sse->close;
    eventually($client, 'events', 'cleaned up', 'cancelled, too');
};

subtest websocket => sub {
    my ($one, $two) = map { $client->websocket('/echo') } 1, 2;
    like $_->receive_text, qr{\Abegin auto 1 websocket http://[\w.:]+/x\z}, 'begin and auto have run' for $one, $two;
    $_->send_text('hi') for $two, $one;
    is [$one->receive_text, $two->receive_text], ['1: hi', '2: hi'], 'CB-11: each has its own context';
    $two->close;
    eventually($client, 'echo_ended', 2, 'the end is an event');
    $one->send_text('die');
    $one->receive_text;
    is $one->close_code, 1011, 'an exception';
    like $server->log, qr/->echo "in the WebSocket"/, 'is reported';
    my $room = $client->websocket('/room/7/talk');
    is $room->receive_text, 'room 7', 'CB-9: chained parents';
    my $wire = PAGITest::Wire->new($server->port);
    $wire->write("GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    my $head = $wire->read_head;
    is [$head->{status}, grep { lc $_->[0] eq 'set-cookie' } @{ $head->{headers} }], [101, ['set-cookie', 'seen=before%20accept; path=/']], 'CB-10: cookies go with the handshake';
    $wire->close;
    for (['/echo?refuse=1', 401, 'auto refuses'], ['/sync', 403, 'a synchronous action'], ['/nothing', 404, 'none'], ['/dies', 500, 'an exception before accept']) {
        my ($path, $status, $name) = @$_;
        is $client->websocket($path, decline_ok => 1)->response->status, $status, $name;
    }
    like $server->log, qr{A request of type websocket was refused: /sync is no :Async action}, 'CB-21: said in the log';
};

subtest 'CB-11: nothing stays' => sub {
    for (1 .. 10) {
        $client->get($_) for '/http', '/at_once', '/dies', '/raw', '/http?refuse=1';
        my $ws = $client->websocket('/echo');
        $ws->receive_text;
        $_ % 2 ? $ws->close : do { $ws->send_text('die'); $ws->receive_text };
        $client->websocket('/echo?refuse=1', decline_ok => 1);
        my $sse = $client->sse('/events');
        $sse->receive_event;
        $sse->close;
    }
    eventually($client, 'alive', 1, 'only the context that asks');
};

subtest 'event streams of synchronous actions' => sub {
    is $client->get('/sync', headers => [['accept', 'text/event-stream']])->status, 200, 'ordinary requests';
    my $pool = start('--workers', 1, '--pool', 1);
    my $other = PAGITest::ServerClient->new(port => $pool->port);
    is $other->get('/sync')->content, 'begin auto 0 http', 'in the pool';
    is $other->get('/http')->content, 'begin auto 1 http same GET 0', 'not there';
    is $other->get('/job')->content, 'answer 42', 'CB-14: a job of the pool';
    is $other->get('/sync', headers => [['accept', 'text/event-stream']])->status, 406, 'none with a pool';
    $pool->stop;
    unlike $pool->log, qr/without --pool/, 'CB-1: nothing to say';
    like $server->log, qr/TestCatalyst: without --pool, each ordinary action stops everything else/, 'CB-1: said where there is none';
    like $pool->log, qr/shut down/, 'CB-16: pagi_shutdown';
};

$server->stop;
like $server->log, qr/shut down/, 'pagi_shutdown has run';

subtest 'CB-15: databases' => sub {
    for my $case ([0], [2, '--workers', 2], [2, '--workers', 1, '--pool', 1]) {
        my ($processes, @args) = @$case;
        local $env{TEST_CONNECTS} = 1;
        my $server = start(@args);
        is(PAGITest::ServerClient->new(port => $server->port)->get('/sync')->status, 200, "it serves @args");
        $server->stop;
        my @reports = $server->log =~ /TestCatalyst has connected to a database before its processes were forked \(dbi:ExampleP:\)/g;
        is scalar @reports, $processes, @args ? 'a handle that was connected before the fork is reported by each process' : 'nothing is forked';
    }
    unlike $server->log, qr/has connected/, 'none, no report';
};

$env{TEST_STARTUP_FAILS} = 1;
like dies { start() }, qr/no database/, 'CB-16: a failing start';

done_testing;
