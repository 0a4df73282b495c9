use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;

# A tour: one page with everything on it, other examples mounted below.
my $app = PAGI::Simple->new(
    name => 'Demo', views => 'templates', share => 'htmx', workers => { max_workers => 2 }, session => { secret => $ENV{SESSION_SECRET} || 'demo' },
);
my $examples = $app->home . '/..';

$app->enable('SecurityHeaders', content_security_policy => undef);
$app->hook(before => sub ($c) { $c->stash->{visits} = 0 });
$app->middleware(count => sub ($c, $next) { $c->session->set(visits => 1 + $c->session->get('visits', 0)); $next->() });

$app->get('/' => ['count'] => sub ($c) { $c->render('index', visits => $c->session->get('visits')) })->name('home');
$app->get('/data' => sub ($c) {
    my $data = { time => time, agent => $c->req->user_agent };
    $c->respond_to(html => sub { $c->render('data', data => $data) }, json => { json => $data }, text => { text => "time $data->{time}" });
});
$app->get('/countdown' => sub ($c) {
    $c->stream_from([ map { "$_\n" } reverse(1 .. 3), 'lift off' ], delay => 0.05, content_type => 'text/plain; charset=utf-8');
});
$app->get('/primes/{n:[0-9]{1,5}}' => async sub ($c) {
    my $count = await $c->run_blocking(sub ($n) { scalar grep { my $x = $_; !grep { $x % $_ == 0 } 2 .. sqrt $x } 2 .. $n }, $c->path_params->{n});
    await $c->json({ up_to => $c->path_params->{n} + 0, primes => $count });
});
$app->sse('/clock' => async sub ($sse) {
    for my $tick (1 .. 3) { await $sse->send({ tick => $tick }, event => 'tick', id => $tick) }
});
$app->websocket('/echo' => sub ($ws) { $ws->on(message => sub ($text) { $ws->send("echo: $text") }) });

for my $name (qw(hello rest-api)) {
    my $example = do "$examples/$name/app.pl" or die "Cannot load the example $name: " . ($@ || $!);
    $app->mount("/$name" => $example);
}
$app->to_app;
