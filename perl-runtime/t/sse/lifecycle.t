use v5.36;
use lib 't/lib';
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::SSE;
use PAGITest::Events qw(scripted);
use Scalar::Util qw(weaken);

sub stream (@events) {
    my ($receive, $send, $sent) = scripted(@events);
    return (PAGI::SSE->new({ type => 'sse' }, $receive, $send), $sent);
}
my $disconnect = { type => 'sse.disconnect', reason => 'write_timeout' };

subtest 'close' => sub {
    my @log;
    my ($sse, $sent) = stream();
    $sse->on_close(sub ($s, $reason) { push @log, ($s == $sse) . " $reason" });
    $sse->start->get;
    ref_is $sse->close->get, $sse, 'chains';
    is $sent->[-1], { type => 'sse.close' }, 'no reason, no key';
    is [$sse->connection_state, $sse->is_started, $sse->is_connected, $sse->is_closed, $sse->disconnect_reason],
        ['closed', 0, 0, 1, 'app_closed'], 'closed';
    is \@log, ['1 app_closed'], 'callback with the default reason';
    ref_is $sse->close(reason => 'again')->get, $sse, 'the second close chains';
    is [scalar @$sent, $sse->disconnect_reason, scalar @log], [2, 'app_closed', 1], 'and does nothing';

    ($sse, $sent) = stream();
    $sse->on_close(sub ($s, $reason) { push @log, $reason });
    $sse->close(reason => 'job_complete')->get;
    is $sent, [{ type => 'sse.close', reason => 'job_complete' }], 'with a reason, before the start';
    is [$sse->disconnect_reason, $log[-1]], ['job_complete', 'job_complete'], 'which reaches the callback';

    my $strict = sub ($event) { $event->{type} eq 'sse.close' ? Future->fail("sse.close before sse.start\n") : Future->done };
    $sse = PAGI::SSE->new({ type => 'sse' }, sub { Future->new }, $strict);
    is $sse->close->get->is_closed, 1, 'a server may refuse it before the start (SSE-9): closed all the same';
    $sse = PAGI::SSE->new({ type => 'sse' }, sub { Future->new }, $strict);
    $sse->start->get;
    is [$sse->close->failure, $sse->is_closed], ["sse.close before sse.start\n", 0], 'but not afterwards';
};

subtest 'disconnect' => sub {
    my @log;
    my ($sse, $sent) = stream({ type => 'sse.request', body => '', more => 0 }, { type => 'tick' }, $disconnect);
    ref_is $sse->on_close(sub ($s, $reason) { push @log, "1 $reason" }), $sse, 'on_close chains';
    $sse->on_close(async sub ($s, $reason) { push @log, "2 $reason" });
    is [$sse->run->get], [], 'run starts, passes other events over and ends';
    is $sent, [{ type => 'sse.start', status => 200 }], 'it has started the stream';
    is [$sse->is_closed, $sse->disconnect_reason, \@log], [1, 'write_timeout', ['1 write_timeout', '2 write_timeout']], 'with the reason of the server';

    ($sse) = stream({ type => 'sse.disconnect' });
    $sse->run->get;
    is $sse->disconnect_reason, 'client_closed', 'the default reason';
    ($sse) = stream(undef);
    $sse->run->get;
    is $sse->is_closed, 1, 'an undefined event ends it too';
};

subtest 'callbacks' => sub {
    my @log;
    my ($sse) = stream();
    my $slow = Future->new;
    $sse->on_close(async sub { push @log, 'begin'; await $slow; push @log, 'end' });
    $sse->on_close(sub { die "oops\n" });
    $sse->on_close(async sub { push @log, 'last' });
    my $close = $sse->close;
    is [\@log, !!$close->is_ready], [['begin'], !!0], 'close waits for async callbacks';
    is warnings { $slow->done }, ["PAGI::SSE on_close callback error: oops\n"], 'a failing one is warned about';
    is [\@log, $close->is_done], [['begin', 'end', 'last'], T], 'in order, each';
    $sse->on_close(sub { push @log, 'late' });
    is [@$sse{qw(_on_close _on_error)}], [[], []], 'the lists are empty and stay so';

    ($sse) = stream($disconnect);
    $sse->on_close(sub { $sse && 1 })->on_error(sub { $sse && 1 });
    $sse->run->get;
    weaken(my $weak = $sse);
    undef $sse;
    is $weak, undef, 'the object is freed although its callbacks closed over it';

    ($sse) = stream();
    $sse->on_close(sub ($s, $reason) { push @log, $reason });
    $sse->_set_closed;
    $sse->_run_close_callbacks->get;
    is $log[-1], 'unknown', 'no reason recorded: unknown';
};

subtest 'a receive that fails' => sub {
    my @log;
    for my $failing (sub { Future->fail("reset\n") }, sub { die "reset\n" }) {
        my ($sse) = stream($failing);
        $sse->on_close(sub ($s, $reason) { push @log, $reason });
        is warnings { $sse->run->get }, ["PAGI::SSE receive error: reset\n"], 'run warns and resolves';
        is [$sse->is_closed, pop @log], [1, 'read_error'], 'on_close ran (D14)';
    }
};

# D3: one pending receive, never cancelled, and close() always wakes.
subtest 'run and close' => sub {
    my @receives;
    my $sse = PAGI::SSE->new({ type => 'sse' }, sub { push @receives, my $f = Future->new; $f }, sub { Future->done });
    my $run = $sse->run;
    is [scalar @receives, !!$run->is_ready], [1, !!0], 'parked';
    $receives[0]->done({ type => 'sse.request', body => '', more => 0 });
    is [scalar @receives, !!$run->is_ready], [2, !!0], 'parked again after another event';
    $sse->close(reason => 'enough')->get;
    is [$run->is_done, $sse->disconnect_reason], [T, 'enough'], 'close wakes it';
    ok !$receives[1]->is_cancelled, 'the receive was not cancelled';
    $receives[1]->done($disconnect);
    is $sse->disconnect_reason, 'enough', 'the first reason stays';

    @receives = ();
    $sse = PAGI::SSE->new({ type => 'sse' }, sub { push @receives, my $f = Future->new; $f }, sub { Future->done });
    $run = $sse->run;
    $run->cancel;
    ok !$receives[0]->is_cancelled, 'a run that is cancelled leaves the receive alone';
    my $again = $sse->run;
    is scalar @receives, 1, 'the next one goes on with it';
    my $other = $sse->run;
    $receives[0]->done($disconnect);
    is [$again->is_done, $other->is_done], [T, T], 'and any number may wait';
};

# FUT-1: receive may return an awaitable that is no Future.
subtest 'other awaitables' => sub {
    {
        package My::Awaitable;
        sub new ($class, $future) { return bless { future => $future }, $class }
        sub AWAIT_IS_READY ($self) { return $self->{future}->is_ready }
        sub AWAIT_ON_READY ($self, $code) { $self->{future}->on_ready(sub { $code->($self) }) }
        sub AWAIT_GET ($self) { return $self->{future}->get }
    }
    my $pending = Future->new;
    my ($sse) = stream(sub { My::Awaitable->new(Future->done({ type => 'tick' })) }, sub { My::Awaitable->new($pending) });
    my $run = $sse->run;
    ok !$run->is_ready, 'a ready one is passed over, a pending one waited for';
    $pending->done($disconnect);
    is [$run->is_done, $sse->disconnect_reason], [T, 'write_timeout'], 'until it is ready';
    ($sse) = stream(sub { My::Awaitable->new(Future->fail("reset\n")) });
    is warnings { $sse->run->get }, ["PAGI::SSE receive error: reset\n"], 'or fails';
};

subtest 'on' => sub {
    my @log;
    my ($sse) = stream();
    ref_is $sse->on(close => sub { push @log, 'close' }), $sse, 'chains';
    $sse->on(error => sub ($s, $error) { push @log, "error $error" });
    $sse->_trigger_error('e');
    $sse->close->get;
    is \@log, ['error e', 'close'], 'by name';
    like dies { $sse->on(message => sub { }) }, qr/Unknown event type: message \(expected close or error\) at .*lifecycle\.t/, 'another name';
};

subtest 'a whole session' => sub {
    my ($sse, $sent) = stream($disconnect);
    my @subscribers = ($sse);
    $sse->on_close(sub ($s, $) { @subscribers = grep { $_ != $s } @subscribers });
    $sse->keepalive(25)->get;
    $sse->send_event(event => 'connected', data => { n => 1 }, id => 1)->get;
    is $_->try_send_json({ news => 1 })->get, 1, 'notified' for @subscribers;
    $sse->run->get;
    is [map { $_->{type} } @$sent], [qw(sse.keepalive sse.start sse.send sse.send)], 'events';
    is \@subscribers, [], 'cleaned up';
};

done_testing;
