use v5.36;
use Future::AsyncAwait;
use PAGI::App::URLMap;
use PAGI::Response;
use PAGI::SSE;
use PAGI::Simple;
use PAGI::Utils::Turn qw(next_turn);
use PAGI::WebSocket;

# Handlers that send and send, and look at nothing else.

my $part = 'x' x 65_536;
my $simple = PAGI::Simple->new(name => 'endless');
$simple->get('/stream' => sub ($c) { return $c->stream(async sub ($writer) { while (1) { await $writer->write($part) } }) });
$simple->get('/from' => sub ($c) { return $c->stream_from(sub { return $part }) });
$simple->sse('/sse' => async sub ($sse) { while (1) { await $sse->send_event(data => $part) } });

PAGI::App::URLMap->new(default => async sub ($scope, $receive, $send) {
    return if $scope->{type} ne 'http';
    my $order = '';
    my $turn = next_turn();
    $order .= $turn->is_ready ? 'ready' : 'waits';
    await $turn;
    await PAGI::Response->new->text("$order, then others")->respond($send);
})->map({
    '/response' => async sub ($scope, $receive, $send) {
        await PAGI::Response->new->stream(async sub ($writer) { while (1) { await $writer->write($part) } })->respond($send);
    },
    '/sse' => async sub ($scope, $receive, $send) {
        my $sse = PAGI::SSE->new($scope, $receive, $send);
        while (1) { await $sse->send($part) }
    },
    '/sse-try' => async sub ($scope, $receive, $send) {
        my $sse = PAGI::SSE->new($scope, $receive, $send);
        while (1) { await $sse->try_send($part) }
    },
    '/ws' => async sub ($scope, $receive, $send) {
        my $ws = PAGI::WebSocket->new($scope, $receive, $send);
        await $ws->accept;
        while (1) { await $ws->send_text($part) }
    },
    '/ws-try' => async sub ($scope, $receive, $send) {
        my $ws = PAGI::WebSocket->new($scope, $receive, $send);
        await $ws->accept;
        while (1) { await $ws->try_send_bytes($part) }
    },
    '/simple' => $simple->to_app,
})->to_app;
