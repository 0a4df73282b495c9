use v5.36;
use Future::AsyncAwait;
use Future::IO;

# A response in pieces, as they become known. When the client goes away, so does the work.

my $pieces   = 5;
my $interval = $ENV{STREAMING_INTERVAL} // 0.5;

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    # No content-length: the server frames the body (chunked, or by closing for HTTP/1.0).
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ] ],
    });

    my $client = $scope->{'pagi.connection'};
    for my $number (1 .. $pieces) {
        await $send->({ type => 'http.response.body', body => "piece $number of $pieces\n", more => 1 });

        # Whichever comes first; the loser is cancelled.
        await Future->wait_any(Future::IO->sleep($interval), $client->disconnect_future);
        if (!$client->is_connected) {
            warn "client left after piece $number: " . $client->disconnect_reason . "\n";
            return;
        }
    }
    await $send->({ type => 'http.response.body', body => "done\n", more => 0 });
}
