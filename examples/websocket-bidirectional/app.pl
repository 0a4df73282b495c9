use v5.36;
use Future::AsyncAwait;
use Future::IO;

# Two things at once on one WebSocket: answering what comes in, and sending on its own account.

my $interval = $ENV{BIDIRECTIONAL_INTERVAL} // 1;

async sub answer ($receive, $send) {
    while (1) {
        my $event = await $receive->();
        return $event if $event->{type} eq 'websocket.disconnect';
        my $said = $event->{text} // next;
        await $send->({ type => 'websocket.send', text => 'you said: ' . uc $said });
    }
}

async sub tick ($send) {
    my $number = 0;
    while (1) {
        await Future::IO->sleep($interval);
        # A slow client makes this wait; one that has just left makes it a quiet no-op.
        await $send->({ type => 'websocket.send', text => 'tick ' . ++$number });
    }
}

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'websocket';

    await $receive->();
    await $send->({ type => 'websocket.accept' });

    # Dead peers are noticed: a ping every 20 seconds has to be answered within 10.
    await $send->({ type => 'websocket.keepalive', interval => 20, timeout => 10 });

    # answer() ends with the disconnect; wait_any then cancels the ticker in its sleep.
    my $end = await Future->wait_any(answer($receive, $send), tick($send));
    warn "client left: $end->{code} $end->{reason}\n";
}
