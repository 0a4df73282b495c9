use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGI::WorkerPool;
use PAGITest::Backends qw(each_backend);

# The same application with a pool and without: what is registered for it runs in place where there is none.

my $app = <<'APP';
use v5.36;
use Future::AsyncAwait;
use PAGI::Response;
use PAGI::WorkerPool;

my $loaded_in = $$;
my $pool = PAGI::WorkerPool->new(name => 'pool of ' . __FILE__)->register_app(
    where => async sub ($scope, $receive, $send) {
        await PAGI::Response->json({ pid => $$, worker => PAGI::WorkerPool->is_worker })->respond($send);
    },
);
async sub ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'http';
    return await $pool->run_app('where', $scope, $receive, $send) if $scope->{path} eq '/where';
    await PAGI::Response->json({ pid => $$, worker => PAGI::WorkerPool->is_worker })->respond($send);
};
APP

# What the application prints in this process; a server has a log.
sub both ($client) {
    my $printed = '';
    open my $capture, '>', \$printed or die "Cannot write to memory: $!";
    local *STDERR = $capture;
    return ((map { $client->get($_)->json } qw(/ /where)), $printed);
}

each_backend($app, sub ($client, $backend) {
    my ($here, $there, $printed) = both($client);
    is $here->{worker}, 0, 'no worker of a server with a pool';
    is $there, $here, 'in place';
    like $printed, qr/\AThe blocking handler at \S+ line \d+ runs in the event loop .*: there is no pool \(--pool\)$/, 'which is told' if $backend ne 'server';
});

each_backend($app, sub ($client, $backend) {
    my ($here, $there) = both($client);
    my $expected = $backend eq 'server' ? 1 : 0;
    is [ $here->{worker}, $there->{worker} ], [ $expected, 0 ], 'is_worker';
    is $here->{pid} == $there->{pid} ? 0 : 1, $expected, 'in another process, if there is one';
}, server_args => [ '--pool', 1 ]);

my $pool = PAGI::WorkerPool->new(name => 'names');
ref_is($pool->register_app(a => sub {}), $pool, 'register_app gives the pool');
like dies { $pool->register_app(a => sub {}) }, qr/\AThere is an application 'a' already at /, 'names are unique';

done_testing;
