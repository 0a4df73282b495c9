use strict;
use warnings;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Test::Client;

our @log;

{
    package t::Clock;
    use parent 'PAGI::Endpoint::SSE';
    use Future::AsyncAwait;
    our $instances = 0;
    sub new { my $class = shift; $instances++; return $class->SUPER::new(@_) }
    sub keepalive_interval { 25 }
    async sub on_connect {
        my ($self, $ctx) = @_;
        push @main::log, 'connect ' . ref($ctx) . ' started ' . $ctx->is_started;
        await $ctx->send_event(event => 'n', data => ++$self->{count});
    }
    sub on_disconnect { my ($self, @args) = @_; push @main::log, 'disconnect ' . scalar @args }

    package t::Bare;
    use parent -norequire, 'PAGI::Endpoint::SSE';

    package t::Declining;
    use parent -norequire, 'PAGI::Endpoint::SSE';
    async sub on_connect {
        my ($self, $ctx) = @_;
        await $ctx->raw_send->({ type => 'sse.http.response.start', status => 204, headers => [] });
        await $ctx->raw_send->({ type => 'sse.http.response.body', body => '', more => 0 });
        await $ctx->close;
    }

    package t::Closing;
    use parent -norequire, 'PAGI::Endpoint::SSE';
    sub on_connect { my ($self, $ctx) = @_; return $ctx->send('only')->then(sub { $ctx->close(reason => 'done') }) }
    sub on_disconnect { push @main::log, 'disconnect' }
}

# $refuse->($event) true: the server fails that send
sub run {
    my ($app, $refuse, @events) = @_;
    my @sent;
    my $future = $app->({ type => 'sse', path => '/', headers => [] }, sub { @events ? Future->done(shift @events) : Future->new }, sub {
        my ($event) = @_;
        return Future->fail("out of sequence\n") if $refuse && $refuse->($event, \@sent);
        push @sent, $event;
        return Future->done;
    });
    return ($future, \@sent);
}

sub types { my ($sent) = @_; return [ map { $_->{type} } @$sent ] }

my $gone = { type => 'sse.disconnect', reason => 'client_closed' };

subtest defaults => sub {
    is(PAGI::Endpoint::SSE->keepalive_interval, 0, 'keepalive_interval');
    is(PAGI::Endpoint::SSE->context_class, 'PAGI::Context', 'context class');
    is(t::Clock->keepalive_interval, 25, 'overridden');
};

subtest lifecycle => sub {
    @log = ();
    my ($future, $sent) = run(t::Clock->to_app, undef, $gone);
    is [ $future->get ], [], 'ends';
    is \@log, [ 'connect PAGI::Context::SSE started 0', 'disconnect 1' ], 'on_connect before the start, on_disconnect with the context';
    is [ sort @{ types($sent) } ], [ 'sse.keepalive', 'sse.send', 'sse.start' ], 'sent';
    is [ map { @$_{qw(interval comment)} } grep { $_->{type} eq 'sse.keepalive' } @$sent ], [ 25, '' ], 'keepalive';

    # SSE-24: a strict server refuses keepalive before the start
    my $strict = sub { my ($event, $before) = @_; $event->{type} eq 'sse.keepalive' && !grep { $_->{type} eq 'sse.start' } @$before };
    ($future, $sent) = run(t::Clock->to_app, $strict, $gone);
    ok $future->is_done, 'on a server that wants sse.start first';
    is types($sent), [ 'sse.start', 'sse.keepalive', 'sse.send' ], 'keepalive follows it';

    ($future, $sent) = run(t::Bare->to_app, undef, $gone);
    is types($sent), ['sse.start'], 'without methods the stream is started';
};

subtest instances => sub {
    $t::Clock::instances = 0;
    my $app = t::Clock->new(count => 40)->to_app;
    for (1, 2) {
        my (undef, $sent) = run($app, undef, $gone);
        is $sent->[-1]{data}, 41, 'a copy per connection';
    }
    is $t::Clock::instances, 3, 'a new object each';
};

subtest 'ending from inside' => sub {
    @log = ();
    my ($future, $sent) = run(t::Closing->to_app, undef);
    ok $future->is_done, 'close ends the endpoint without a disconnect event';
    is types($sent), [ 'sse.start', 'sse.send', 'sse.close' ], 'sent';
    is \@log, ['disconnect'], 'on_disconnect ran';

    # SSE-34: after a decline everything else is out of sequence
    my $strict = sub { my ($event, $before) = @_; $event->{type} !~ /^sse\.http/ && grep { $_->{type} =~ /^sse\.http/ } @$before };
    ($future, $sent) = run(t::Declining->to_app, $strict);
    ok $future->is_done, 'declined';
    is types($sent), [ 'sse.http.response.start', 'sse.http.response.body' ], 'and not started afterwards';
};

subtest 'other scopes' => sub {
    for my $case ([ http => 'http' ], [ undef, 'http' ], [ websocket => 'websocket' ]) {
        my ($type, $shown) = @$case;
        my $future = t::Clock->to_app->({ defined $type ? (type => $type) : () }, sub { }, sub { });
        like scalar $future->failure, qr/^Expected sse scope, got '$shown' at/, $type // 'no type';
    }
};

subtest 'with the test client' => sub {
    @log = ();
    PAGI::Test::Client->new(app => t::Clock->to_app)->sse('/', sub {
        my ($sse) = @_;
        is $sse->receive_event->{data}, 1, 'event';
    });
    is $log[-1], 'disconnect 1', 'disconnect';
};

done_testing;
