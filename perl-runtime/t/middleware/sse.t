use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future;
use Future::AsyncAwait;
use PAGI::Middleware::SSE::Heartbeat;
use PAGI::Middleware::SSE::Retry;

my $scope;
my $stream = async sub ($got, $receive, $send) {
    $scope = $got;
    await $send->({ type => 'sse.start', status => 200 });
    await $send->({ type => 'sse.send', data => 'hi' });
    await $send->({ type => 'sse.send', data => 'own', retry => 7 });
};
my $decline = async sub ($got, $receive, $send) {
    await $send->({ type => 'sse.http.response.start', status => 404, headers => [] });
    await $send->({ type => 'sse.http.response.body', body => '' });
};

subtest 'Retry' => sub {
    my $R = 'PAGI::Middleware::SSE::Retry';
    my $result = drive($R->new->wrap($stream), sse_scope(), slow => 1);
    my @events = $result->events;
    is($events[1], { type => 'sse.send', event => 'retry', data => '', retry => 3000 }, 'a hint right after the start, in a form the server takes');
    is($scope->{'pagi.sse.retry'}, 3000, 'scope key');
    is([ map { $_->{retry} } @events[ 2, 3 ] ], [ undef, 7 ], 'events untouched');
    is($result->rejected, [], 'valid');

    my $given = { type => 'sse.send', data => 'hi' };
    my @all = drive($R->new(retry => 50, include_on_events => 1, include_on_start => 0)->wrap(async sub ($got, $receive, $send) {
        await $send->({ type => 'sse.start' });
        await $send->($given);
        await $send->({ type => 'sse.send', data => 'own', retry => 0 });
    }), sse_scope())->events;
    is([ map { $_->{retry} } @all ], [ undef, 50, 0 ], 'include_on_events; a defined retry stays');
    ok(!exists $given->{retry}, 'on a copy');
    is(drive($R->new->wrap($decline), sse_scope())->types, [qw(sse.http.response.start sse.http.response.body)], 'a declined stream gets none');
    like(dies { $R->new(retry => 'soon') }, qr/SSE::Retry 'retry' must be a whole number of milliseconds, got 'soon'/, 'checked');
};

subtest 'Heartbeat' => sub {
    my $H = 'PAGI::Middleware::SSE::Heartbeat';
    my $result = drive($H->new->wrap($stream), sse_scope(), slow => 1);
    is([ ($result->events)[1] ], [ { type => 'sse.keepalive', interval => 15, comment => 'keepalive' } ], 'the server is asked after the start');
    is($scope->{'pagi.sse.heartbeat'}, { interval => 15, comment => 'keepalive' }, 'scope key');
    is(drive($H->new(interval => 0.5, comment => '')->wrap($stream), sse_scope())->types, [qw(sse.start sse.keepalive sse.send sse.send)], 'once');
    is(drive($H->new->wrap($decline), sse_scope())->types, [qw(sse.http.response.start sse.http.response.body)], 'a declined stream gets none');

    my @errors;
    my $refusing = sub ($event) { $event->{type} eq 'sse.keepalive' ? Future->fail("no\n") : Future->done };
    my $done = $H->new(on_error => sub { push @errors, @_ })->wrap($stream)->(sse_scope(), sub { Future->new }, $refusing);
    is([ \@errors, $done->is_done ], [ ["no\n"], !!1 ], 'on_error; the stream goes on');
    like(warning { $H->new->wrap($stream)->(sse_scope(), sub { Future->new }, $refusing) }, qr/SSE::Heartbeat send failed: no/, 'default: warns');
    like(dies { $H->new(interval => $_) }, qr/SSE::Heartbeat 'interval' must be a number of seconds above 0, got '\Q$_\E'/, "interval $_") for 0, -1, 'x', 'inf', 'nan';
};

subtest 'a start that was refused' => sub {
    my $again = async sub ($got, $receive, $send) {
        eval { await $send->({ type => 'sse.start', status => 'bogus' }); 1 };
        await $send->({ type => 'sse.start' });
    };
    my %expected = (Retry => 'sse.send', Heartbeat => 'sse.keepalive');
    for my $class (sort keys %expected) {
        my $result = drive("PAGI::Middleware::SSE::$class"->new->wrap($again), sse_scope());
        is($result->types, [ 'sse.start', $expected{$class} ], "$class follows the corrected one");
        is(scalar @{ $result->rejected }, 1, 'and only that');
    }
    my $refusing = sub ($event) { $event->{type} eq 'sse.send' ? Future->fail("no\n") : Future->done };
    my $done;
    like(warning { $done = PAGI::Middleware::SSE::Retry->new->wrap(async sub ($got, $receive, $send) { await $send->({ type => 'sse.start' }) })->(sse_scope(), sub { }, $refusing) },
        qr/^SSE::Retry send failed: no/, 'a refused hint is only warned about');
    ok($done->is_done, 'the stream goes on');
};

subtest 'other scope types pass unchanged' => sub {
    for my $class (qw(Retry Heartbeat)) {
        for my $other (http_scope(), ws_scope(), { type => 'lifespan' }) {
            my ($receive, $send, @got) = (sub { }, sub { });
            "PAGI::Middleware::SSE::$class"->new->wrap(sub { @got = @_; Future->done })->($other, $receive, $send)->get;
            is([ map { "$_" } @got ], [ map { "$_" } $other, $receive, $send ], "$class, $other->{type}");
        }
    }
};

done_testing;
