use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying call_app header text_of);
use Future;
use PAGI::App::Router;
use TestApps::Component;

my $params = app_saying(sub { my ($scope) = @_; my $p = $scope->{path_params}; join ' ', map {"$_=$p->{$_}"} sort keys %$p });

sub answer ($router, %scope) {
    my ($sent) = call_app($router->to_app, { path => '/', method => 'GET', %scope });
    return ($sent->[0]{status}, text_of($sent), $sent);
}
sub brief ($router, %scope) { my ($status, $text) = answer($router, %scope); return "$status $text" }

subtest 'methods and paths' => sub {
    my $r = PAGI::App::Router->new;
    $r->get('/' => app_saying('home'))->post('/' => app_saying('created', 201))->delete('/' => app_saying('', 204));
    $r->route(purge => '/cache' => app_saying('purged'));
    $r->route(['get', 'POST'], '/both' => app_saying('both'));
    $r->route('*' => '/star' => app_saying('star'));

    is brief($r), '200 home', 'GET; a scope without a type is http';
    is brief($r, method => 'POST'), '201 created', 'POST';
    is brief($r, method => 'delete'), '204 ', 'method in any case';
    is brief($r, method => 'HEAD'), '200 home', 'HEAD uses the GET route, with its body';
    is brief($r, path => '/nowhere'), '404 Not Found', 'no route';
    is brief($r, path => '/cache', method => 'PURGE'), '200 purged', 'other method';
    is brief($r, path => '/both', method => 'POST'), '200 both', 'list of methods';
    is brief($r, path => '/star', method => 'LOCK'), '200 star', 'every method';
    my ($status, $text, $sent) = answer($r, method => 'PUT');
    is [$status, $text, $sent->[0]{headers}],
        [405, 'Method Not Allowed', [['content-type', 'text/plain'], ['allow', 'DELETE, GET, POST']]], '405 with the methods there are';
    is brief($r, path => '/both', method => 'PATCH'), '405 Method Not Allowed', '405 for a list';
    is brief($r, path => undef), '200 home', 'no path is /';
    is brief(PAGI::App::Router->new->head('/' => app_saying('head')), method => 'HEAD'), '200 head', 'a HEAD route';
};

subtest 'patterns' => sub {
    my $r = PAGI::App::Router->new;
    $r->get('/users/:id' => $params)->get('/users/:id/posts/:post' => $params)->get('/files/*path' => $params);
    $r->get('/brace/{id}' => $params)->get('/year/{y:\d{4}}' => $params)->get('/pair/:x/:x' => $params);
    $r->get('/a.b(c)[d]+' => app_saying('literal'))->get('/open/{x' => app_saying('open brace'));

    is brief($r, path => '/users/42'), '200 id=42', 'one';
    is brief($r, path => '/users/42/posts'), '404 Not Found', 'a parameter ends at the slash, and the whole path must match';
    is brief($r, path => '/users/42/posts/7'), '200 id=42 post=7', 'two';
    is brief($r, path => '/files/a/b.txt'), '200 path=a/b.txt', 'wildcard';
    is brief($r, path => '/files/'), '404 Not Found', 'a wildcard is not empty';
    is brief($r, path => '/users/'), '404 Not Found', 'nor is a parameter';
    is brief($r, path => '/brace/x'), '200 id=x', 'braces';
    is brief($r, path => '/year/2026'), '200 y=2026', 'braces inside the constraint';
    is brief($r, path => '/year/26'), '404 Not Found', 'inline constraint';
    is brief($r, path => "/year/2026\n"), '404 Not Found', 'a newline at the end is not ignored';
    is brief($r, path => "/users/a\nb"), "200 id=a\nb", 'a newline is a character like others';
    is brief($r, path => '/pair/1/2'), '200 x=2', 'the last of equal names';
    is brief($r, path => '/a.b(c)[d]+'), '200 literal', 'literal characters';
    is brief($r, path => '/aXb(c)[d]+'), '404 Not Found', 'a dot is a dot';
    is brief($r, path => '/open/{x'), '200 open brace', 'a brace that is not closed is literal';
    is brief($r, path => "/users/\x{e9}\x{3042}"), "200 id=\x{e9}\x{3042}", 'characters';
    like dies { $r->get('/bad/{x:(}' => $params) }, qr{constraint of 'x' in route /bad/\{x:\(\} is no regular expression}, 'bad inline regex';
};

subtest 'registration order decides' => sub {
    my $r = PAGI::App::Router->new;
    $r->get('/x/:any' => app_saying('pattern'))->get('/x/new' => app_saying('literal'));
    $r->get('/y/new' => app_saying('literal'))->get('/y/:any' => app_saying('pattern'));
    is brief($r, path => '/x/new'), '200 pattern', 'a pattern before a literal path';
    is brief($r, path => '/y/new'), '200 literal', 'a literal path before a pattern';
    $r->post('/z/new' => app_saying('post'))->get('/z/:any' => app_saying('get'));
    is brief($r, path => '/z/new'), '200 get', 'a route for another method does not hide the next';
};

subtest 'what handlers see' => sub {
    my $seen;
    my $r = PAGI::App::Router->new->get('/u/:id' => sub ($scope, @) { $seen = $scope; Future->done('the value') });
    $r->get('/plain' => sub ($scope, @) { $seen = $scope; Future->done });
    my $scope = { type => 'http', method => 'GET', path => '/u/1' };
    my (undef, $future) = call_app($r->to_app, $scope);
    is $future->get, 'the value', 'the value of the handler comes back';
    is [$seen->{path_params}, $seen->{'pagi.router'}, $seen->{path}], [{ id => 1 }, { route => '/u/:id' }, '/u/1'], 'scope';
    is $scope, { type => 'http', method => 'GET', path => '/u/1' }, 'which is a copy';
    call_app($r->to_app, { type => 'http', method => 'GET', path => '/plain' });
    is $seen->{path_params}, {}, 'no parameters';
};

subtest 'constraints' => sub {
    my $r = PAGI::App::Router->new;
    $r->get('/u/:id' => $params)->constraints(id => qr/\d+/)->get('/u/:name' => $params);
    $r->post('/u/:id' => $params)->constraints(id => qr/\d+/);
    $r->get('/both/{id:\d+}' => $params)->constraints(id => qr/1.*/);
    $r->get('/missing' => $params)->constraints(id => qr/./);
    is brief($r, path => '/u/1'), '200 id=1', 'fits';
    is brief($r, path => '/u/1x'), '200 name=1x', 'the complete value';
    is brief($r, path => "/u/1\n"), "200 name=1\n", 'strictly';
    is brief($r, path => '/u/x', method => 'POST'), '405 Method Not Allowed', '405 from the route that fits';
    is brief($r, path => '/both/12'), '200 id=12', 'both kinds';
    is brief($r, path => '/both/21'), '404 Not Found', 'chained one fails';
    is brief($r, path => '/both/1x'), '404 Not Found', 'inline one fails';
    is brief($r, path => '/missing'), '404 Not Found', 'a constraint for a parameter that the path lacks';
    is [map { [scalar @{ $_->{constraints} }, scalar @{ $_->{_user_constraints} }] } @{ $r->{routes} }],
        [[0, 1], [0, 0], [0, 1], [1, 1], [0, 1]], 'kept apart';
    is $r->{routes}[3]{constraints}[0][0], 'id', 'as pairs';

    like dies { PAGI::App::Router->new->constraints(id => qr/x/) }, qr/\Aconstraints\(\) called without a preceding route at \Q$0\E/, 'no route';
    like dies { $r->constraints(id => '\d+') }, qr/\AConstraint for 'id' must be a Regexp \(qr\/\/\), got scalar at \Q$0\E/, 'a string';
    like dies { $r->constraints(id => []) }, qr/got ARRAY/, 'a reference';
};

subtest 'any' => sub {
    my $r = PAGI::App::Router->new;
    $r->any('/all' => app_saying('all'))->any('/some' => app_saying('some'), method => ['get', 'PUT']);
    $r->any('/one/:id' => [sub ($app) { $app }] => $params, method => 'POST')->constraints(id => qr/\d/);
    is brief($r, path => '/all', method => $_), '200 all', $_ for qw(GET POST PUT PATCH DELETE HEAD OPTIONS);
    is brief($r, path => '/some', method => 'PUT'), '200 some', 'one of the list';
    my (undef, undef, $sent) = answer($r, path => '/some', method => 'POST');
    is header($sent->[0], 'allow'), 'GET, PUT', 'others get 405';
    is brief($r, path => '/one/1', method => 'POST'), '200 id=1', 'middleware, method and constraint';
    like dies { $r->any('/x' => app_saying(''), methods => 'GET') }, qr/\AInvalid route arguments.*unknown: methods/, 'unknown option';
};

subtest 'mounts' => sub {
    my $where = app_saying(sub { "$_[0]{root_path}|$_[0]{path}" });
    my $inner = PAGI::App::Router->new->get('/list' => app_saying('inner list'));
    my $r = PAGI::App::Router->new;
    $r->get('/api/direct' => app_saying('route'))->mount('/api' => $where)->mount('/api/v2/' => app_saying('v2'));
    $r->mount('/router' => $inner)->mount('/class' => [sub ($app) { sub { $app->({ %{ $_[0] }, path => '/changed' }, @_[1, 2]) } }] => 'TestRoutes::Admin');
    $r->mount('/object' => TestApps::Component->new(body => 'object'));
    $inner->get('/late' => app_saying('late'));

    is brief($r, path => '/api/direct'), '200 route', 'routes first';
    is brief($r, path => '/api/direct', method => 'PUT'), '405 Method Not Allowed', '405 keeps mounts from being asked';
    is brief($r, path => '/api/x/y'), '200 /api|/x/y', 'path and root_path';
    is brief($r, path => '/api'), '200 /api|/', 'the prefix itself';
    is brief($r, path => '/api/x', root_path => '/outer'), '200 /outer/api|/x', 'root_path grows';
    is brief($r, path => '/apix'), '404 Not Found', 'not just any beginning';
    is brief($r, path => '/api/v2/x'), '200 v2', 'longest first';
    is brief($r, path => '/router/list'), '200 inner list', 'a router';
    is brief($r, path => '/router/late'), '404 Not Found', 'as it was when mounted';
    is brief($r, path => '/class/x'), '200 admin /changed below /class', 'a class, with middleware';
    is brief($r, path => '/object'), '200 object', 'an object';
    is brief(PAGI::App::Router->new->mount('/' => $where), path => '/x'), '200 |/x', 'everything';
    my (undef, $future) = call_app($r->to_app, { path => '/api/x', method => 'GET' });
    is [$future->get], [], 'no value from a mount';

    like dies { $r->mount('/x' => 'No::Such::Class') }, qr/\AFailed to load 'No::Such::Class'/, 'unknown class';
    like dies { $r->mount('/x' => 'AppHelper') }, qr/\A'AppHelper' does not have a to_app\(\) method/, 'no to_app';
    like dies { $r->mount('/x') }, qr/\AInvalid route arguments: expected \(\$app\) or \(\\\@middleware => \$app\) at \Q$0\E/, 'no app';
    like dies { $r->get('/x' => app_saying(''), 'more') }, qr/\AInvalid route arguments/, 'too many arguments';
    like dies { $r->get(undef, app_saying('')) }, qr/A route needs a path/, 'no path';
};

subtest 'WebSocket and SSE' => sub {
    my $r = PAGI::App::Router->new;
    $r->websocket('/ws/:room' => $params)->constraints(room => qr/[a-z]+/)->sse('/events/{topic:\w+}' => $params)->get('/ws/:x' => app_saying('page'));
    $r->mount('/below' => app_saying(sub { "mounted $_[0]{path}" }));
    my @cases = (
        ['websocket', '/ws/lobby',   'room=lobby'],
        ['sse',       '/events/abc', 'topic=abc'],
        ['http',      '/ws/lobby',   'page'],
        ['websocket', '/below/x',    'mounted /x'],
        ['sse',       '/below/x',    'mounted /x'],
    );
    for my $case (@cases) {
        my ($type, $path, $text) = @$case;
        my ($sent, $future) = call_app($r->to_app, { type => $type, path => $path, method => 'GET' });
        is text_of($sent), $text, "$type $path";
        is [$future->get], $type eq 'http' ? ['page'] : [], 'value';
    }
    my ($sent) = call_app($r->to_app, { type => 'websocket', path => '/ws/1' });
    is $sent, [{ type => 'websocket.close' }], 'constraint on a WebSocket';
    my ($nothing, $future) = call_app($r->to_app, { type => 'lifespan' });
    is [$nothing, [$future->get]], [[], []], 'lifespan: nothing';
    like dies { call_app($r->to_app, { type => 'carrier.pigeon', path => '/' }) }, qr/\AUnsupported scope type: carrier\.pigeon at /, 'unknown type';
};

subtest 'targets' => sub {
    my $r = PAGI::App::Router->new(not_found => 'TestRoutes::Admin');
    $r->get('/object' => TestApps::Component->new(body => 'object'))->get('/class' => 'TestApps::AutoLoaded');
    is brief($r, path => '/object'), '200 object', 'object';
    is brief($r, path => '/class'), '200 auto-loaded', 'class';
    is brief($r, path => '/else', root_path => ''), '200 admin /else below ', 'not_found is coerced';
    like dies { $r->get('/x' => {}) }, qr/\ACannot coerce HASH reference to a PAGI app at \Q$0\E/, 'reported here';
    my $app = $r->to_app;
    $r->get('/late' => app_saying('late'));
    my ($sent) = call_app($app, { path => '/late', method => 'GET', root_path => '' });
    is text_of($sent), 'admin /late below ', 'to_app has the routes of its time';
};

done_testing;
