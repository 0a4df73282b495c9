use v5.36;
use Future::AsyncAwait;

# A download made on the fly, as fast as the client takes it and no faster.

my $block = join '', map { chr(65 + $_ % 26) } 1 .. 16384;

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    my ($blocks) = $scope->{query_string} =~ /\bblocks=(\d{1,6})\b/;
    $blocks //= 1000;

    # What the server holds back for this client. Not every server offers it.
    my $transport = $scope->{'pagi.transport'};
    my ($pauses, $most) = (0, 0);
    $transport->on_high_water(sub { $pauses++ }) if $transport;

    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [
            [ 'content-type',   'application/octet-stream' ],
            [ 'content-length', $blocks * length $block ],
        ],
    });
    for my $number (1 .. $blocks) {
        # Stays pending while the client is behind: this is all the flow control that a simple download needs.
        await $send->({ type => 'http.response.body', body => $block, more => $number < $blocks });

        my $waiting = $transport ? $transport->buffered_amount : 0;
        $most = $waiting if $waiting > $most;
        last if !$scope->{'pagi.connection'}->is_connected;
    }
    warn "$blocks blocks, $pauses pauses, at most $most bytes waiting\n";
}
