package ChatApp::SSE;

use strict;
use warnings;
use Future;
use Future::AsyncAwait;
use Future::IO;
use JSON::MaybeXS ();
use ChatApp::State qw(subscribe unsubscribe events_since stats);

# What happens in the chat, for the panel of the page: raw server-sent events.

my $JSON = JSON::MaybeXS->new(utf8 => 0, canonical => 1);

sub _send {
    my ($send, $type, $data, $id) = @_;
    return $send->({ type => 'sse.send', event => $type, data => $JSON->encode($data), defined $id ? (id => "$id") : () });
}

async sub statistics {
    my ($send) = @_;
    while (1) {
        await _send($send, stats => stats());
        await Future::IO->sleep(10);
    }
}

async sub gone {
    my ($receive) = @_;
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'sse.disconnect';
    }
}

async sub app {
    my ($scope, $receive, $send) = @_;
    await $send->({ type => 'sse.start', status => 200, headers => [ [ 'cache-control', 'no-cache' ], [ 'x-accel-buffering', 'no' ] ] });
    my ($last) = map { $_->[1] } grep { lc $_->[0] eq 'last-event-id' } @{ $scope->{headers} };
    my @missed = defined $last && $last =~ /\A[0-9]+\z/ ? events_since($last) : ();
    for my $event (@missed) {
        await _send($send, @$event{qw(type data id)});
    }
    my $subscription = subscribe(sub {
        my ($event) = @_;
        _send($send, @$event{qw(type data id)})->else(sub { Future->done })->retain;
    });
    my $ok = eval { await Future->wait_any(statistics($send), gone($receive)); 1 };
    my $error = $@;
    unsubscribe($subscription);
    die $error unless $ok;
}

1;
