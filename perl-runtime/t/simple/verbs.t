use v5.36;
use lib 't/lib';
use Test2::V0;
use Future::AsyncAwait;
use PAGI::Simple;
use PAGI::Simple::Abort;
use PAGI::Simple::Exception;
use PAGITest::Backends qw(each_backend);

# Each verb, of the application and of handlers; aliases; error pages.

each_backend('t/simple/apps/verbs.pl', sub ($client, $backend) {
    local $SIG{__WARN__} = sub { };
    for my $verb (qw(get post put patch delete)) {
        is $client->$verb("/$verb")->text, uc $verb, "$verb";
        is $client->$verb("/things/$verb")->json, { method => uc $verb, path => "/things/$verb", handler => 'SimpleTest::Verbs::Things', app => 'Verbs' }, "$verb of a handler";
        is $client->$verb($_)->status, 200, "any answers $verb at $_" for '/any', '/things/any';
        is $client->$verb($verb eq 'get' ? '/post' : '/get')->status, 405, 'another verb does not';
    }
    is [ map { $client->delete($_)->status } '/del', '/things/del' ], [ 200, 200 ], 'del';
    is $client->_request(REPORT => '/report')->text, 'REPORT', 'route with a method of its own';
    is $client->put('/chained')->text, 'chained', 'declarations are chained';
    is $client->get('/urls')->json, [ '/things/named/1', '/things/ws?id=1', '/things/sse?id=1' ], 'names given by a handler';
    is $client->websocket('/things/ws')->receive_text(20), 'ws of SimpleTest::Verbs::Things', 'its WebSocket';
    is $client->sse('/things/sse')->receive_event(timeout => 20)->{data}, 'sse yes', 'its event stream, a chain';

    my $r = $client->get('/get');
    is [ $r->header('x-before'), defined $r->header('x-used') ? 1 : 0 ], [ 1, 1 ], 'before and use';
    ok $client->get('/after')->json > 5, 'after';
    my $parts = $client->get('/parts')->json;
    is [ @$parts[ 0 .. 3 ] ], [ 0, 1, "too late\n", "Aborted with status 400\n" ], 'abort after the response has started is an exception';
    is $parts->[4], $parts->[5], 'the loop of the context is that of the application';
    is $client->get('/loop')->text, 'given', 'unless the scope has one';
    is [ map { $_->status, $_->text, $_->header('allow') } $client->post('/get') ], [ 405, 'own 405', 'GET, HEAD' ], 'an error handler for 405';
    is [ map { $_->status, $_->text } $client->get('/gone') ], [ 410, 'the last one' ], 'the last handler for a status counts';
    my $hooks = sub { $client->get('/after')->json };
    my $ran = $hooks->();
    $client->get($_) for '/nowhere', '/things/nowhere';
    is $hooks->(), $ran + 1, 'hooks do not run for what has no route';
    is [ map { $_->status, $_->text } $client->get('/bad-handler') ], [ 500, 'Internal Server Error' ], 'an error handler that dies';
    is [ map { $_->status, $_->text } $client->get('/mute-handler') ], [ 409, 'Conflict: twice' ], 'one that says nothing';
});

subtest 'error pages' => sub {
    my %text = (
        400 => 'Bad Request', 401 => 'Unauthorized', 403 => 'Forbidden', 404 => 'Not Found', 405 => 'Method Not Allowed', 409 => 'Conflict', 410 => 'Gone',
        422 => 'Unprocessable Entity', 429 => 'Too Many Requests', 500 => 'Internal Server Error', 501 => 'Not Implemented', 502 => 'Bad Gateway',
        503 => 'Service Unavailable', 504 => 'Gateway Timeout', 418 => 'Error 418', 599 => 'Error 599',
    );
    my $app = PAGI::Simple->new(name => 'x', quiet => 1);
    $app->get('/:code' => sub ($c) { $c->abort($c->path_params->{code}) });
    my $client = PAGI::Test::Client->new(app => $app);
    my @warnings;
    local $SIG{__WARN__} = sub { push @warnings, @_ };
    is { map { my $r = $client->get("/$_"); $r->status => $r->text } keys %text }, \%text, 'built-in texts';
    is \@warnings, [], 'an abort is not logged';
    $app->get('/x/die' => sub ($c) { die "no database\n" });
    $client->get('/x/die');
    is \@warnings, ["PAGI application error: no database\n"], 'an exception is';

    for my $streaming (sub ($c) { $c->stream(sub ($w) { $w->write('x'); die "late\n" }) }, async sub ($c) { await $c->stream(sub ($w) { die "late\n" }) }) {
        @warnings = ();
        my $late = PAGI::Simple->new(name => 'x', quiet => 1);
        $late->get('/' => $streaming);
        is [ PAGI::Test::Client->new(app => $late)->get('/')->status, \@warnings ], [ 200, ["PAGI application error: late\n"] ], 'one while streaming too, once';
    }

    is [ map { $app->has_middleware($_) } 'm', 'none' ], [ 0, 0 ], 'has_middleware';
    my $code = sub ($c, $next) { $next->() };
    is [ $app->middleware(m => $code)->has_middleware('m'), $app->get_middleware('m') == $code, $app->get_middleware('none') ], [ 1, T, undef ], 'get_middleware';
    my $page = sub ($c) { $c->text('lost', 404) };
    is [ $app->not_found($page)->get_error_handler(404) == $page, $app->get_error_handler(500) ], [ T, undef ], 'not_found, get_error_handler';
    is $client->get('/nowhere/at/all')->text, 'lost', 'which answers';
    like dies { $app->error(404 => 'text') }, qr/\Aerror takes/, 'error without a coderef';
    like dies { $app->error(nope => sub { }) }, qr/\Aerror takes/, 'or a status';
    like dies { $app->middleware('m') }, qr/\Amiddleware takes/, 'middleware without a coderef';
    like dies { $app->route() }, qr/\Aroute needs a method/, 'route without a method';
};

subtest 'exceptions' => sub {
    my $exception = PAGI::Simple::Exception->new;
    is [ $exception->message, $exception->status, "$exception" ], [ 'An error occurred', 500, 'An error occurred' ], 'defaults';
    my $thrown = dies { PAGI::Simple::Exception->throw(message => 'm', status => 402) };
    is [ $thrown->message, $thrown->status ], [ 'm', 402 ], 'throw';
    my $abort = PAGI::Simple::Abort->new(code => 403, message => 'no', context => 'c');
    is [ $abort->code, $abort->status, $abort->message, $abort->context, "$abort" ], [ 403, 403, 'no', 'c', 'no' ], 'abort';
    is '' . PAGI::Simple::Abort->new(code => 403), 'Aborted with status 403', 'without a message';
};

subtest 'routes and handles' => sub {
    my $app = PAGI::Simple->new(name => 'x', quiet => 1);
    my $code = sub ($c) { };
    my $handle = $app->get('/a/:b' => ['m'] => $code);
    my $route = $handle->route;
    is [ $route->method, $route->path, $route->name, $route->middleware, $route->handler_methods, $route->handler_instance ], [ 'GET', '/a/:b', undef, ['m'], [], undef ], 'a route';
    ref_is $route->handler, $code, 'its handler';
    is [ $route->pattern->path, $route->pattern->match('/a/1') ], [ '/a/:b', { b => 1 } ], 'its pattern';
    ok $handle->can('websocket'), 'a handle can what its application can';
    ok !$handle->can('no_such_method'), 'and no more';
    like dies { $handle->no_such_method }, qr/Can't locate object method "no_such_method" via package "PAGI::Simple::RouteHandle"/, 'and says so';
    my $chained = $handle->post('/c' => $code)->any('/d' => $code)->patch('/e' => $code)->delete('/f' => $code);
    is [ map { $_->method . $_->path } $app->router->routes ], [ 'GET/a/:b', 'POST/c', '*/d', 'PATCH/e', 'DELETE/f' ], 'chained declarations';
    ref_is $chained->name('f'), $app, 'ending with a name';
};

done_testing;
