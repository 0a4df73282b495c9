use v5.36;
use Future::AsyncAwait;
use PAGI::WorkerPool;

# /quick is hello; /pool and /inline block for so many milliseconds, one in a pool process and one in the event loop.

my $seconds = ($ENV{BLOCKING_MS} // 200) / 1000;
my $pool = PAGI::WorkerPool->new(handlers => { 'block.now' => sub { select undef, undef, undef, $seconds; return } });

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    await $pool->call('block.now') if $scope->{path} eq '/pool';
    if ($scope->{path} eq '/inline') {
        my $until = $seconds;
        select undef, undef, undef, $until;
    }
    my $body = 'Hello, World!';
    await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $body ] ] });
    await $send->({ type => 'http.response.body', body => $body });
}
