use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future;
use Future::AsyncAwait;
use PAGI::Middleware::WebSocket::Compression;
use PAGI::Middleware::WebSocket::Heartbeat;
use PAGI::Middleware::WebSocket::RateLimit;
use Time::HiRes ();

my ($scope, @received);
my $listen = async sub ($got, $receive, $send) {
    $scope = $got;
    @received = ();
    await $send->({ type => 'websocket.accept' });
    while (@received < 50) {
        my $event = await $receive->();
        push @received, $event;
        last if $event->{type} eq 'websocket.disconnect';
    }
};
sub messages (@texts) { return [ { type => 'websocket.connect' }, map { { type => 'websocket.receive', text => $_ } } @texts ] }
sub texts { return [ map { $_->{text} } grep { $_->{type} eq 'websocket.receive' } @received ] }

subtest 'RateLimit' => sub {
    my $R = 'PAGI::Middleware::WebSocket::RateLimit';
    my $run = sub ($config, @texts) { drive($R->new(%$config)->wrap($listen), ws_scope(), receive => messages(@texts), slow => 1) };

    $run->({}, 'a', 'b');
    is(texts(), [qw(a b)], 'within the limit');
    is($received[0]{type}, 'websocket.connect', 'other events pass');
    is($scope->{'pagi.websocket.rate_limit'}, { messages_per_second => 100, bytes_per_second => 1048576, burst_multiplier => 2 }, 'scope key');

    my $closed = $run->({ messages_per_second => 1, burst_multiplier => 2 }, qw(a b c d));
    is(texts(), [qw(a b)], 'the burst, then no more');
    is($received[-1], { type => 'websocket.disconnect' }, 'the application sees a disconnect');
    is([ grep { $_->{type} eq 'websocket.close' } $closed->events ], [ { type => 'websocket.close', code => 1008, reason => 'Rate limit exceeded' } ], 'the client a close');

    my @asked;
    $run->({ messages_per_second => 1, burst_multiplier => 1, on_limit_exceeded => sub { push @asked, [ @_[ 1 .. 3 ] ]; 0 } }, qw(a b));
    is(texts(), ['a'], 'false drops the message');
    is($received[-1]{code}, 1001, 'and keeps the connection: the disconnect is the real one');
    is(\@asked, [ [ 'messages', 0, 1 ] ], 'arguments');
    $run->({ messages_per_second => 1, burst_multiplier => 1, on_limit_exceeded => sub { 1 }, close_code => 4000, close_reason => 'slow down' }, qw(a b));
    is($received[-1], { type => 'websocket.disconnect' }, 'true closes');

    @asked = ();
    my $bytes = $run->({ bytes_per_second => 10, burst_multiplier => 1, on_limit_exceeded => sub { push @asked, [ @_[ 1 .. 3 ] ]; 0 } }, 'x' x 6, 'x' x 100, 'x' x 4);
    is([ map { length } @{ texts() } ], [ 6, 4 ], 'bytes; a dropped message costs nothing');
    is([ $asked[0][0], $asked[0][2] ], [ 'bytes', 10 ], 'kind and limit');
    ok($asked[0][1] >= 4 && $asked[0][1] < 5, "what was left: $asked[0][1]");

    my $closes = $R->new(messages_per_second => 1, burst_multiplier => 1);
    my ($after, @later);
    drive($closes->wrap(async sub ($got, $receive, $send) {
        await $send->({ type => 'websocket.accept' });
        for my $n (1 .. 5) { push @later, (await $receive->())->{type} }
    }), ws_scope(), receive => messages(qw(a b c)));
    is(\@later, [ 'websocket.connect', 'websocket.receive', ('websocket.disconnect') x 3 ], 'disconnected now and on every later receive');

    my $limited = $R->new(messages_per_second => 20, burst_multiplier => 0.05);
    my @queue = map { { type => 'websocket.receive', text => $_ } } qw(a b);
    my $receive;
    $limited->wrap(sub ($got, $r, $s) { $receive = $r; Future->done })->(ws_scope(), sub { Future->done(shift @queue) }, sub { Future->done })->get;
    is($receive->()->get->{text}, 'a', 'first');
    Time::HiRes::sleep(0.08);
    is($receive->()->get->{text}, 'b', 'the bucket refills in fractions of a second');

    my $default = $R->new;
    is(ref $default->{on_error}, 'CODE', 'on_error default');
    like(warning { $default->{on_error}->('E') }, qr/^WebSocket::RateLimit send failed: E/, 'warns');
    my @errors;
    for my $send (sub { Future->fail("gone\n") }, sub { die "gone\n" }) {
        @errors = ();
        my $custom = $R->new(messages_per_second => 1, burst_multiplier => 1, on_error => sub { push @errors, @_ });
        my @in = (@{ messages(qw(a b)) });
        $custom->wrap(async sub ($got, $r, $s) { for my $n (1 .. 3) { await $r->() } })->(ws_scope(), sub { Future->done(shift @in) }, $send)->get;
        is(\@errors, [ "gone\n", { type => 'websocket.close', code => 1008, reason => 'Rate limit exceeded' } ], 'on_error gets error and event');
    }
    like(dies { $R->new(messages_per_second => 0) }, qr/'messages_per_second' must be a number above 0, got '0'/, 'checked');
};

subtest 'Heartbeat' => sub {
    my $H = 'PAGI::Middleware::WebSocket::Heartbeat';
    my $result = drive($H->new->wrap($listen), ws_scope(), slow => 1);
    is([ ($result->events)[1] ], [ { type => 'websocket.keepalive', interval => 30, timeout => 10 } ], 'the server is asked after the accept');
    is($scope->{'pagi.websocket.heartbeat'}, { interval => 30, timeout => 10 }, 'scope key');
    my $denied = drive($H->new(interval => 5)->wrap(async sub ($got, $receive, $send) { await $send->({ type => 'websocket.close' }) }), ws_scope());
    is($denied->types, ['websocket.close'], 'not without an accept');
    my @errors;
    my $refusing = sub ($event) { $event->{type} eq 'websocket.keepalive' ? Future->fail("no\n") : Future->done };
    $H->new(on_error => sub { push @errors, @_ })->wrap(async sub ($got, $receive, $send) { await $send->({ type => 'websocket.accept' }) })->(ws_scope(), sub { }, $refusing)->get;
    is(\@errors, ["no\n"], 'on_error');
    like(dies { $H->new(timeout => 0) }, qr/WebSocket::Heartbeat 'timeout' must be a number of seconds above 0, got '0'/, 'checked');
};

subtest 'Compression' => sub {
    my $C = 'PAGI::Middleware::WebSocket::Compression';
    my $offer = sub ($value) { ws_scope(add_headers => [ [ 'sec-websocket-extensions', $value ] ]) };
    drive($C->new(level => 1, min_size => 9)->wrap($listen), $offer->('x-other, Permessage-Deflate; client_max_window_bits'), receive => messages('hello'));
    is($scope->{'pagi.websocket.compression'}, { level => 1, min_size => 9, available => 1 }, 'scope key with the values');
    is(texts(), ['hello'], 'messages pass');
    my $sent = drive($C->new->wrap(async sub ($got, $receive, $send) { await $send->({ type => 'websocket.accept' }); await $send->({ type => 'websocket.send', text => 'x' x 1000 }) }), $offer->('permessage-deflate'));
    is([ $sent->events ], [ { type => 'websocket.accept' }, { type => 'websocket.send', text => 'x' x 1000 } ], 'events are never touched');

    for my $other (ws_scope(), $offer->('x-permessage-deflate'), http_scope(), sse_scope()) {
        my ($receive, $send, @got) = (sub { }, sub { });
        $C->new->wrap(sub { @got = @_; Future->done })->($other, $receive, $send)->get;
        is([ map { "$_" } @got ], [ map { "$_" } $other, $receive, $send ], "untouched: $other->{type}");
    }
    like(dies { $C->new(level => 10) }, qr/'level' must be 0 to 9, got '10'/, 'level checked');
    like(dies { $C->new(min_size => -1) }, qr/'min_size' must be a number of bytes, got '-1'/, 'min_size checked');
};

subtest 'other scope types pass unchanged' => sub {
    for my $class (qw(RateLimit Heartbeat)) {
        for my $other (http_scope(), sse_scope(), { type => 'lifespan' }) {
            my ($receive, $send, @got) = (sub { }, sub { });
            "PAGI::Middleware::WebSocket::$class"->new->wrap(sub { @got = @_; Future->done })->($other, $receive, $send)->get;
            is([ map { "$_" } @got ], [ map { "$_" } $other, $receive, $send ], "$class, $other->{type}");
        }
    }
};

done_testing;
