# All four scope types in one application, with raw events only: what the client and the server make of them is the test.

use strict;
use warnings;

use Future::AsyncAwait;
use JSON::MaybeXS qw(decode_json encode_json);

async sub http {
    my ($scope, $receive, $send) = @_;

    my ($status, $type, $body) = (404, 'text/plain', 'Not Found');
    if ("$scope->{method} $scope->{path}" eq 'POST /double') {
        my ($json, $event) = ('');
        do { $event = await $receive->(); $json .= $event->{body} } while $event->{more};
        ($status, $type, $body) = (201, 'application/json', encode_json({ double => 2 * decode_json($json)->{n} }));
    }
    elsif ($scope->{path} eq '/count') {
        ($status, $body) = (200, ++${ $scope->{state}{counter} });
    }
    elsif ($scope->{path} eq '/echo') {
        ($status, $body) = (200, join "\n", $scope->{query_string},
            map { "$_->[0]=$_->[1]" } grep { $_->[0] =~ /\A(?:cookie|x-)/ } @{ $scope->{headers} });
    }
    my @cookies = $scope->{path} eq '/echo' ? (['set-cookie', 'seen=1; Path=/']) : ();
    await $send->({
        type => 'http.response.start', status => $status,
        headers => [['content-type', $type], ['x-twice', 'a'], ['x-twice', 'b'], @cookies],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

async sub websocket {
    my ($scope, $receive, $send) = @_;

    return await $send->({ type => 'websocket.close' }) if $scope->{path} eq '/ws/refuse';
    await $receive->();
    await $send->({
        type => 'websocket.accept',
        @{ $scope->{subprotocols} } ? (subprotocol => $scope->{subprotocols}[-1]) : (),
    });
    while (1) {
        my $event = await $receive->();
        last if $event->{type} eq 'websocket.disconnect';
        if (($event->{text} // '') eq 'bye') {
            return await $send->({ type => 'websocket.close', code => 4001, reason => "tsch\x{fc}ss" });
        }
        await $send->({
            type => 'websocket.send',
            defined $event->{text} ? (text => "echo: $event->{text}") : (bytes => scalar reverse $event->{bytes}),
        });
    }
}

async sub sse {
    my ($scope, $receive, $send) = @_;

    if ($scope->{path} ne '/events') {
        await $send->({ type => 'sse.http.response.start', status => 404, headers => [['content-type', 'text/plain']] });
        return await $send->({ type => 'sse.http.response.body', body => 'no such stream' });
    }
    await $send->({ type => 'sse.start' });
    await $send->({ type => 'sse.send', event => 'hello', data => qq({"method":"$scope->{method}","smile":"\x{263a}"}), id => 'x7', retry => 1500 });
    await $send->({ type => 'sse.comment', comment => 'between' });
    await $send->({ type => 'sse.send', data => "two\nlines" });
    await $send->({ type => 'sse.close' });
}

async sub lifespan {
    my ($scope, $receive, $send) = @_;

    while (1) {
        my $event = await $receive->();
        if ($event->{type} eq 'lifespan.startup') {
            $scope->{state}{counter} = \my $counter;    # a reference: each request has its own copy of the state (SCOPE-8)
            await $send->({ type => 'lifespan.startup.complete' });
        }
        elsif ($event->{type} eq 'lifespan.shutdown') {
            return await $send->({ type => 'lifespan.shutdown.complete' });
        }
    }
}

my %handlers = (http => \&http, websocket => \&websocket, sse => \&sse, lifespan => \&lifespan);

sub {
    my ($scope) = @_;
    my $handler = $handlers{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->(@_);
};
