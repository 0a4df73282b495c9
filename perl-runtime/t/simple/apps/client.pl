use v5.36;
use Future::AsyncAwait;
use PAGI::Middleware::Session::Store::Cookie;
use PAGI::Simple;

# What t/simple/client.t asks for: sessions, cookies, CORS, negotiation, headers.
package SimpleTest::SyncStore {
    my %data;
    sub new { return bless {}, shift }
    sub get ($self, $id) { return $data{$id} && { %{ $data{$id} } } }
    sub set ($self, $id, $session) { $data{$id} = {%$session}; return $id }
    sub delete ($self, $id) { return delete $data{$id} }
}
my $app = PAGI::Simple->new(name => 'Client', quiet => 1, session => { secret => 's' x 32, store => SimpleTest::SyncStore->new });
$app->use_cors(origins => [ 'https://a.example', 'https://b.example' ], credentials => 1, expose => ['x-total'], max_age => 60);

$app->get('/visits' => sub ($c) { $c->session->set(n => 1 + $c->session->get('n', 0)); $c->json([ $c->session->get('n'), $c->session->data->{n} ]) });
$app->get('/login' => sub ($c) { $c->session->set(user => 'ann'); $c->session->regenerate; $c->text($c->session->id) });
$app->get('/logout' => sub ($c) { $c->session->destroy; $c->text('bye') });
$app->get('/who' => sub ($c) { $c->text($c->session->get('user', 'nobody')) });
$app->websocket('/ws' => sub ($ws) { $ws->send($ws->session->get('user', 'nobody')) });
$app->sse('/sse' => sub ($sse) { $sse->send($sse->session->get('user', 'nobody')) });

$app->get('/cookies' => sub ($c) { $c->json([ $c->req->cookies, $c->req->cookie('a') ]) });
$app->get('/set' => sub ($c) {
    $c->cookie(theme => "d\x{e4}rk;", max_age => 60, httponly => 1, secure => 1, samesite => 'strict', domain => 'example.org')
        ->cookie(plain => 1)->remove_cookie('old', path => '/x')->text('ok');
});
$app->get('/own-cors' => sub ($c) { $c->json({}) });
$app->get('/accept' => sub ($c) { $c->json([ $c->req->accepts ]) });
$app->get('/negotiate' => sub ($c) {
    $c->respond_to(html => sub { $c->html('<p>html</p>') }, json => { json => { a => 1 }, status => 201 }, xml => { data => '<a/>' });
});
$app->get('/any' => sub ($c) { $c->respond_to(json => { data => [1] }, any => async sub ($c) { await $c->text('any') }) });
$app->get('/headers' => sub ($c) {
    $c->json([ $c->req->header('X-Two'), [ $c->req->headers->get_all('x-two') ], $c->req->header_utf8('x-name'), $c->req->user_agent,
        $c->req->content_length, $c->req->is_htmx, $c->req->htmx_target, $c->req->client_ip ? 1 : 0, $c->req->scheme ]);
});
$app->get('/connected' => sub ($c) { $c->json([ $c->is_disconnected, $c->disconnect_future->is_ready ? 1 : 0 ]) });
$app->to_app;
