use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying call_app header text_of);
use PAGI::App::Router;

my $trail = app_saying(sub { join ' ', @{ $_[0]{trail} || [] }, map {"$_=$_[0]{path_params}{$_}"} sort keys %{ $_[0]{path_params} || {} } });

sub mark ($name) {
    return sub ($app) {
        return sub ($scope, $receive, $send) { $app->({ %$scope, trail => [@{ $scope->{trail} || [] }, $name] }, $receive, $send) };
    };
}
sub brief ($router, $path, %more) {
    my ($sent) = call_app($router->to_app, { path => $path, method => 'GET', %more });
    return ($sent->[0]{status} // '') . ' ' . text_of($sent);
}

subtest 'callback' => sub {
    my $r = PAGI::App::Router->new;
    $r->group('/api/' => [mark('group')] => sub ($router) {
        $router->get('/list' => $trail)->get('/item/:id' => [mark('route')] => $trail);
        $router->post('/list' => $trail);
        $router->websocket('/ws' => $trail)->sse('/events' => $trail);
        $router->any('/any' => $trail)->get('/n/:n' => $trail)->constraints(n => qr/\d+/);
        $router->mount('/files' => app_saying(sub { "@{ $_[0]{trail} } $_[0]{root_path} $_[0]{path}" }));
    });
    $r->get('/after' => $trail);

    is brief($r, '/api/list'), '200 group', 'prefix and middleware';
    is brief($r, '/list'), '404 Not Found', 'not without the prefix';
    is brief($r, '/api/item/5'), '200 group route id=5', 'group middleware outside';
    is brief($r, '/after'), '200 ', 'routes afterwards are not in the group';
    is brief($r, '/api/list', method => 'PUT'), '405 Method Not Allowed', '405 in a group';
    is brief($r, '/after', method => 'PUT'), '405 Method Not Allowed', 'and outside';
    is brief($r, '/api/ws', type => 'websocket'), ' group', 'WebSocket';
    is brief($r, '/api/events', type => 'sse'), ' group', 'SSE';
    is brief($r, '/api/any', method => 'PATCH'), '200 group', 'any';
    is brief($r, '/api/n/x'), '404 Not Found', 'constraint';
    is brief($r, '/api/files/a'), '200 group /api/files /a', 'a mount in the group';
    is brief(PAGI::App::Router->new->group('/a.b' => sub ($g) { $g->get('/x' => $trail) }), '/aXb/x'), '404 Not Found', 'literal dot';
};

subtest 'nesting' => sub {
    my @shared = (mark('shared'));
    my $r = PAGI::App::Router->new;
    $r->group('/orgs/:org' => [mark('outer')] => sub ($o) {
        $o->group('/users' => [mark('inner')] => sub ($i) {
            $i->get('/:user' => \@shared => $trail)->get('/x/:user' => \@shared => $trail);
        });
        $o->mount('/docs' => app_saying(sub { "$_[0]{path_params}{org} $_[0]{root_path} $_[0]{path}" }));
    });
    is brief($r, '/orgs/perl/users/ann'), '200 outer inner shared org=perl user=ann', 'prefixes and middleware';
    is brief($r, '/orgs/perl/users/x/ann'), '200 outer inner shared org=perl user=ann', 'a shared array gets nothing added';
    is scalar @shared, 1, 'indeed';
    is brief($r, '/orgs/perl/docs/a/b'), '200 perl /orgs/perl/docs /a/b', 'a mount below a parameter';
    is brief($r, '/orgs/perl/docsx'), '404 Not Found', 'whole segments only';
    is brief($r, '/orgs//docs'), '404 Not Found', 'the parameter is not empty';
    like dies { $r->group('/x' => sub { die "inside\n" }) }, qr/inside/, 'an exception passes';
    is brief($r->get('/y' => $trail), '/y'), '200 ', 'and leaves the group';
};

subtest 'router objects' => sub {
    my $users = PAGI::App::Router->new;
    $users->get('/' => $trail)->name('list')->get('/:id' => [mark('route')] => $trail)->name('get')->constraints(id => qr/\d+/);
    $users->websocket('/:id/ws' => $trail)->sse('/:id/events' => $trail)->mount('/files' => app_saying(sub { "@{ $_[0]{trail} } $_[0]{root_path}" }));
    my $r = PAGI::App::Router->new;
    $r->group('/users' => [mark('group')] => $users)->as('users');
    $users->get('/late/x' => $trail);

    is brief($r, '/users/5'), '200 group route id=5', 'routes';
    is brief($r, '/users/x'), '404 Not Found', 'chained constraints';
    is brief($r, '/users/late/x'), '404 Not Found', 'a snapshot';
    is brief($r, '/users/5/ws', type => 'websocket'), ' group id=5', 'WebSocket';
    is brief($r, '/users/5/events', type => 'sse'), ' group id=5', 'SSE';
    is brief($r, '/users/files/a'), '200 group /users/files', 'mounts';
    is [sort keys %{ $r->named_routes }], ['users.get', 'users.list'], 'names';
    is $r->uri_for('users.get', { id => 5 }), '/users/5', 'with the prefix';
    is brief($users, '/5'), '200 route id=5', 'the router itself is as it was';
};

subtest 'packages' => sub {
    my $r = PAGI::App::Router->new->group('/users' => 'TestRoutes::Users');
    is brief($r, '/users/7'), '200 user 7', 'routes';
    is $r->uri_for('users.get', { id => 7 }), '/users/7', 'names';
    like dies { $r->group('/x' => 'No::Such::Routes') }, qr/\AFailed to load 'No::Such::Routes': /, 'unknown';
    like dies { $r->group('/x' => 'not a package') }, qr/\AFailed to load 'not a package'/, 'no package name';
    like dies { $r->group('/x' => 'TestRoutes::Admin') }, qr/\A'TestRoutes::Admin' does not have a router\(\) method/, 'no router';
    { no warnings 'once'; *TestRoutes::Odd::router = sub { {} } }
    like dies { $r->group('/x' => 'TestRoutes::Odd') }, qr/\A'TestRoutes::Odd->router\(\)' must return a PAGI::App::Router, got HASH/, 'no router object';
    like dies { $r->group('/x' => $_->[0]) }, qr/\Agroup\(\) target must be a coderef, PAGI::App::Router, or package name, got $_->[1] at \Q$0\E/, $_->[1]
        for [[], 'ARRAY'], [undef, 'undef'], [bless({}, 'Other'), 'Other'];
};

subtest 'names' => sub {
    my $r = PAGI::App::Router->new;
    $r->group('/api' => sub ($g) { $g->get('/x/:id' => $trail)->name('x') })->as('api');
    is $r->uri_for('api.x', { id => 1 }), '/api/x/1', 'renamed';
    like dies { $r->uri_for('x', { id => 1 }) }, qr/\AUnknown route name: 'x'/, 'the old name is gone';
    like dies { $r->group('/b' => sub ($g) { $g->get('/y' => $trail)->name('api.x') }) }, qr/\ANamed route 'api\.x' already exists/, 'twice';
    like dies { $r->group('/c' => sub { })->name('c') }, qr/\Aname\(\) called without a preceding route/, 'a group has no name';
    like dies { $r->group('/c' => sub { })->constraints(c => qr/x/) }, qr/\Aconstraints\(\) called without a preceding route/, 'nor constraints';
    like dies { $r->group('/d' => sub ($g) { $g->get('/d' => $trail) })->as('d') }, qr/\Aas\(\) called without a preceding mount or group/, 'as without names';

    my $s = PAGI::App::Router->new;
    $s->group('/g' => sub ($g) { $g->get('/n' => $trail)->name('n') });
    like dies { $s->mount('/m' => app_saying(''))->as('m') }, qr/\Aas\(\) requires mounting a router object, not an app coderef/, 'the latest registration decides';
    is [keys %{ $s->named_routes }], ['n'], 'names of the group before are untouched';
};

done_testing;
