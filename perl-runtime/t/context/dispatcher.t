use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/lib";
use ContextHelper;
use Future;
use Future::AsyncAwait;
use PAGI::Context;
use Scalar::Util qw(weaken);

my $disconnect = { type => 'websocket.disconnect', code => 1001, reason => 'bye' };

subtest handlers => sub {
    my @seen;
    my ($ctx) = context_for('websocket', { type => 'a', n => 1 }, { type => 'b', n => 2 }, { type => 'a', n => 3 }, $disconnect);
    my $note = sub { my ($name) = @_; sub { my ($c, $event) = @_; push @seen, "$name$event->{n}"; ref_is $c, $ctx, 'gets the context' } };
    ref_is $ctx->on(a => $note->('first'))->on(a => async sub { push @seen, "second$_[1]{n}" }), $ctx, 'on chains';
    ref_is $ctx->on_default($note->('unused'))->on_default($note->('default')), $ctx, 'on_default chains';
    $ctx->on('websocket.disconnect' => sub { push @seen, "gone $_[1]{code}" });
    is $ctx->run->get, 'disconnect', 'ends with the disconnect';
    is \@seen, [ 'first1', 'second1', 'default2', 'first3', 'second3', 'gone 1001' ], 'in order; one default for the rest';
    is [ @$ctx{qw(_handlers _on_error _on_default)} ], [ undef, undef, undef ], 'handlers are cleared';
};

subtest 'the disconnect event of each type' => sub {
    for my $type (qw(http websocket sse)) {
        my ($ctx) = context_for($type, { type => 'x.disconnect' }, { type => "$type.disconnect" });
        my $default = 0;
        $ctx->on_default(sub { $default++ });
        is [ $ctx->run->get, $default ], [ 'disconnect', 1 ], "$type: ends the loop and is not for on_default";
    }
    my ($other) = context_for('grpc', { type => 'http.disconnect' }, { type => 'enough' });
    $other->on(enough => sub { $_[0]->stop });
    is $other->run->get, 'stop', 'other types have none';

    my ($nothing) = context_for('websocket', undef);
    is $nothing->run->get, 'disconnect', 'an undefined event ends the loop';
};

subtest waiting => sub {
    my @seen;
    my ($ctx, undef, $push) = context_for('websocket');
    my $gate = Future->new;
    $ctx->on(a => async sub { push @seen, 'a'; await $gate; push @seen, 'a done' })->on(b => sub { push @seen, 'b' });
    my $run = $ctx->run;
    $push->({ type => 'a' }, { type => 'b' });
    is \@seen, ['a'], 'an async handler is awaited';
    $gate->done;
    is \@seen, [ 'a', 'a done', 'b' ], 'before the next event';
    is $run->is_ready, F, 'still running';
    like dies { $ctx->run }, qr/^PAGI::Context run\(\) called while already running at \Q$0\E/, 'run within run dies at once';
    $push->($disconnect);
    is [ $run->get, $ctx->{_running} ], [ 'disconnect', 0 ], 'end';

    my $nested;
    ($ctx) = context_for('websocket', { type => 'a' }, $disconnect);
    $ctx->on(a => sub { my ($c) = @_; $nested = dies { $c->run } });
    $ctx->run->get;
    like $nested, qr/already running/, 'also from a handler';
};

subtest stop => sub {
    my @seen;
    my ($ctx) = context_for('websocket', { type => 'a' }, { type => 'b' }, $disconnect);
    ref_is $ctx->stop, $ctx, 'chains; before run it has no effect';
    $ctx->on(a => sub { push @seen, 'first'; $_[0]->stop })->on(a => sub { push @seen, 'second' })->on(b => sub { push @seen, 'b' });
    is $ctx->run->get, 'stop', 'outcome';
    is \@seen, [ 'first', 'second' ], 'the handlers of the event are finished';
    $ctx->on(b => sub { push @seen, 'again' });
    is $ctx->run->get, 'disconnect', 'it can run again';
    is $seen[-1], 'again', 'with new handlers';
};

subtest errors => sub {
    my (@errors, @seen);
    my ($ctx) = context_for('websocket', { type => 'a' }, { type => 'b' }, $disconnect);
    $ctx->on(a => sub { die "sync\n" })->on(a => async sub { die "async\n" })->on(a => sub { push @seen, 'third' })->on(b => sub { push @seen, 'b' });
    ref_is $ctx->on_error(sub { my ($c, $error, $source) = @_; push @errors, "$source: $error"; ref_is $c, $ctx, 'gets the context' }), $ctx, 'on_error chains';
    $ctx->on_error(async sub { push @errors, 'second'; die "in the handler of errors\n" });
    $ctx->on_error(sub { push @errors, 'third' });
    like warnings { is $ctx->run->get, 'disconnect', 'the loop goes on' },
        [ (qr/^PAGI::Context on_error callback error: in the handler of errors$/) x 2 ], 'errors of on_error are reported';
    is \@errors, [ "handler: sync\n", 'second', 'third', "handler: async\n", 'second', 'third' ], 'all are called';
    is \@seen, [ 'third', 'b' ], 'other handlers and events are not affected';

    ($ctx) = context_for('websocket', { type => 'a' }, $disconnect);
    $ctx->on(a => sub { die "oops\n" });
    like warnings { $ctx->run->get }, [qr/^PAGI::Context error \(handler\): oops$/], 'without on_error a warning';

    for my $receive (sub { Future->fail("lost\n") }, sub { die "lost\n" }) {
        $ctx = PAGI::Context->new({ type => 'websocket' }, $receive, sub { });
        @errors = ();
        $ctx->on_error(sub { push @errors, "$_[2]: $_[1]" });
        is [ $ctx->run->get, \@errors ], [ 'error', ["receive: lost\n"] ], 'a failing receive ends the loop';
        like warnings { is $ctx->run->get, 'error', 'outcome' }, [qr/^PAGI::Context error \(receive\): lost$/], 'without on_error a warning';
    }
    my @pending;
    $ctx = PAGI::Context->new({ type => 'websocket' }, sub { push @pending, my $f = Future->new; $f }, sub { });
    @errors = ();
    my $run = $ctx->on_error(sub { push @errors, "$_[2]: $_[1]" })->run;
    $pending[0]->fail("later\n");
    is [ $run->get, \@errors ], [ 'error', ["receive: later\n"] ], 'one that fails later too';
};

subtest snapshot => sub {
    my @seen;
    my ($ctx) = context_for('websocket', { type => 'a' }, { type => 'a' }, $disconnect);
    $ctx->on(a => sub { push @seen, 'outer'; $_[0]->on(a => sub { push @seen, 'inner' }) if @seen == 1 });
    $ctx->run->get;
    is \@seen, [ 'outer', 'outer', 'inner' ], 'a handler added meanwhile is for the next event';
};

subtest debug => sub {
    my @events = ({ type => 'strange' }, { type => 'known' }, $disconnect);
    for my $debug (0, 1) {
        local $ENV{PAGI_DEBUG} = $debug;
        my ($ctx) = context_for('websocket', @events);
        $ctx->on(known => sub { });
        like warnings { $ctx->run->get }, $debug ? [qr/^PAGI::Context: unhandled event type 'strange'/] : [], "PAGI_DEBUG=$debug";
    }
};

subtest 'no leaks' => sub {
    my ($ctx) = context_for('websocket', { type => 'a' }, $disconnect);
    $ctx->on(a => sub { $ctx->type })->on_error(sub { $ctx->type })->on_default(sub { $ctx->type });
    $ctx->run->get;
    weaken(my $weak = $ctx);
    undef $ctx;
    is $weak, undef, 'handlers over the context do not keep it alive';

    my $strong = (context_for('websocket'))[0];
    $strong->on(a => sub { $strong->type });
    my $run = $strong->run;
    weaken($weak = $strong);
    $run->cancel;
    is $strong->{_running}, 0, 'a cancelled run is over';
    undef $_ for $run, $strong;
    is $weak, undef, 'and lets go of its handlers';
};

done_testing;
