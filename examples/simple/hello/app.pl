use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;

my $app = PAGI::Simple->new(name => 'Hello');

$app->get('/' => sub ($c) {
    $c->html('<!doctype html><title>Hello</title><h1>Hello, World!</h1><p><a href="/hello/you">and you</a></p>');
})->name('home');

$app->get('/hello/:who' => sub ($c) { $c->text('Hello, ' . $c->path_params->{who} . '!') })->name('hello');

$app->get('/api/time' => sub ($c) { $c->json({ time => time }) });

$app->post('/api/echo' => sub ($c) {
    my $data = $c->json_body;
    $c->json({ you_sent => $data });
});

$app->get('/search' => async sub ($c) {
    my $query = await $c->param('q');
    await $c->text(defined $query ? "Looking for $query" : 'Add ?q= to the address');
});

$app->get('/old' => sub ($c) { $c->redirect_to('hello', who => 'again') });

$app->not_found(sub ($c) { $c->json({ error => 'not found', path => $c->path }) });

$app->to_app;
