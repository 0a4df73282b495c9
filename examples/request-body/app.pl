use v5.36;
use Digest::SHA;
use Future::AsyncAwait;

# Reads a request body piece by piece: an upload of any size needs no more memory than one piece.

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    my ($bytes, $pieces, $digest) = (0, 0, Digest::SHA->new(256));
    while (1) {
        my $event = await $receive->();
        # The client went away in the middle: nobody is left to answer.
        return if $event->{type} eq 'http.disconnect';

        $digest->add($event->{body});
        $bytes += length $event->{body};
        $pieces++;
        last if !$event->{more};
    }

    my $body = sprintf "%s: %d bytes, sha256 %s\n", $scope->{method}, $bytes, $digest->hexdigest;
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $body ], [ 'x-pieces', $pieces ] ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}
