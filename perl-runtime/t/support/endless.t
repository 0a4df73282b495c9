use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGI::Utils::Turn qw(next_turn);
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use PAGITest::Wire;

# Sends wait for nobody once the client has gone (SEND-8). A handler that only sends must not keep the worker for itself then.

ok next_turn()->is_done, 'without a loop there is no other turn';

my $binary = server_binary();
if (!defined $binary) {
    ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
    done_testing;
    exit;
}

my %fields = (
    http      => '',
    sse       => "Accept: text/event-stream\r\n",
    websocket => "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n",
);
for my $case (['/response', 'http'], ['/simple/stream', 'http'], ['/simple/from', 'http'], ['/sse', 'sse'], ['/sse-try', 'sse'], ['/simple/sse', 'sse'],
    ['/ws', 'websocket'], ['/ws-try', 'websocket']) {
    my ($path, $type) = @$case;
    # One for each: what never ends goes on, in turns.
    my $server = PAGITest::ServerProcess->new(binary => $binary, args => ['-E', 'production', '--port', 0, 't/support/apps/endless.pl'],
        env => { PERL5LIB => join ':', 'lib', 't/lib', grep { defined } $ENV{PERL5LIB} });
    my $wire = PAGITest::Wire->new($server->port);
    $wire->write("GET $path HTTP/1.1\r\nHost: x\r\n$fields{$type}\r\n");
    is $wire->read_head->{status}, $type eq 'websocket' ? 101 : 200, "$path, $type";
    my $client = PAGITest::ServerClient->new(port => $server->port);
    is $client->get('/others')->content, 'waits, then others', 'others are served beside it';
    $wire->close;
    is $client->get('/others')->content, 'waits, then others', 'and when its client has gone';
    kill KILL => $server->pid;    # it would let the handler go on for a while
    $server->stop;
}

done_testing;
