use strict;
use warnings;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::App::Router;
use PAGI::Test::Client;

our @log;

{
    package t::App;
    use parent 'PAGI::Endpoint::Router';
    use Future::AsyncAwait;

    sub routes {
        my ($self, $r) = @_;
        push @main::log, "routes for " . ref $self;
        $r->get('/' => 'home')->name('home');
        $r->get('/users/:id' => 'user')->name('user');
        $r->post('/users' => ['require_json'] => 'add_user');
        $r->delete('/code/:id' => async sub { my ($ctx) = @_; return $ctx->text('code ' . $ctx->path_param('id')) });
        $r->put('/plain' => 'plain')->patch('/plain' => 'plain')->options('/plain' => 'plain')->head('/plain' => 'plain');
        $r->get('/chain' => [qw(outer inner)] => 'chained');
        $r->get('/state' => 'show_state');
        $r->websocket('/ws/:room' => 'chat');
        $r->websocket('/ws-code' => async sub { my ($ctx) = @_; await $ctx->accept; await $ctx->send_text(ref $ctx) });
        $r->sse('/events/:topic' => 'events');
        $r->sse('/sse-code' => async sub { my ($ctx) = @_; await $ctx->send(ref $ctx) });
        $r->mount('/sub' => 't::Sub');
        $r->mount('/named' => PAGI::App::Router->new->get('/x/:n' => sub { })->name('x'))->as('named');
        $self->{namespaced} = $r->uri_for('named.x', { n => 1 });
        $self->{uri}   = $r->uri_for('user', { id => 7 }, { page => 2 });
        $self->{names} = [ sort keys %{ $r->named_routes } ];
    }

    async sub home { my ($self, $ctx) = @_; return $ctx->html('<h1>' . ref $ctx) }
    async sub user { my ($self, $ctx) = @_; return $ctx->json({ id => $ctx->path_param('id'), class => ref $self }) }
    async sub add_user { my ($self, $ctx) = @_; return $ctx->json(await($ctx->req->json), status => 201) }
    sub plain { my ($self, $ctx) = @_; return $ctx->text('plain ' . $ctx->method) }
    async sub require_json {
        my ($self, $ctx, $next) = @_;
        return $ctx->json({ error => 'JSON please' }, status => 415) unless $ctx->req->is_json;
        return await $next->();
    }
    async sub outer {
        my ($self, $ctx, $next) = @_;
        $ctx->stash->set(trail => ['outer']);
        my $response = await $next->();
        return $response->header('x-trail' => join ' ', @{ $ctx->stash->get('trail') }, 'out');
    }
    sub inner {
        my ($self, $ctx, $next) = @_;
        push @{ $ctx->stash->get('trail') }, 'inner';
        return $next->();
    }
    async sub chained { my ($self, $ctx) = @_; push @{ $ctx->stash->get('trail') }, 'handler'; return $ctx->text('chained') }
    async sub show_state { my ($self, $ctx) = @_; return $ctx->json({ %{ $ctx->state } }) }
    async sub chat {
        my ($self, $ctx) = @_;
        await $ctx->accept;
        await $ctx->each_text(async sub { await $ctx->send_text($ctx->path_param('room') . ": $_[0]") });
    }
    async sub events { my ($self, $ctx) = @_; await $ctx->send_event(event => $ctx->path_param('topic'), data => ref $ctx); return 'ignored' }

    package t::Sub;
    use parent -norequire, 'PAGI::Endpoint::Router';
    sub routes { my ($self, $r) = @_; $r->get('/deep' => 'deep') }
    async sub deep { my ($self, $ctx) = @_; return $ctx->text(join ' ', $ctx->path, $ctx->scope->{root_path}) }
}

sub client { PAGI::Test::Client->new(app => $_[0], raise_app_exceptions => 1) }

# An endpoint class made of one routes sub and some methods
my $classes = 0;
sub class_with {
    my ($routes, %methods) = @_;
    my $class = 't::Made' . ++$classes;
    no strict 'refs';
    @{"${class}::ISA"} = 'PAGI::Endpoint::Router';
    *{"${class}::routes"} = $routes;
    *{"${class}::$_"} = $methods{$_} for keys %methods;
    return $class;
}

subtest class => sub {
    my $router = t::App->new(ignored => 1);
    isa_ok $router, 'PAGI::Endpoint::Router';
    is [ $router->state, exists $router->{ignored} ], [ {}, F ], 'arguments are ignored, state is empty';
    is(t::App->context_class, 'PAGI::Context', 'default context class');
    @log = ();
    my $app = $router->to_app;
    client($app)->get('/') for 1, 2;
    is \@log, ['routes for t::App'], 'routes runs once';
    is [ $router->{uri}, $router->{names} ], [ '/users/7?page=2', [ 'home', 'named.x', 'user' ] ], 'uri_for and named_routes';
    is $router->{namespaced}, '/named/x/1', 'as';
    ok lives { class_with(sub { })->to_app }, 'a router without routes';
    ok lives { PAGI::Endpoint::Router->to_app }, 'the base class too';
};

subtest http => sub {
    my $client = client(t::App->to_app);
    is $client->get('/')->content, '<h1>PAGI::Context::HTTP', 'method handler';
    is $client->get('/users/42')->json, { id => 42, class => 't::App' }, 'parameters';
    is $client->delete('/code/7')->content, 'code 7', 'coderef handler gets the context alone';
    is [ map { $client->$_('/plain')->content } qw(put patch options) ], [ 'plain PUT', 'plain PATCH', 'plain OPTIONS' ], 'a handler need not be async';
    is $client->head('/plain')->status, 200, 'HEAD';
    is $client->get('/nowhere')->status, 404, '404';
    my $response = $client->post('/');
    is [ $response->status, $response->header('allow') ], [ 405, 'GET' ], '405';
    is $client->get('/sub/deep')->content, '/deep /sub', 'mount';
    is client(t::App->new)->get('/')->status, 200, 'an object is an application component';
};

subtest 'websocket and sse' => sub {
    my $client = client(t::App->to_app);
    $client->websocket('/ws/lobby', sub { my ($ws) = @_; $ws->send_text('hi'); is $ws->receive_text, 'lobby: hi', 'WebSocket with parameter' });
    $client->websocket('/ws-code', sub { is $_[0]->receive_text, 'PAGI::Context::WebSocket', 'WebSocket coderef' });
    $client->sse('/events/news', sub { is [ @{ $_[0]->receive_event }{qw(event data)} ], [ 'news', 'PAGI::Context::SSE' ], 'SSE with parameter' });
    $client->sse('/sse-code', sub { is $_[0]->receive_event->{data}, 'PAGI::Context::SSE', 'SSE coderef' });
};

subtest 'route middleware' => sub {
    my $client = client(t::App->to_app);
    is $client->get('/chain')->header('x-trail'), 'outer inner handler out', 'first is outermost, one context for all, the response comes back';
    is $client->post('/users', json => { a => 1 })->status, 201, 'passed on';
    my $response = $client->post('/users', body => 'x');
    is [ $response->status, $response->json ], [ 415, { error => 'JSON please' } ], 'short-circuit';

    my $starts = 0;
    my $app = t::App->to_app;
    $app->({ type => 'http', method => 'GET', path => '/chain', headers => [] }, sub { },
        sub { $starts++ if $_[0]{type} eq 'http.response.start'; Future->done })->get;
    is $starts, 1, 'exactly one start event';

    my $forgetful = class_with(
        sub { my ($self, $r) = @_; $r->get('/mw' => ['forget'] => 'ok')->get('/handler' => 'nothing')->get('/inside' => ['pass'] => 'nothing') },
        forget  => async sub { my ($self, $ctx, $next) = @_; await $next->(); return },
        pass    => async sub { my ($self, $ctx, $next) = @_; return await $next->() },
        ok      => async sub { my ($self, $ctx) = @_; return $ctx->text('ok') },
        nothing => async sub { return 'nothing' },
    );
    $client = client($forgetful->to_app);
    like dies { $client->get('/mw') }, qr/^route middleware 'forget' did not return a response at/, 'a forgotten return names the method';
    like dies { $client->get($_) }, qr/^handler did not return a response at/, "$_: a handler too" for '/handler', '/inside';
};

subtest 'the contract of release 0.001' => sub {
    my $old = class_with(
        sub { my ($self, $r) = @_; $r->get('/' => 'handler')->get('/mw' => ['observe'] => 'handler')->get('/block' => ['block'] => 'handler') },
        handler => async sub { my ($self, $ctx) = @_; await $ctx->response->status(202)->json({ old => 1 }) },
        observe => async sub { my ($self, $ctx, $next) = @_; await $next->(); push @log, 'after'; return },
        block   => async sub { my ($self, $ctx, $next) = @_; await $ctx->response->status(403)->text('no'); return },
    );
    @log = ();
    my $client = client($old->to_app);
    is [ map { $client->get($_)->status } '/', '/mw', '/block' ], [ 202, 202, 403 ], 'handlers and middleware may send themselves';
    is \@log, ['after'], 'and need not pass on what $next gave';
};

subtest 'mistakes in routes' => sub {
    my $dies = sub { my ($routes) = @_; my $class = class_with($routes, ok => sub { }); return dies { $class->to_app } };
    like $dies->(sub { $_[1]->get('/' => 'missing') }), qr/^No such method: missing in t::Made\d+ at \Q$0\E/, 'HTTP method';
    like $dies->(sub { $_[1]->websocket('/' => 'missing') }), qr/^No such method: missing at \Q$0\E/, 'WebSocket method';
    like $dies->(sub { $_[1]->sse('/' => 'missing') }), qr/^No such method: missing at \Q$0\E/, 'SSE method';
    like $dies->(sub { $_[1]->get('/' => ['missing'] => 'ok') }), qr/^No such middleware method: missing at \Q$0\E/, 'middleware method';
    for my $bad (sub { }, bless({}, 't::Middleware')) {
        like $dies->(sub { $_[1]->get('/' => [$bad] => 'ok') }),
            qr/^Standard middleware \(coderef\/object\) belong at the mount or group level, not in an Endpoint route's middleware list; /, 'standard middleware';
    }
    for my $arguments ([], [undef], [ {} ], [ [], [] ], [ 'ok', 'ok' ], [ [], 'ok', 'ok' ]) {
        like $dies->(sub { $_[1]->get('/' => @$arguments) }), qr/^Invalid route arguments at \Q$0\E/, 'arguments';
    }
    like $dies->(sub { $_[1]->websocket('/' => ['ok'] => 'ok') }),
        qr/^WebSocket routes do not support route-level middleware; apply event middleware at the mount or group level at \Q$0\E/, 'WebSocket middleware';
    like $dies->(sub { $_[1]->sse('/' => ['ok'] => 'ok') }),
        qr/^SSE routes do not support route-level middleware; apply event middleware at the mount or group level at \Q$0\E/, 'SSE middleware';
};

subtest 'state and context class' => sub {
    my $router = t::App->new;
    $router->state->{db} = 'own';
    is client($router->to_app)->get('/state')->json, { db => 'own' }, 'the state of the object';
    my @sent;
    my $scope = { type => 'http', method => 'GET', path => '/state', headers => [], state => { db => 'lifespan' } };
    $router->to_app->($scope, sub { }, sub { push @sent, $_[0]; Future->done })->get;
    is $sent[1]{body}, '{"db":"lifespan"}', 'lifespan state comes first';
    is [ $router->to_app->({ type => 'lifespan' }, sub { die }, sub { die })->get ], [], 'lifespan events fall through';

    {
        package t::Context;
        our @ISA = 'PAGI::Context';
        sub _type_map { +{ map { $_ => "t::Context::$_" } qw(http websocket sse) } }
        package t::Context::http;      our @ISA = 'PAGI::Context::HTTP';
        package t::Context::websocket; our @ISA = 'PAGI::Context::WebSocket';
        package t::Context::sse;       our @ISA = 'PAGI::Context::SSE';
        package t::Own;
        our @ISA = 't::App';
        sub context_class { 't::Context' }
    }
    my $client = client(t::Own->to_app);
    is $client->get('/')->content, '<h1>t::Context::http', 'HTTP';
    $client->websocket('/ws-code', sub { is $_[0]->receive_text, 't::Context::websocket', 'WebSocket' });
    $client->sse('/sse-code', sub { is $_[0]->receive_event->{data}, 't::Context::sse', 'SSE' });
};

done_testing;
