use strict;
use warnings;
use Future::AsyncAwait;
use Future::IO;
use Time::HiRes qw(time);

async sub disconnected {
    my ($receive) = @_;
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'sse.disconnect';
    }
}

async sub {
    my ($scope, $receive, $send) = @_;
    die "sse serves event streams only, not $scope->{type}\n" if $scope->{type} ne 'sse';

    await $send->({ type => 'sse.start' });
    my $gone = disconnected($receive);
    until ($gone->is_ready) {
        await $send->({ type => 'sse.send', event => 'tick', data => sprintf '%.6f', time });
        await Future::IO->sleep(0.05);
    }
};
