use strict;
use warnings;
use Future::AsyncAwait;
use Future::IO;
use File::Basename ();
use Cwd ();
use PAGI::Middleware::Builder;

# One place per middleware that depends on what the server does with its events.
my $here = Cwd::abs_path(File::Basename::dirname(__FILE__));

my $start = sub { return { type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/plain' ], @_ ] } };
my $hello = async sub {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    await $send->($start->());
    await $send->({ type => 'http.response.body', body => 'hello' });
};
my $connections = async sub {
    my ($scope, $receive, $send) = @_;
    if ($scope->{type} eq 'sse') {
        await $send->({ type => 'sse.start' });
        await $send->({ type => 'sse.send', data => 'visits ' . ($scope->{'pagi.session'}{visits} // 'none') });
        while ((await $receive->())->{type} ne 'sse.disconnect') { }
        return;
    }
    if ($scope->{type} eq 'websocket') {
        await $send->({ type => 'websocket.accept' });
        while (1) {
            my $event = await $receive->();
            last if $event->{type} eq 'websocket.disconnect';
            await $send->({ type => 'websocket.send', text => "$event->{text} " . ($scope->{'pagi.session'}{visits} // 'none') })
                if $event->{type} eq 'websocket.receive';
        }
        return;
    }
    $scope->{'pagi.session'}{visits}++ if $scope->{'pagi.session'};
    await $hello->($scope, $receive, $send);
};
my $streaming = async sub {
    my ($scope, $receive, $send) = @_;
    await $send->($start->());
    for my $part (1 .. 3) { await $send->({ type => 'http.response.body', body => "part $part " x 300, more => 1 }) }
    await $send->({ type => 'http.response.body', body => 'end' });
};
my $trailers = async sub {
    my ($scope, $receive, $send) = @_;
    await $send->({ %{ $start->() }, trailers => 1 });
    await $send->({ type => 'http.response.body', body => 'with trailers' });
    await $send->({ type => 'http.response.trailers', headers => [ [ 'x-sum', '1' ] ] });
};
my $slow = async sub {
    my ($scope, $receive, $send) = @_;
    await Future::IO->sleep(5);
    await $hello->($scope, $receive, $send);
};

builder {
    mount '/live'   => builder {
        enable 'Session', secret => 's';
        enable 'SSE::Heartbeat', interval => 30;
        enable 'SSE::Retry', retry => 1500;
        enable 'WebSocket::Heartbeat', interval => 30;
        enable 'WebSocket::RateLimit', messages_per_second => 3, burst_multiplier => 1;
        $connections;
    };
    mount '/guarded' => builder {
        enable 'Auth::Basic', authenticator => sub { 0 }, scope_types => [qw(http sse websocket)];
        $connections;
    };
    mount '/body'   => builder {
        enable 'Head'; enable 'GZip'; enable 'ETag'; enable 'ContentLength';
        mount '/stream'   => $streaming;
        mount '/trailers' => $trailers;
        $hello;
    };
    mount '/slow'   => builder { enable 'Timeout', timeout => 0.1; $slow };
    mount '/proxied' => builder { enable 'XSendfile', type => 'X-Sendfile'; enable 'Static', root => $here; $hello };
    mount '/files'  => builder { enable 'GZip'; enable 'ETag'; enable 'ContentLength'; enable 'Static', root => $here; $hello };
    $hello;
};
