use v5.36;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Lifespan;
use PAGI::Test::Client;
use Time::HiRes qw(time);

my $page = async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', body => join ',', map { "$_=$scope->{state}{$_}" } sort keys %{ $scope->{state} // {} } });
};
my @log;
my $app = PAGI::Lifespan->wrap($page,
    startup => async sub ($state) { push @log, 'up'; $state->{db} = 'open' }, shutdown => async sub { push @log, 'down' });

subtest 'off by default' => sub {
    my $seen;
    my $client = PAGI::Test::Client->new(app => async sub ($scope, $receive, $send) { $seen = $scope; await $page->($scope, $receive, $send) });
    ref_is $client->start, $client, 'start does nothing';
    $client->get('/');
    ok !exists $seen->{state}, 'no state in the scope';
    is $client->state, {}, 'an empty state';
    ref_is $client->stop, $client, 'stop does nothing';
};

subtest 'start and stop' => sub {
    @log = ();
    my $client = PAGI::Test::Client->new(app => $app, lifespan => 1);
    is [$client->{started}, $client->state], [0, {}], 'not started';
    ref_is $client->start, $client, 'start chains';
    $client->start;
    is [$client->{started}, \@log, $client->state], [1, ['up'], { db => 'open' }], 'started once';
    is $client->get('/')->content, 'db=open', 'requests see the state';
    ref_is $client->stop, $client, 'stop chains';
    $client->stop;
    is [$client->{started}, \@log, $client->state], [0, ['up', 'down'], { db => 'open' }], 'stopped once, the state survives';
    $client->start->stop;
    is \@log, ['up', 'down', 'up', 'down'], 'and once more';
};

subtest 'run' => sub {
    @log = ();
    is [PAGI::Test::Client->run($app, sub ($client) { push @log, $client->get('/')->content })], [], 'returns nothing';
    is \@log, ['up', 'db=open', 'down'], 'start, callback, stop';
    @log = ();
    is dies { PAGI::Test::Client->run($app, sub { die "x\n" }) }, "x\n", 'an exception passes';
    is \@log, ['up', 'down'], 'after the stop';
};

subtest 'startup that fails' => sub {
    my $refused = sub ($app, $pattern, $name) {
        my $client = PAGI::Test::Client->new(app => $app, lifespan => 1);
        my $began = time;
        like dies { $client->start }, $pattern, $name;
        ok time - $began < 2, '... at once';
        is $client->{started}, 0, '... and is not started';
    };
    my $failing = sub (%event) {
        return async sub ($scope, $receive, $send) {
            await $receive->();
            await $send->({ type => 'lifespan.startup.failed', %event });
        };
    };
    $refused->(PAGI::Lifespan->wrap($page, startup => async sub { die "no database\n" }), qr/\Ano database\n\z/, 'message of the app');
    $refused->($failing->(message => 'no disk'), qr/\Ano disk\n\z/, 'without a newline of its own');
    $refused->($failing->(), qr/\Alifespan startup failed\n\z/, 'the default message');
    $refused->(async sub { die "bug\n" }, qr/\Abug\n\z/, 'an exception');
    $refused->(sub { die "plain bug\n" }, qr/\Aplain bug\n\z/, 'a plain exception');
    $refused->(async sub { }, qr/\APAGI lifespan app returned without sending lifespan\.startup\.complete or lifespan\.startup\.failed at .*lifespan\.t/, 'an app that ignores lifespan');
    $refused->(sub { 1 }, qr/\APAGI lifespan app did not return a Future/, 'no Future');
};

subtest 'hooks that wait on real I/O' => sub {
    require Future::IO;
    require Future::IO::Impl::IOAsync;
    @log = ();
    my $app = PAGI::Lifespan->wrap($page,
        startup  => async sub ($state) { await Future::IO->sleep(0.05); push @log, 'up'; $state->{slept} = 1 },
        shutdown => async sub ($state) { await Future::IO->sleep(0.05); push @log, 'down' },
    );
    PAGI::Test::Client->run($app, sub ($client) { is $client->get('/')->content, 'slept=1', 'the startup completes' });
    is \@log, ['up', 'down'], 'and so does the shutdown';
    my $failing = PAGI::Lifespan->wrap($page, startup => async sub { await Future::IO->sleep(0.02); die "late\n" });
    is dies { PAGI::Test::Client->new(app => $failing, lifespan => 1)->start }, "late\n", 'a late failure';
};

done_testing;
