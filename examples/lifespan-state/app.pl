use v5.36;
use Future::AsyncAwait;

# Things that live as long as a worker: made at start-up, shared by all its requests, closed at shutdown.

async sub lifespan ($scope, $receive, $send) {
    while (1) {
        my $event = await $receive->();
        if ($event->{type} eq 'lifespan.startup') {
            # Each request gets a shallow copy of this hash: references in it are shared, its own keys are not.
            $scope->{state}{counter} = { requests => 0, since => time };
            await $send->({ type => 'lifespan.startup.complete' });
        }
        elsif ($event->{type} eq 'lifespan.shutdown') {
            warn "worker $$ served $scope->{state}{counter}{requests} requests\n";
            await $send->({ type => 'lifespan.shutdown.complete' });
            return;
        }
    }
}

async sub count ($scope, $receive, $send) {
    my $counter = $scope->{state}{counter};
    my $number  = ++$counter->{requests};
    my $body    = "request $number of worker $$\n";
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $body ] ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

my %handler = (lifespan => \&lifespan, http => \&count);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
