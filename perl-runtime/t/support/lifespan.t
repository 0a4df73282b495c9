use v5.36;
use lib 't/lib';
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Lifespan;
use PAGI::Test::Client;
use PAGI::Utils qw(handle_lifespan);
use PAGITest::Events qw(scripted);
use TestApps::Component;

my @both = ({ type => 'lifespan.startup' }, { type => 'lifespan.shutdown' });

sub lifespan_scope (%more) { return { type => 'lifespan', pagi => { version => '0.2' }, %more } }

# Runs a whole lifespan and returns what was sent, as "type[: message]".
sub outcome ($app, $scope = lifespan_scope(), @events) {
    my ($receive, $send, $sent) = scripted(@events ? @events : @both);
    my $future = $app->($scope, $receive, $send);
    $future->get if $future->is_ready;
    return [map { defined $_->{message} ? "$_->{type}: $_->{message}" : $_->{type} } @$sent];
}

my $ignores = async sub ($scope, $receive, $send) { };
my $rejects = async sub ($scope, $receive, $send) { die "Unsupported scope type: $scope->{type}\n" };
my $ok = ['lifespan.startup.complete', 'lifespan.shutdown.complete'];

subtest 'wrap' => sub {
    my @log;
    my $seen;
    my $app = PAGI::Lifespan->wrap(
        async sub ($scope, $receive, $send) { $seen = $scope->{state} if $scope->{type} eq 'http' },
        startup  => async sub ($state) { push @log, 'up'; $state->{db} = 'open' },
        shutdown => async sub ($state) { push @log, "down $state->{db}" },
    );
    is ref $app, 'CODE', 'gives an app';
    my $scope = lifespan_scope(state => my $state = {});
    is outcome($app, $scope), $ok, 'startup and shutdown are answered';
    is \@log, ['up', 'down open'], 'hooks ran with the shared state';
    is $state->{db}, 'open', 'which is the hash of the scope';

    $app->({ type => 'http' })->get;
    is $seen->{db}, 'open', 'a later request without state gets it';
    $app->({ type => 'http', state => { mine => 1 } })->get;
    is $seen, { mine => 1 }, 'a request with state keeps its own';
};

subtest 'state before any lifespan' => sub {
    my $manager = PAGI::Lifespan->new(app => async sub ($scope, @) { $scope->{state}{count}++ });
    is $manager->state, undef, 'undef before first use';
    my $app = $manager->to_app;
    my $scope = { type => 'http' };
    $app->($scope)->get for 1 .. 2;
    is $manager->state, { count => 2 }, 'requests share a hash that the manager adopts';
    ok !exists $scope->{state}, 'added to a copy of the scope';
};

subtest 'registering' => sub {
    my @log;
    my $manager = PAGI::Lifespan->new(app => $ignores, startup => sub { push @log, 1 }, shutdown => sub { push @log, 'a' });
    ref_is $manager->on_startup(sub { push @log, 2 }), $manager, 'on_startup chains';
    ref_is $manager->on_shutdown(sub { push @log, 'b' }), $manager, 'on_shutdown chains';
    ref_is $manager->register(startup => async sub { push @log, 3 }, shutdown => async sub { push @log, 'c' }), $manager, 'register chains';
    ref_is $manager->register, $manager, 'register without hooks does nothing';
    is outcome($manager->to_app), $ok, 'answered';
    is \@log, [1, 2, 3, 'c', 'b', 'a'], 'in order, and in reverse; plain return values will do';

    like dies { PAGI::Lifespan->new->to_app }, qr/PAGI::Lifespan->to_app requires an app/, 'to_app without an app';
    like dies { PAGI::Lifespan->for_scope(undef) }, qr/scope is required/, 'for_scope without a scope';
    my $scope = {};
    ref_is(PAGI::Lifespan->for_scope($scope), PAGI::Lifespan->for_scope($scope), 'one manager per scope');
    like dies { PAGI::Lifespan->new(app => {}) }, qr/Cannot coerce HASH reference/, 'app is coerced';
    is outcome(PAGI::Lifespan->wrap(TestApps::Component->new)), [
        'http.response.start', 'http.response.body', @$ok,
    ], 'a component, here one that ignores the scope type, is an app';
};

subtest 'failures' => sub {
    my @log;
    my $manager = PAGI::Lifespan->new(app => $ignores);
    $manager->on_startup(sub { push @log, 'first' });
    $manager->on_startup(async sub { die "no database\n" });
    $manager->on_startup(sub { push @log, 'never' });
    is outcome($manager->to_app), ["lifespan.startup.failed: no database\n"], 'the first failure ends the startup';
    is \@log, ['first'], 'later hooks do not run';

    @log = ();
    $manager = PAGI::Lifespan->new(app => $ignores);
    $manager->on_shutdown(sub { push @log, 1 });
    $manager->on_shutdown(sub { push @log, 2; die "two" });
    $manager->on_shutdown(async sub { push @log, 3; die "three\n" });
    like outcome($manager->to_app)->[1], qr/\Alifespan\.shutdown\.failed: three\n\ntwo at .*line/, 'messages are joined';
    is \@log, [3, 2, 1], 'every shutdown hook ran';
};

subtest 'handle' => sub {
    my $manager = PAGI::Lifespan->new;
    my ($receive, $send, $sent) = scripted(@both);
    is $manager->handle({ type => 'http' }, $receive, $send)->get, 0, 'another scope type: 0, unread';
    my $scope = lifespan_scope();
    is $manager->handle($scope, $receive, $send)->get, 1, '1 after the shutdown';
    ok $scope->{'pagi.lifespan.handled'}, 'the scope is marked';
    is $manager->handle($scope, sub { die 'not read' }, $send)->get, 0, 'a handled scope: 0';

    ($receive, $send) = scripted({ type => 'lifespan.other' }, $both[0]);
    my $failing = PAGI::Lifespan->new(startup => sub { die "x\n" });
    is $failing->handle(lifespan_scope(), $receive, $send)->get, undef, 'undef after a failed startup; other events are ignored';
};

subtest 'handlers in the scope' => sub {
    my @log;
    my $manager = PAGI::Lifespan->new(app => $ignores, startup => sub { push @log, 'own up' }, shutdown => sub { push @log, 'own down' });
    my $scope = lifespan_scope('pagi.lifespan.handlers' => [
        { startup => sub { push @log, 'scope up' }, shutdown => sub { push @log, 'scope down' } },
        { startup => sub { push @log, 'scope up 2' } },
    ]);
    is outcome($manager->to_app, $scope), $ok, 'answered';
    is \@log, ['scope up', 'scope up 2', 'own up', 'own down', 'scope down'], 'scope handlers first, shutdown reversed';
};

subtest 'handle_lifespan' => sub {
    my @log;
    my $app = async sub ($scope, $receive, $send) {
        return await handle_lifespan($scope, $receive, $send,
            startup => async sub ($state) { $state->{n} = 1; push @log, 'up' }, shutdown => sub { push @log, 'down' });
    };
    is outcome($app), $ok, 'answered';
    is \@log, ['up', 'down'], 'hooks ran';
    like $app->({ type => 'http' }, sub { }, sub { })->failure,
        qr/handle_lifespan called with scope type 'http' \(expected 'lifespan'\)\. Check scope type before calling: /, 'wrong scope type';

    @log = ();
    my $scope = lifespan_scope('pagi.lifespan.handlers' => [map { my $name = $_; +{ startup => sub { push @log, "$name up" }, shutdown => sub { push @log, "$name down" } } } 'a', 'b']);
    is outcome($app, $scope), $ok, 'handlers in the scope: answered once';
    is \@log, ['a up', 'b up', 'up', 'down', 'b down', 'a down'], 'and run outside of its own';
    # what layers that know nothing of PAGI::Lifespan do: each adds its hooks to those that are there
    my $layer = sub ($name, $inner) {
        return sub ($scope, @io) {
            push @{ $scope->{'pagi.lifespan.handlers'} }, { startup => sub { push @log, "$name up" }, shutdown => sub { push @log, "$name down" } };
            return $inner->($scope, @io);
        };
    };
    @log = ();
    is outcome($layer->(outer => $layer->(inner => $app))), $ok, 'nested registration';
    is \@log, ['outer up', 'inner up', 'up', 'down', 'inner down', 'outer down'], 'all hooks, outer to inner and back';

    is outcome(async sub ($scope, $receive, $send) {
        await handle_lifespan($scope, $receive, $send, startup => async sub { die "nope\n" });
    }), ["lifespan.startup.failed: nope\n"], 'one failure event';

    @log = ();
    is outcome(PAGI::Lifespan->wrap($app, startup => sub { push @log, 'outer up' }, shutdown => sub { push @log, 'outer down' })),
        $ok, 'inside a wrapper, answered once';
    is \@log, ['outer up', 'up', 'down', 'outer down'], 'the hooks of the wrapper are outside';
};

# D12: in nested wrappers only the innermost ran its hooks.
subtest 'nested wrappers' => sub {
    my @log;
    my $hooks = sub ($name) { return (startup => sub { push @log, "$name up" }, shutdown => sub { push @log, "$name down" }) };
    my $copying = sub ($inner) {    # as middleware do
        return async sub ($scope, $receive, $send) { await $inner->({ %$scope }, $receive, $send) };
    };
    my $nest = sub ($app, $between) {
        return PAGI::Lifespan->wrap(
            $between->(PAGI::Lifespan->wrap($between->(PAGI::Lifespan->wrap($app, $hooks->('inner'))), $hooks->('middle'))),
            $hooks->('outer'),
        );
    };
    my $order = ['outer up', 'middle up', 'inner up', 'inner down', 'middle down', 'outer down'];
    my $reader = async sub ($scope, $receive, $send) { await handle_lifespan($scope, $receive, $send) };

    for my $case (
        ['plain', $ignores, sub ($app) { $app }], ['with scope copies between', $ignores, $copying],
        ['with a reader inside', $reader, $copying], ['around an app that rejects lifespan', $rejects, $copying],
    ) {
        my ($name, $inner, $between) = @$case;
        my $app = $nest->($inner, $between);
        for my $round (1, 2) {
            @log = ();
            is outcome($app), $ok, "$name, round $round: answered once";
            is \@log, $order, '... all hooks once, outer to inner and back';
        }
    }
};

subtest 'an inner app that fails' => sub {
    my $up = 0;
    is outcome(PAGI::Lifespan->wrap($rejects, startup => sub { $up++ })), $ok, 'rejecting lifespan does no harm';
    is $up, 1, 'the hook ran';
    is outcome(PAGI::Lifespan->wrap(sub { die 'synchronously' })), $ok, 'nor does a plain die';

    my $app = PAGI::Lifespan->wrap(async sub ($scope, $receive, $send) {
        await handle_lifespan($scope, $receive, $send);
        die "bug in the clean-up\n";
    });
    my ($receive, $send) = scripted(@both);
    is $app->(lifespan_scope(), $receive, $send)->failure, "bug in the clean-up\n", 'but an error after the events were answered shows';
};

subtest 'with the test client' => sub {
    my $app = PAGI::Lifespan->wrap(
        async sub ($scope, $receive, $send) {
            await $send->({ type => 'http.response.start', status => 200, headers => [] });
            await $send->({ type => 'http.response.body', body => $scope->{state}{greeting} });
        },
        startup => async sub ($state) { $state->{greeting} = 'hello' },
    );
    PAGI::Test::Client->run($app, sub ($client) { is $client->get('/')->text, 'hello', 'requests see the state' });
};

done_testing;
