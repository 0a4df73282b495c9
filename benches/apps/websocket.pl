use strict;
use warnings;
use Future::AsyncAwait;

async sub {
    my ($scope, $receive, $send) = @_;
    die "websocket serves WebSockets only, not $scope->{type}\n" if $scope->{type} ne 'websocket';

    await $receive->();
    await $send->({ type => 'websocket.accept' });
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'websocket.disconnect';
        await $send->({ type => 'websocket.send', text => $event->{text} });
    }
};
