use strict;
use warnings;
use Future;
use Future::AsyncAwait;
use Future::IO;
use PAGI::App::Router;
use PAGI::Utils qw(handle_lifespan);

# Handlers that speak the protocol themselves: HTTP, a streamed response, WebSocket and server-sent events.

async sub answer {
    my ($send, $status, $headers, $body) = @_;
    await $send->({ type => 'http.response.start', status => $status, headers => [@$headers, ['content-length', length $body]] });
    await $send->({ type => 'http.response.body', body => $body, more => 0 });
}

async sub home {
    my ($scope, $receive, $send) = @_;
    $scope->{state}{counters}{request_counter}++;
    await answer($send, 200, [['content-type', 'text/plain']], 'Hello, World!');
}

async sub echo {
    my ($scope, $receive, $send) = @_;
    $scope->{state}{counters}{request_counter}++;
    my $body = '';
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'http.disconnect';
        $body .= $event->{body};
        last unless $event->{more};
    }
    my ($type) = map { $_->[1] } grep { $_->[0] eq 'content-type' } @{ $scope->{headers} };
    await answer($send, 200, [['content-type', $type // 'application/octet-stream'], ['x-echoed-length', length $body]], $body);
}

async sub stream {
    my ($scope, $receive, $send) = @_;
    my $count = ++$scope->{state}{counters}{request_counter};
    await $send->({ type => 'http.response.start', status => 200, headers => [['content-type', 'text/plain']] });
    for my $chunk ("This is request $count\n", map {"Chunk $_\n"} 2 .. 5) {
        await $send->({ type => 'http.response.body', body => $chunk, more => 1 });
        await Future::IO->sleep(0.5);
    }
    await $send->({ type => 'http.response.body', body => '', more => 0 });
}

async sub ws_echo {
    my ($scope, $receive, $send) = @_;
    await $send->({ type => 'websocket.accept' });
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'websocket.disconnect';
        next if $event->{type} ne 'websocket.receive';
        await $send->({
            type => 'websocket.send',
            defined $event->{text} ? (text => "Echo: $event->{text}") : (bytes => $event->{bytes}),
        });
    }
}

async sub ticks {
    my ($send) = @_;
    for my $id (1 .. 10) {
        await $send->({ type => 'sse.send', event => 'tick', id => $id, data => "Tick $id" });
        await Future::IO->sleep(1);
    }
    await $send->({ type => 'sse.send', event => 'done', data => 'No more ticks' });
}

async sub gone {
    my ($receive) = @_;
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'sse.disconnect';
    }
}

async sub events {
    my ($scope, $receive, $send) = @_;
    await $send->({ type => 'sse.start' });
    await Future->wait_any(ticks($send), gone($receive));    # whichever is first ends the other
}

my $router = PAGI::App::Router->new;
$router->get('/'             => \&home)->name('home');
$router->post('/echo'        => \&echo)->name('echo');
$router->get('/stream'       => \&stream)->name('stream');
$router->websocket('/ws/echo' => \&ws_echo)->name('ws_echo');
$router->sse('/events'       => \&events)->name('events');
my $routes = $router->to_app;

async sub app {
    my ($scope, $receive, $send) = @_;
    return await $routes->($scope, $receive, $send) if $scope->{type} ne 'lifespan';
    return await handle_lifespan(
        $scope, $receive, $send,
        # Requests get a copy of the state, but share what is in it.
        startup => sub { my ($state) = @_; $state->{counters} = { request_counter => 0, started_at => time } },
    );
}

\&app;
