use v5.36;
use EV;
use Future;
use Future::AsyncAwait;
use Future::IO;

# An EV timer that ticks for as long as the worker lives, and an EV timer in a request.

our $ticks = 0;
our $ticker = EV::timer(0.01, 0.01, sub { $ticks++ });

# EV knows callbacks; a Future makes one awaitable.
sub ev_sleep ($seconds) {
    my $future = Future->new;
    my $timer  = EV::timer($seconds, 0, sub { $future->done });
    return $future->on_ready(sub { undef $timer });
}

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    my $before = $ticks;
    my $waited = await Future->wait_any(
        ev_sleep(0.05)->then_done(1),
        Future::IO->sleep(2)->then_done(0),
    );
    my $text = $waited && $ticks > $before ? "EV turns\n" : "nobody turns EV: start the server with --loop EV\n";
    await $send->({
        type    => 'http.response.start',
        status  => $waited ? 200 : 500,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $text ] ],
    });
    await $send->({ type => 'http.response.body', body => $text });
}
