use v5.36;
use lib 't/simple/lib';
use Cwd ();
use File::Basename qw(dirname);
use PAGI::Simple;
use PAGI::Simple::Handler;

# What t/simple/verbs.t asks for: each verb of the application and of the router a handler gets, and what hooks and aliases add.
package SimpleTest::Verbs::Things {
    use parent -norequire, 'PAGI::Simple::Handler';
    sub routes ($class, $app, $r) {
        $r->$_("/$_" => '#echo') for qw(get post put patch delete del any);
        $r->get('/named/:id' => '#echo')->name('thing');
        $r->websocket('/ws' => '#ws')->name('thing_ws');
        $r->sse('/sse' => '#first' => '#sse')->name('thing_sse');
    }
    sub echo ($self, $c) { $c->json({ method => $c->method, path => $c->path, handler => ref $self, app => $self->app->name }) }
    sub first ($self, $sse) { $sse->stash->{first} = 'yes' }
    sub sse ($self, $sse) { $sse->send('sse ' . $sse->stash->{first}) }
    sub ws ($self, $ws) { $ws->send('ws of ' . ref $self) }
}

my $app = PAGI::Simple->new(name => 'Verbs', quiet => 1, home => dirname(Cwd::abs_path(__FILE__)) . '/..');
$app->use('RequestId', header => 'x-used');
$app->before(sub ($c) { $c->res_header('x-before', 1) });
$app->after(sub ($c) { $c->app->stash->{after}++ });
$app->$_("/$_" => sub ($c) { $c->text($c->method) }) for qw(get post put patch delete del any);
$app->route(report => '/report' => sub ($c) { $c->text($c->method) })->put('/chained' => sub ($c) { $c->text('chained') });
$app->group('/things', sub ($app) { $app->mount('/' => 'SimpleTest::Verbs::Things') });
$app->get('/urls' => sub ($c) { $c->json([ map { $c->url_for($_, id => 1) } qw(thing thing_ws thing_sse) ]) });
$app->get('/after' => sub ($c) { $c->json($c->app->stash->{after}) });
$app->get('/parts' => sub ($c) { $c->json([
    $c->response_started, $c->mark_response_started->response_started ? 1 : 0,
    scalar(eval { $c->abort(400, 'too late'); 1 } ? 'aborted' : "$@"),
    scalar(eval { $c->abort(400); 1 } ? 'aborted' : "$@"),
    ref $c->loop, ref $c->app->loop,
    do { $c->{started} = 0; 1 },    # as if nothing had been sent
]) });
$app->get('/loop' => sub ($c) { $c->text(PAGI::Simple::Context->new(app => $app, scope => { 'pagi.loop' => 'given' })->loop) });
$app->get('/bad-handler' => sub ($c) { $c->abort(422) });
$app->error(422 => sub ($c) { die "broken page\n" });
$app->get('/mute-handler' => sub ($c) { $c->abort(409, 'twice') });
$app->error(409 => sub ($c, $message) { });
$app->error(405 => sub ($c) { $c->text('own 405') });
$app->error(410 => sub ($c) { die })->error(410 => sub ($c) { $c->text('the last one') });
$app->get('/gone' => sub ($c) { $c->abort(410) });
$app->to_app;
