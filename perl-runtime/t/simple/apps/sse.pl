use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;

# What t/simple/sse.t asks for.
my $app = PAGI::Simple->new(name => 'Streams', quiet => 1);
my @log;

$app->middleware(members => sub ($c, $next) { $c->req->query_param('key') ? $next->() : $c->text('members only', 401) });
$app->use_cors(origins => ['https://a.example']);

# the introduction's dashboard
$app->sse('/events' => sub ($sse) {
    $sse->on(connect => sub { $sse->send({ hello => "\x{263a}" }, event => 'welcome', id => 7, retry => 500) });
    $sse->subscribe('metrics');
});
$app->post('/metrics' => sub ($c) { $c->json($c->app->pubsub->publish(metrics => $c->json_body)) });

$app->sse('/count' => async sub ($sse) {
    for my $i (1 .. 3) { await $sse->send_event(data => "n $i", id => $i) }
    await $sse->close;
});
$app->sse('/user/:id' => sub ($sse) {
    my $id = $sse->param('id');
    $sse->subscribe("user:$id")->subscribe("user:$id");
    $sse->subscribe('all' => sub ($message) { $sse->send("custom $message") });
    $sse->send(join ',', $sse->channels, $sse->in_channel('all'), $sse->last_event_id // 'none');
    $sse->on(close => sub { push @log, "close $id " . scalar $sse->channels });
});
$app->sse('/secret' => ['members'] => sub ($sse) { $sse->send('in') });
$app->sse('/deny' => sub ($sse) { $sse->deny(status => 410, body => 'gone') });
$app->sse('/dies' => sub ($sse) { die "secret\n" });
$app->websocket('/ws/:room' => sub ($ws) { $ws->join($ws->param('room')) });

$app->get('/page' => sub ($c) { $c->text('a page') });
$app->get('/log' => sub ($c) { $c->json([ splice @log ]) });
$app->post('/publish/:channel' => sub ($c) {
    $c->json($c->app->pubsub->publish($c->path_params->{channel}, $c->json_body));
});
$app->to_app;
