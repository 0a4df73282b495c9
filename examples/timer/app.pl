use v5.36;
use Future::AsyncAwait;
use Future::IO;

# Waiting without blocking: while one request sleeps, the worker serves others.

my $seconds = $ENV{TIMER_SECONDS} // 1;

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    if ($scope->{path} ne '/now') {
        await Future::IO->sleep($seconds);
    }

    my $body = $scope->{path} eq '/now' ? "at once\n" : "after $seconds s\n";
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $body ] ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}
