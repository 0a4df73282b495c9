use strict;
use warnings;
use Future::AsyncAwait;

async sub {
    my ($scope, $receive, $send) = @_;
    die "sse-idle serves event streams only, not $scope->{type}\n" if $scope->{type} ne 'sse';

    await $send->({ type => 'sse.start' });
    await $send->({ type => 'sse.keepalive', interval => 1 });
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'sse.disconnect';
    }
};
