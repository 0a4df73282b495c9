use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;
use PAGI::Simple::Exception;

# What t/simple/core.t asks for.
my $app = PAGI::Simple->new(name => 'Core', quiet => 1);

$app->get('/' => sub ($c) { $c->text('Hello') })->name('root');
$app->get('/json' => sub ($c) { $c->json({ b => [ 1, undef ], a => "\x{e9}" }) })
    ->get('/scalar' => sub ($c) { $c->json('just a string') })
    ->get('/html' => sub ($c) { $c->html("<p>\x{263a}</p>") });
$app->get('/status' => sub ($c) { $c->status(201)->res_header('x-one', 1)->res_header('x-one', 2)->text('made') });
$app->get('/awaited' => async sub ($c) { await $c->text('awaited', 202); return });
$app->get('/type' => sub ($c) { $c->content_type('text/csv')->text('a,b') });
$app->get('/empty' => sub ($c) { $c->status(204)->text('ignored') });
$app->get('/twice' => sub ($c) { $c->text('first'); $c->text('second') });
$app->get('/silent' => sub ($c) { 42 });
$app->get('/die' => sub ($c) { die "secret\n" });
$app->get('/async-die' => async sub ($c) { die { code => 1 } });
$app->get('/teapot' => sub ($c) { PAGI::Simple::Exception->throw(status => 418, message => 'short and stout') });
$app->get('/abort/:code' => sub ($c) { $c->abort($c->path_params->{code}, 'because') });
$app->get('/gone' => sub ($c) { $c->not_found });
$app->get('/raw' => sub ($c) { $c->content_type('application/x-bytes')->send_response("\xff\x00") });
$app->get('/latin' => sub ($c) { $c->send_utf8("h\x{e9}", charset => 'iso-8859-1') });
$app->get('/old' => sub ($c) { $c->redirect('/new?x=1', 301) });
$app->get('/to-user' => sub ($c) { $c->redirect_to('user', id => 'J/n', tab => 'log', status => 303) });

$app->get('/users/new' => sub ($c) { $c->text('form') });
$app->get('/users/:id' => sub ($c) { $c->text('user ' . $c->path_params->{id}) })->name('user');
$app->post('/users/:id' => sub ($c) { $c->text('posted') });
$app->get('/number/{n:[0-9]+(?:\.[0-9]+)?}/{rest}' => sub ($c) { $c->json($c->path_params) });
$app->get('/files/*path' => sub ($c) { $c->text('file ' . $c->path_params->{path}) })->name('file');
$app->any('/any' => sub ($c) { $c->text($c->method) });
$app->del('/item' => sub ($c) { $c->text('deleted') });
$app->route(propfind => '/item' => sub ($c) { $c->text('dav') });
$app->get('/v:id' => sub ($c) { $c->text('literal') })->name('literal');

$app->get('/query' => sub ($c) {
    $c->json([ $c->req->query_param('a'), $c->req->query_params('a'), $c->query_string, [ sort $c->req->query->keys ] ]);
});
$app->post('/echo' => sub ($c) { $c->json($c->json_body) });
$app->post('/echo-async' => async sub ($c) { await $c->json(await $c->req->json_body) });
$app->get('/stash' => sub ($c) { $c->stash->{n}++; $c->text($c->stash->{n}) });
$app->get('/url' => sub ($c) { $c->json([
    $c->url_for('user', id => "\x{fc} /", page => 2, query => { tag => [ 'a b', 'c' ], page => 3 }),
    $c->url_for('file', path => 'a b/c'), $c->url_for('user'), $c->url_for('nobody'), $c->url_for('literal', id => 1),
]) });

$app->error(410 => sub ($c) { $c->json({ gone => $c->response_status }) });
$app->error(418 => sub ($c, $error) { $c->text("I am a teapot: $error") });
$app->to_app;
