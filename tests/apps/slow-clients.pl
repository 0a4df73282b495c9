use v5.36;
use Future::AsyncAwait;

# For tests/slow-clients: a small answer, and under /large one that a slow reader can be slow with.

my $large = 'x' x 1_000_000;

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    my $body = $scope->{path} eq '/large' ? $large : "hello\n";
    if ($scope->{method} eq 'POST') {
        while (1) {
            my $event = await $receive->();
            return if $event->{type} ne 'http.request';
            last if !$event->{more};
        }
    }
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $body ] ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}
