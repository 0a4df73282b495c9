use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(call_app http_scope text_of);
use Future;
use Future::AsyncAwait;
use PAGI::App::SSE::Pubsub;
use PAGI::App::SSE::Stream;
use PAGITest::Backends qw(each_backend);
use PAGITest::Wire;

my $Pubsub = 'PAGI::App::SSE::Pubsub';
my @HEADERS = (['content-type', 'text/event-stream'], ['cache-control', 'no-cache'], ['connection', 'keep-alive']);

# A client of the app: what it was sent, and a coderef that makes it go.
sub subscribe ($app, %more) {
    my $gone = Future->new;
    my $type = $more{type} // 'http';
    my ($sent, $future) = call_app($app, http_scope('/', %more), { type => "$type.request", body => '', more => 0 }, sub {$gone});
    return ($sent, sub { $gone->done({ type => "$type.disconnect" }); $future->get });
}

subtest 'Pubsub' => sub {
    my @log;
    my $app = $Pubsub->new(
        channel => 'news', retry => 3000, headers => [['x-a', 'b']],
        on_connect => sub ($scope, $channel) { push @log, "connect $channel" },
        on_close => async sub ($scope, $channel) { push @log, "close $channel " . $Pubsub->client_count($channel) },
    )->to_app;
    is [$Pubsub->client_count('news'), $Pubsub->client_count, [$Pubsub->list_channels]], [0, 0, []], 'nothing there';
    $Pubsub->publish(news => { data => 'nobody hears' });

    my ($sent, $leave) = subscribe($app);
    is $sent, [{ type => 'http.response.start', status => 200, headers => [@HEADERS, ['x-a', 'b']] }, { type => 'http.response.body', body => "retry: 3000\n\n", more => 1 }], 'start and retry';
    is [$Pubsub->client_count('news'), [$Pubsub->list_channels]], [1, ['news']], 'counted';
    splice @$sent;
    $Pubsub->publish(news => { event => 'tick', id => 7, data => "one\ntwo\r\nthree\r" });
    $Pubsub->publish(news => { id => 0, data => "caf\x{e9}" });
    $Pubsub->publish(news => { event => "a\r\nb", id => "1\n2" });
    is [map { $_->{body} } @$sent], ["event: tick\nid: 7\ndata: one\ndata: two\ndata: three\ndata: \n\n", "id: 0\ndata: caf\xc3\xa9\n\n", "event: ab\nid: 12\ndata: \n\n"], 'frames';
    is [map { $_->{more} } @$sent], [1, 1, 1], 'more to come';
    splice @$sent;
    $leave->();
    is $sent, [{ type => 'http.response.body', body => '', more => 0 }], 'the end';
    is \@log, ['connect news', 'close news 0'], 'callbacks';
};

subtest 'history' => sub {
    my $app = $Pubsub->new(channel => 'old', history => 3)->to_app;
    my ($first, $leave) = subscribe($app);
    $Pubsub->publish(old => { id => $_, data => "d$_" }) for 0 .. 4;
    my $missed = sub ($id) { my ($sent, $go) = subscribe($app, headers => [['last-event-id', $id]]); my @got = map { $_->{body} =~ /d(\d)/ } @$sent[1 .. $#$sent]; $go->(); return \@got };
    is $missed->(2), [3, 4], 'what came after';
    is $missed->(4), [], 'nothing missed';
    is $missed->(1), [], 'too long ago';
    $leave->();
    ($first, $leave) = subscribe($app);
    is $missed->(3), [], 'gone with the channel';
    $leave->();
};

subtest 'clients that fail' => sub {
    my $ok = 1;
    my $future = $Pubsub->new(channel => 'f')->to_app->(http_scope('/'), sub { Future->new }, sub ($event) { $ok ? Future->done : Future->fail('broken') });
    $ok = 0;
    $Pubsub->publish(f => { data => 'x' });
    is [$Pubsub->client_count('f'), [$Pubsub->list_channels]], [0, []], 'are dropped';
    $future->cancel;
    like dies { subscribe($Pubsub->new(channel => 'g', on_connect => sub { die "no\n" })->to_app) }, qr/no/, 'a callback that dies';
    is $Pubsub->client_count('g'), 0, 'leaves nothing';
};

subtest 'sse scope' => sub {
    my ($sent, $leave) = subscribe($Pubsub->new(channel => 's', retry => 100)->to_app, type => 'sse');
    $Pubsub->publish(s => { event => 'e', id => 0, data => "a\nb" });
    $Pubsub->publish(s => { data => "\x{3042}" });
    $leave->();
    is $sent, [
        { type => 'sse.start', status => 200, headers => \@HEADERS },
        { type => 'sse.send', event => 'e', id => 0, data => "a\nb", retry => 100 },
        { type => 'sse.send', data => "\x{3042}" },
    ], 'native events';
};

subtest 'Stream' => sub {
    my @log;
    my $app = PAGI::App::SSE::Stream->new(
        retry => 500, headers => [['x-a', 'b']], on_connect => sub ($scope) { push @log, 'connect' }, on_close => sub ($scope) { push @log, 'close' },
        generator => async sub ($send_event, $scope) {
            await $send_event->({ event => 'e', id => 1, data => "one\ntwo" });
            await $send_event->('just data');
        },
    )->to_app;
    my ($sent) = subscribe($app);
    is $sent, [
        { type => 'http.response.start', status => 200, headers => [@HEADERS, ['x-a', 'b']] },
        (map { +{ type => 'http.response.body', body => $_, more => 1 } } "retry: 500\n\n", "event: e\nid: 1\ndata: one\ndata: two\n\n", "data: just data\n\n"),
        { type => 'http.response.body', body => '', more => 0 },
    ], 'events';
    is \@log, ['connect', 'close'], 'callbacks';

    my $cancelled;
    my ($endless, $leave) = subscribe(PAGI::App::SSE::Stream->new(
        on_close => sub { push @log, 'closed' },
        generator => sub ($send_event, $scope) { Future->new->on_cancel(sub { $cancelled = 1 }) },
    )->to_app);
    $leave->();
    is [$cancelled, $log[-1], $endless->[-1]{more}], [1, 'closed', 0], 'the generator ends with the client';

    my $warning = warning { ($sent) = subscribe(PAGI::App::SSE::Stream->new(generator => async sub { die "oops\n" })->to_app) };
    like $warning, qr/\AThe generator of an event stream failed: oops/, 'an error is warned';
    is $sent->[-1], { type => 'http.response.body', body => '', more => 0 }, 'and ends the stream';

    my ($tries, $broken) = (0, 0);
    my $failing = PAGI::App::SSE::Stream->new(generator => async sub ($send_event, $scope) {
        $broken = 1;
        eval { await $send_event->('x') };
        $broken = 0;
        await $send_event->('y');
    })->to_app;
    $failing->(http_scope('/'), sub { Future->new }, sub ($event) { $tries++; $broken ? Future->fail('gone') : Future->done })->get;
    is $tries, 3, 'after a failed send only the end is tried';
    like dies { PAGI::App::SSE::Stream->new }, qr/\APAGI::App::SSE::Stream needs a generator.* at \Q$0\E/, 'no generator';
};

like dies { call_app($Pubsub->to_app, { type => $_ }) }, qr/\AUnsupported scope type: $_ at /, "$_ rejected" for qw(websocket lifespan);

each_backend(<<'END', sub ($client, $backend) {
use Future::AsyncAwait;
use PAGI::App::SSE::Pubsub;
use PAGI::App::SSE::Stream;
use PAGI::App::URLMap;
PAGI::App::URLMap->new->map({
    '/sub'    => PAGI::App::SSE::Pubsub->new(on_connect => sub { PAGI::App::SSE::Pubsub->publish(default => { event => 'hi', id => 3, data => "\x{3042}" }) }),
    '/endless' => PAGI::App::SSE::Stream->new(generator => async sub { my ($send_event) = @_; my $text = 'x' x 10_000; while (1) { await $send_event->($text) } }),
    '/stream' => PAGI::App::SSE::Stream->new(generator => async sub { my ($send_event) = @_; for my $n (1 .. 3) { await $send_event->("n$n") } }),
})->to_app;
END
    $client->sse('/sub', sub ($sse) {
        is [@{ $sse->receive_event(timeout => 20) }{qw(event id data)}], ['hi', 3, "\x{3042}"], 'Pubsub for an EventSource';
    });
    if ($backend eq 'server') {
        for my $accept ('text/event-stream', '*/*') {
            my $wire = PAGITest::Wire->new($client->port);
            $wire->write("GET /endless HTTP/1.1\r\nHost: x\r\nAccept: $accept\r\n\r\n");
            is $wire->read_head->{status}, 200, "a generator without an end ($accept)";
            $wire->close;
            is $client->get('/nowhere')->status, 404, 'ends with its client, and others are served';
        }
    }
    my $response = $client->get('/stream');
    is [$response->header('content-type'), $response->content], ['text/event-stream', "data: n1\n\ndata: n2\n\ndata: n3\n\n"], 'Stream over plain HTTP';
});

done_testing;
