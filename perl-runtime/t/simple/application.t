use v5.36;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Simple;
use PAGI::Simple::Handler;
use PAGI::Simple::Home;
use PAGI::Test::Client;

# Construction, names, life cycle, subclasses, declarations that are wrong.

sub app (%options) { return PAGI::Simple->new(name => 'Test', quiet => 1, %options) }

subtest 'construction' => sub {
    is(PAGI::Simple->new->name, 'PAGI::Simple', 'default name');
    is(app()->namespace, 'Test', 'namespace from the name');
    is(app(namespace => 'My::App')->namespace, 'My::App', 'or given');
    is ref app()->to_app, 'CODE', 'to_app';
    my ($one, $two) = (app(), app());
    $one->stash->{x} = 1;
    is $two->stash, {}, 'applications are independent';
    like dies { app(nmae => 'x') }, qr/Unknown options to PAGI::Simple->new: nmae\. Valid: .*\bname\b/, 'unknown options die (defect 35)';
    my %name = (
        'Live Poll' => 'LivePoll', 'hello-world' => 'HelloWorld', 'hello_world' => 'HelloWorld', 'TODO List' => 'TodoList',
        'simple-17-htmx-poll' => 'Simple17HtmxPoll', '123 App' => 'App123App', 'API' => 'Api', 'My App 2.0' => 'MyApp20',
        "caf\x{e9} app" => 'CafApp', 'PAGI::Simple' => 'PagiSimple', '' => 'App', '   ' => 'App', '---' => 'App',
    );
    is { map { $_ => PAGI::Simple::Home::namespace_of($_) } keys %name }, \%name, 'names to namespaces';
    like app()->home, qr{/t/simple\z}, 'home is the directory of the file';
    is app(home => '/srv/x')->home, '/srv/x', 'an absolute home';
    like app(home => 'apps')->home, qr{/t/simple/apps\z}, 'a relative one';
    is app(home => '/srv/x')->lib_dir, '/srv/x/lib', 'lib below it';
    ok scalar(grep { $_ eq '/srv/x/lib' } @INC), 'on @INC';
    is app(lib => undef)->lib_dir, undef, 'no lib';
    @INC = grep { $_ ne '/srv/x/lib' } @INC;
};

subtest 'life cycle' => sub {
    my @log;
    my $child = app()->on(startup => sub { push @log, 'child up' })->on(shutdown => sub { push @log, 'child down' });
    my $app = app()->mount('/c' => $child)->mount('/again' => $child);
    $app->on(startup => async sub ($self) { await Future->done; push @log, 'up ' . $self->name });
    $app->on(startup => sub { push @log, 'second' });
    $app->on(shutdown => sub { die "broken\n" })->on(shutdown => async sub { push @log, 'down' });
    my @warnings;
    local $SIG{__WARN__} = sub { push @warnings, @_ };
    PAGI::Test::Client->run($app, sub { push @log, 'running' });
    is \@log, [ 'up Test', 'second', 'child up', 'running', 'child down', 'down' ],
        'awaited hooks in order (defect 2), each shutdown hook (3), children once (4)';
    is \@warnings, ["PAGI::Simple shutdown hook error: broken\n"], 'the failing one is reported';

    my $bad = app()->on(startup => async sub { die "no database\n" });
    like dies { PAGI::Test::Client->run($bad, sub { }) }, qr/no database/, 'a failing startup hook fails the startup';
    like dies { app()->on(nonsense => sub { }) }, qr/Unknown lifecycle event: nonsense/, 'unknown event';
};

package SimpleTest::Sub {
    use parent -norequire, 'PAGI::Simple';
    sub init ($class) { return (name => 'Subclass', quiet => 1) }
    sub routes ($class, $app, $r) { $r->get('/' => '#index')->name('home'); $r->get('/two' => '#load' => '#show'); $r->get('/no' => '#none') }
    sub index ($self, $c) { $c->text('index of ' . $self->name) }
    sub load ($self, $c) { $c->stash->{x} = 5 }
    sub show ($self, $c) { $c->text("x is " . $c->stash->{x}) }
}

subtest 'subclass' => sub {
    my $client = PAGI::Test::Client->new(app => SimpleTest::Sub->to_app);
    is $client->get('/')->text, 'index of Subclass', 'a method of the application (defect 1)';
    is $client->get('/two')->text, 'x is 5', 'a chain';
    my @warnings;
    { local $SIG{__WARN__} = sub { push @warnings, @_ }; is $client->get('/no')->status, 500, 'a missing method' }
    like $warnings[0], qr/SimpleTest::Sub has no method 'none'/, 'is named in the log';
    is(SimpleTest::Sub->new(name => 'Mine')->name, 'Mine', 'arguments override init');
};

subtest 'declarations' => sub {
    my $app = app();
    is ref $app->get('/' => sub { }), 'PAGI::Simple::RouteHandle', 'a verb returns a handle';
    ref_is $app->get('/a' => sub { })->name('a'), $app, 'name returns the application';
    ref_is $app->get('/b' => sub { })->hook(before => sub { }), $app, 'a handle forwards every method';
    like dies { $app->get('/x') }, qr/Invalid route arguments/, 'no handler';
    like dies { $app->get('/x' => 'text') }, qr/Invalid route arguments/, 'a string';
    like dies { $app->get('/x' => {}, sub { }) }, qr/Invalid route arguments/, 'a hash';
    like dies { $app->get('/y' => sub { })->name('a') }, qr/The route name 'a' is taken by GET \/a/, 'a name twice';
    like dies { $app->get('/:x/:x' => sub { }) }, qr/'x' occurs twice/, 'a capture twice';
    like dies { $app->get('/{x:[}' => sub { }) }, qr/Cannot compile the constraint of 'x'/, 'a bad constraint';
    like dies { $app->hook(during => sub { }) }, qr/Unknown hook type: during/, 'hook type';
    like dies { $app->enable('NoSuchMiddleware')->to_app }, qr/NoSuchMiddleware/, 'PAGI middleware that does not exist';
    like dies { app()->share('jquery') }, qr/Unknown shared asset 'jquery'\. Available: htmx/, 'shared asset';
    like dies { app()->share_dir('jquery') }, qr/'jquery' not found/, 'share_dir';
    is app(share => 'htmx')->has_shared('htmx'), 1, 'share in the constructor';
    like dies { app()->group('/x') }, qr/group takes/, 'group';
    is [ app()->get('/one' => sub { })->name('one')->named_routes ], ['one'], 'named_routes';

    my $group = app();
    ok dies { $group->group('/broken', ['mw'], sub { die "inside\n" }) }, "the exception passes";
    $group->get('/after' => sub { });
    is [ map { [ $_->path, $_->middleware ] } $group->router->routes ], [ [ '/after', [] ] ], 'a group that dies leaves nothing behind (defect 7)';

    my $misspelt = app();
    $misspelt->get('/' => ['atuh'] => sub { });
    like warning { $misspelt->to_app }, qr/Unknown middleware 'atuh'/, 'unknown names are seen when the app is assembled';
    like dies { app()->to_app->({ type => 'carrier-pigeon' }, sub { }, sub { })->get }, qr/Unsupported scope type: carrier-pigeon/, 'scope type';
};

package SimpleTest::NoNew { our $VERSION = 1; sub routes { } }
package SimpleTest::Plain { sub new ($class, %args) { return bless {%args}, $class } sub to_app ($self) { return sub ($scope, $receive, $send) {
    return $send->({ type => 'http.response.start', status => 200, headers => [] })->then(sub { $send->({ type => 'http.response.body', body => "plain $self->{x}" }) });
} } }

subtest 'mounts of classes' => sub {
    my $app = app();
    like dies { $app->mount('/x' => 'SimpleTest::DoesNotExist') }, qr/mount\(\): Can't load SimpleTest::DoesNotExist/, 'a class that is not there';
    $INC{'SimpleTest/NoNew.pm'} = __FILE__;
    like dies { $app->mount('/x' => 'SimpleTest::NoNew') }, qr/mount\(\): SimpleTest::NoNew has no new\(\) method/, 'one without a constructor';
    $app->group('/g' => sub ($app) { $app->group('/h' => sub { $app->mount('p' => 'SimpleTest::Plain', { x => 5 }) }) });
    is(PAGI::Test::Client->new(app => $app)->get('/g/h/p')->content, 'plain 5', 'constructor arguments, nested groups');

    my $handler = PAGI::Simple::Handler->new(app => $app);
    is [ ref $handler->app, $handler->routes ], ['PAGI::Simple'], 'the base class of handlers';
};

subtest 'names across tables' => sub {
    my $app = app();
    $app->websocket('/ws/:room' => sub { })->name('room');
    $app->sse('/events' => sub { })->name('events');
    $app->get('/events-page' => sub { })->name('page');
    is [ map { $app->url_for($_, room => 'a b') } qw(room events page) ], [ '/ws/a%20b', '/events?room=a%20b', '/events-page?room=a%20b' ], 'url_for';
    is [ $app->named_routes ], ['page'], 'named_routes lists those of HTTP';
    like dies { $app->websocket('/x') }, qr/Invalid route arguments/, 'a WebSocket without a handler';
};

subtest 'router' => sub {
    my $router = PAGI::Simple::Router->new;
    my $route = $router->add(get => '/x/:id', sub { }, name => 'x');
    is $router->match(GET => '/x/1')->{params}, { id => 1 }, 'match';
    is $router->match(POST => '/x/1'), undef, 'another method';
    my ($first, $methods) = $router->find_path_match('/x/1');
    ref_is $first, $route, 'find_path_match';
    is $methods, [qw(GET HEAD)], 'its methods';
    is [ $router->find_path_match('/y') ], [], 'no path';
    ref_is $router->find_by_name('x'), $route, 'find_by_name';
    is $route->name, 'x', 'its name';
    is [ $route->matches('get', '/x/a'), $route->matches('post', '/x/a'), $route->matches_path('/x/a') ],
        [ { id => 'a' }, undef, { id => 'a' } ], 'a route matches by itself';
    ref_is $router->register_name('by hand', $route)->find_by_name('by hand'), $route, 'register_name';
    like dies { $router->register_name('by hand', $router->add(get => '/z', sub { })) }, qr/The route name 'by hand' is taken/, 'once';
    $router->add('*', '/x/static', sub { });
    is $router->match(GET => '/x/static')->{route}->path, '/x/:id', 'order decides, also for static paths';
    is $router->match(PUT => '/x/static')->{route}->path, '/x/static', 'any method';
};

done_testing;
