use v5.36;
use AnyEvent;
use Future;
use Future::AsyncAwait;

my $delay = $ENV{ANYEVENT_TIMER_DELAY} // 1;

async sub awaited {
    my $future = Future->new;
    my $timer  = AnyEvent->timer(after => $delay, cb => sub { $future->done("the timer fired\n") });
    return await $future;
}

sub received {
    my $condition = AnyEvent->condvar;
    my $timer     = AnyEvent->timer(after => $delay, cb => sub { $condition->send("recv returned\n") });
    return $condition->recv;
}

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    my $text = $scope->{path} eq '/recv' ? received() : $scope->{path} eq '/now' ? "now\n" : await awaited();
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $text ] ],
    });
    await $send->({ type => 'http.response.body', body => $text });
}
