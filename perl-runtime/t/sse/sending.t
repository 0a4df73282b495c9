use v5.36;
use utf8;
use lib 't/lib';
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::SSE;
use PAGITest::Events qw(scripted);

sub stream ($custom_send = undef) {
    my ($receive, $send, $sent) = scripted();
    return (PAGI::SSE->new({ type => 'sse' }, $receive, $custom_send // $send), $sent);
}
my $start = { type => 'sse.start', status => 200 };

subtest 'start' => sub {
    my ($sse, $sent) = stream();
    is [$sse->connection_state, $sse->is_started, $sse->is_connected, $sse->is_closed, $sse->disconnect_reason],
        ['pending', 0, 0, 0, undef], 'at first';
    ref_is $sse->start->get, $sse, 'chains';
    $sse->start(status => 201)->get;
    is $sent, [$start], 'once';
    is [$sse->connection_state, $sse->is_started, $sse->is_connected, $sse->is_closed], ['started', 1, 1, 0], 'started';

    ($sse, $sent) = stream();
    $sse->start(status => 299, headers => [['x-a', 1]])->get;
    is $sent, [{ type => 'sse.start', status => 299, headers => [['x-a', 1]] }], 'status and headers';
    $sse->close->get;
    $sse->start->get;
    is $sse->is_closed, 1, 'not after the end';

    ($sse) = stream(sub { Future->fail("bad header\n") });
    is [$sse->start->failure, $sse->connection_state], ["bad header\n", 'pending'], 'a start that fails is none';

    my (@sent, $slow);
    ($sse) = stream(sub ($event) { push @sent, $event->{data} // $event->{type}; $slow //= Future->new });
    my @futures = ($sse->send('a'), $sse->send('b'), $sse->start);
    is [\@sent, $sse->connection_state], [['sse.start'], 'pending'], 'sends wait for a start that takes its time';
    my $cancelled = $sse->send('c');
    $cancelled->cancel;
    $slow->done;
    is [map { $_->is_done } @futures], [T, T, T], 'then all are done';
    is \@sent, ['sse.start', 'a', 'b'], 'in order, but for one that was cancelled';
};

subtest 'events' => sub {
    my ($sse, $sent) = stream();
    ref_is $sse->send('grüße ☺')->get, $sse, 'send chains';
    is $sent, [$start, { type => 'sse.send', data => 'grüße ☺' }], 'and starts the stream';
    @$sent = ();
    $sse->send_json({ ü => '☺', a => 1 })->get;
    is $sent->[-1], { type => 'sse.send', data => '{"a":1,"ü":"☺"}' }, 'send_json: characters (D1)';
    $sse->send_event(data => 'x')->get;
    is $sent->[-1], { type => 'sse.send', data => 'x' }, 'send_event: only what is given';
    $sse->send_event(data => ['☺'], event => 'tick', id => 7, retry => 1500.9)->get;
    is $sent->[-1], { type => 'sse.send', data => '["☺"]', event => 'tick', id => '7', retry => 1500 }, 'references become JSON';
    $sse->send_event(data => 0, event => undef, id => undef, retry => 0)->get;
    is $sent->[-1], { type => 'sse.send', data => 0, retry => 0 }, 'undefined options are left out';
    ref_is $sse->send_comment('still here')->get, $sse, 'send_comment chains';
    is $sent->[-1], { type => 'sse.comment', comment => 'still here' }, 'a comment';
    like $sse->send_event(event => 'x')->failure, qr/send_event requires 'data' parameter/, 'data is required';

    for my $case (['send', 'x'], ['send_json', {}], ['send_event', data => 'x'], ['send_comment', 'x']) {
        my ($method, @args) = @$case;
        my ($sse, $sent) = stream();
        $sse->$method(@args)->get;
        is $sent->[0], $start, "$method starts the stream";
        $sse->close->get;
        my $count = @$sent;
        like $sse->$method(@args)->failure, qr/Cannot send on closed SSE connection/, "$method fails after the end";
        is scalar @$sent, $count, '... and sends nothing';
    }
};

my @tries = (['try_send', 'x'], ['try_send_json', { a => 1 }], ['try_send_event', data => 'x'], ['try_send_comment', 'x']);

subtest 'try_send' => sub {
    for my $case (@tries) {
        my ($method, @args) = @$case;
        my ($sse, $sent) = stream();
        is $sse->$method(@args)->get, 1, "$method gives 1";
        is scalar @$sent, 2, '... after a start';
        $sse->close->get;
        is $sse->$method(@args)->get, 0, '... and 0 when closed';
        is scalar @$sent, 3, '... without sending';

        my @log;
        ($sse) = stream(sub { Future->fail("broken pipe\n") });
        $sse->on_error(sub ($s, $error) { push @log, 'error ' . ($s == $sse) . " $error" });
        $sse->on_close(sub ($s, $reason) { push @log, "close $reason" });
        is $sse->$method(@args)->get, 0, "$method gives 0 when sending fails";
        is [$sse->is_closed, $sse->disconnect_reason], [1, 'write_error'], '... which closes the stream';
        is \@log, ["error 1 broken pipe\n", 'close write_error'], '... and tells everybody, once (D14)';
        is $sse->$method(@args)->get, 0, '... only once';
        is scalar @log, 2, '... indeed';
    }
    my ($sse, $sent) = stream();
    is $sse->try_send_event->get, 1, 'try_send_event without data';
    is $sent->[-1], { type => 'sse.send', data => '' }, 'sends an empty one';
};

subtest 'error callbacks' => sub {
    my @log;
    my ($sse) = stream(sub { die "broken pipe\n" });
    my $slow = Future->new;
    ref_is $sse->on_error(async sub ($s, $error) { await $slow; push @log, 1 }), $sse, 'on_error chains';
    $sse->on_error(sub { die "worse\n" });
    $sse->on_error(sub { push @log, 3 });
    my $try = $sse->try_send('x');
    is \@log, [], 'async callbacks are awaited';
    is warnings { $slow->done }, ["PAGI::SSE on_error callback error: worse\n"], 'a failing one is warned about';
    is [\@log, $try->get], [[1, 3], 0], 'and does not stop the others';

    ($sse) = stream(sub { die "broken pipe\n" });
    is warnings { $sse->try_send('x')->get }, ["PAGI::SSE error: broken pipe\n"], 'without a handler there is a warning';
};

subtest 'data without a JSON form' => sub {
    for my $case (['try_send_json', { code => sub { } }], ['try_send_event', data => { code => sub { } }]) {
        my ($method, @args) = @$case;
        my @log;
        my ($sse, $sent) = stream();
        $sse->on_error(sub ($s, $error) { push @log, $error });
        is $sse->$method(@args)->get, 0, "$method gives 0";
        is [$sse->is_closed, scalar @log, $sent], [0, 1, []], '... and leaves the stream alone (D11)';
    }
    my ($sse) = stream();
    ok $sse->send_json({ code => sub { } })->is_failed, 'send_json fails';
    is $sse->is_closed, 0, 'and leaves the stream alone';
};

subtest 'keepalive' => sub {
    my ($sse, $sent) = stream();
    ref_is $sse->keepalive(25)->get, $sse, 'chains';
    $sse->keepalive(0.5, 'ping')->get;
    $sse->keepalive(0)->get;
    $sse->keepalive->get;
    is $sent, [map { { type => 'sse.keepalive', interval => $_->[0], comment => $_->[1] } } [25, ''], [0.5, 'ping'], [0, ''], [0, '']],
        'both keys always';

    # SSE-24: a strict server refuses it before the start.
    my @types;
    ($sse) = stream(sub ($event) {
        return Future->fail("sse.keepalive before sse.start\n") if $event->{type} eq 'sse.keepalive' && !@types;
        push @types, $event->{type};
        return Future->done;
    });
    ref_is $sse->keepalive(25)->get, $sse, 'refused before the start';
    $sse->send('x')->get;
    is \@types, ['sse.start', 'sse.keepalive', 'sse.send'], 'it follows right after';
    $sse->close->get;
    ($sse) = stream(sub ($event) { $event->{type} eq 'sse.keepalive' ? Future->fail("negative\n") : Future->done });
    $sse->start->get;
    is $sse->keepalive(-1)->failure, "negative\n", 'later failures pass';
};

done_testing;
