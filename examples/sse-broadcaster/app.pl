use v5.36;
use Future::AsyncAwait;

# What is posted goes to everybody who listens. Listeners are in this process: run it without workers.

my $behind  = 1_000_000;    # bytes that a listener may be behind before we give up on it
my $longest = 10_000;       # bytes of a message
my $last_id = 0;
my %listeners;              # id => { send, transport, closed => Future }

sub broadcast ($text) {
    my %event = (type => 'sse.send', event => 'news', id => ++$last_id . '', data => $text);
    for my $id (keys %listeners) {
        my $listener = $listeners{$id};
        if ($listener->{transport}->buffered_amount > $behind) {
            delete $listeners{$id};
            $listener->{send}->({ type => 'sse.close', reason => 'too slow' })->retain;
            next;
        }
        # Nobody waits: one listener's slow network is not the others' business.
        $listener->{send}->({%event})->retain;
    }
    return scalar keys %listeners;
}

async sub listen_to ($scope, $receive, $send) {
    await $send->({ type => 'sse.start' });
    await $send->({ type => 'sse.keepalive', interval => 20 });
    await $send->({ type => 'sse.comment', comment => 'you are listening' });

    my $id = 0 + $send;
    $listeners{$id} = { send => $send, transport => $scope->{'pagi.transport'} };
    while (1) {
        my $event = await $receive->();
        last if $event->{type} eq 'sse.disconnect';
    }
    delete $listeners{$id};
}

# The body, or undef when it is too long or the client has gone.
async sub body ($receive) {
    my $body = '';
    while (1) {
        my $event = await $receive->();
        return undef if $event->{type} ne 'http.request';
        $body .= $event->{body};
        return undef if length $body > $longest;
        return $body if !$event->{more};
    }
}

async sub respond ($send, $status, $body, @headers) {
    await $send->({
        type    => 'http.response.start',
        status  => $status,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $body ], @headers ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

async sub post ($scope, $receive, $send) {
    if ($scope->{method} ne 'POST') {
        return await respond($send, 405, "POST something, or listen: curl -N -H 'Accept: text/event-stream'\n", [ 'allow', 'POST' ]);
    }
    my $body = await body($receive);
    if (!defined $body || !utf8::decode($body)) {
        return await respond($send, 422, "At most $longest bytes of UTF-8, please.\n");
    }
    my $reached = broadcast($body);
    await respond($send, 202, "told $reached\n");
}

my %handler = (sse => \&listen_to, http => \&post);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
