use strict;
use warnings;
use Future::AsyncAwait;
use Future::IO;
use Time::HiRes qw(time);

my %listeners;
my $ticker;

async sub tick {
    while (%listeners) {
        my $stamp = sprintf '%.6f', time;
        $_->({ type => 'sse.send', event => 'tick', data => $stamp }) for values %listeners;
        await Future::IO->sleep(0.05);
    }
    undef $ticker;
}

async sub {
    my ($scope, $receive, $send) = @_;
    die "sse-broadcast serves event streams only, not $scope->{type}\n" if $scope->{type} ne 'sse';

    await $send->({ type => 'sse.start' });
    $listeners{ 0 + $send } = $send;
    $ticker ||= tick();
    while (1) {
        my $event = await $receive->();
        last if $event->{type} eq 'sse.disconnect';
    }
    delete $listeners{ 0 + $send };
};
