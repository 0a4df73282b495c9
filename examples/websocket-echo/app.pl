use v5.36;
use Future::AsyncAwait;

# Every message comes back as it was: text as text, bytes as bytes.

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'websocket';

    await $receive->();    # websocket.connect; the handshake is answered by accept
    await $send->({ type => 'websocket.accept' });

    while (1) {
        my $event = await $receive->();
        if ($event->{type} eq 'websocket.disconnect') {
            warn "client left: $event->{code} $event->{reason}\n";
            return;
        }
        # Exactly one of the two is there. Text is characters, in both directions.
        my ($kind) = grep { defined $event->{$_} } qw(text bytes);
        await $send->({ type => 'websocket.send', $kind => $event->{$kind} });
    }
}
