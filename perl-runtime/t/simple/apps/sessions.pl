use v5.36;
use Future;
use Future::AsyncAwait;
use PAGI::Middleware::Session::State::Header;
use PAGI::Middleware::Session::Store::Cookie;
use PAGI::Middleware::Session::Store::File;
use PAGI::Middleware::Session::Store::Memory;
use PAGI::Simple;

# What t/simple/sessions.t asks for: one application, its sessions kept as $ENV{SESSION_STORE} says.
package SimpleTest::LateStore {    # of Futures that take their time
    our @ISA = 'PAGI::Middleware::Session::Store::Memory';
    for my $method (qw(get set delete)) {
        my $now = PAGI::Middleware::Session::Store::Memory->can($method);
        no strict 'refs';
        no warnings 'redefine';    # loaded once for each store
        *$method = async sub (@args) { await Future::IO->sleep(0.01) if Future::IO->can('sleep'); return await $now->(@args) };
    }
}
my %store = (
    default => sub { () },
    memory  => sub { PAGI::Middleware::Session::Store::Memory->new },
    cookie  => sub { PAGI::Middleware::Session::Store::Cookie->new(secret => 'sealed') },
    file    => sub { PAGI::Middleware::Session::Store::File->new(dir => $ENV{SESSION_DIR}) },
    late    => sub { require Future::IO; SimpleTest::LateStore->new },
);
my ($store) = $store{ $ENV{SESSION_STORE} }->();
my $app = PAGI::Simple->new(name => 'Sessions', quiet => 1);
$app->enable_session(secret => 'not so secret', cookie_name => 'sid', expire => 600, cookie_options => { path => '/', httponly => 1, samesite => 'Strict' }, ($store ? (store => $store) : ()));

$app->get('/set/:value' => sub ($c) { $c->session->set(value => $c->path_params->{value}); $c->text('set') });
$app->get('/get' => async sub ($c) { await $c->text($c->session->get('value', 'none')) });
$app->get('/read' => sub ($c) { $c->text(join ',', map { "$_=" . $c->session->get($_) } sort $c->session->keys) });
$app->get('/data' => sub ($c) { $c->session->data->{direct} = 1; $c->text('direct') });
$app->get('/delete' => sub ($c) { $c->session->delete('value'); $c->text($c->session->exists('value')) });
$app->get('/clear' => sub ($c) { $c->session->clear; $c->text('cleared') });
$app->get('/regenerate' => sub ($c) { my $id = $c->session->id; $c->session->regenerate; $c->text($id) });
$app->get('/destroy' => sub ($c) { $c->session->destroy; $c->text('destroyed') });
$app->get('/missing' => sub ($c) { $c->text(eval { $c->session->get('nothing') } // $@) });
$app->websocket('/ws' => sub ($ws) { $ws->session->set(value => 'changed by the socket'); $ws->send($ws->session->get('user', $ws->session->id // 'no id')) });
my $header = PAGI::Simple->new(name => 'Header', quiet => 1, session => { secret => 's', state => PAGI::Middleware::Session::State::Header->new(header_name => 'X-Session') });
$header->get('/get' => sub ($c) { $c->text($c->session->id) });
PAGI::Simple->new(name => 'Both', quiet => 1)->mount('/header' => $header)->mount('/' => $app)->to_app;
