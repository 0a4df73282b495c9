use v5.36;
use Future::AsyncAwait;
use PAGI::Middleware::TrustedHosts;
use PAGI::Simple;

# The forms of the public introduction, and of the code it introduced (t/simple/introduction.t).
my $app = PAGI::Simple->new(name => 'Introduction', quiet => 1);

$app->get('/' => sub ($c) { $c->text('Hello, World!') });
$app->get('/users/:id' => sub ($c) { $c->json({ id => $c->path_params->{id} }) });
$app->post('/users' => sub ($c) {
    my $data = $c->json_body;
    $c->status(201)->json({ created => $data->{name} });
});
$app->post('/shipped' => async sub ($c) {
    my $data = await $c->req->json_body;
    await $c->json({ created => $data->{name} });
});
$app->post('/await-data' => async sub ($c) {
    my $data = eval { await $c->json_body };
    await $c->text($data ? 'awaited' : 'plain data cannot be awaited');
});

$app->websocket('/chat' => sub ($ws) {
    $ws->on(open    => sub { $ws->send('open') });
    $ws->on(message => sub ($msg) { $ws->broadcast($msg) });
    $ws->on(close   => sub { $ws->broadcast('left') });
});
$app->websocket('/room/:name' => sub ($ws) {
    my $name = $ws->param('name');
    $ws->join($name);
    $ws->on(message => async sub ($msg) { $ws->broadcast_others($name, $msg); await $ws->send_json({ sent => $msg }) });
});
$app->sse('/dashboard' => sub ($sse) {
    $sse->on(connect => sub { $sse->send({ status => 'connected' }) });
});
$app->sse('/shipped-events' => async sub ($sse) {
    await $sse->send_event(data => [ 1, 2 ], event => 'list', id => 5);
});

# a PAGI middleware around a WebSocket
$app->websocket('/guarded' => [ PAGI::Middleware::TrustedHosts->new(hosts => ['nowhere.example'], scope_types => [qw(http websocket)]) ]
    => sub ($ws) { $ws->send('in') });
$app->websocket('/trusted' => [ PAGI::Middleware::TrustedHosts->new(hosts => ['*'], scope_types => [qw(http websocket)]) ]
    => sub ($ws) { $ws->on(message => sub ($text) { $ws->send("in $text") }) });
$app->to_app;
