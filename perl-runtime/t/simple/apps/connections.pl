use v5.36;
use Future;
use Future::AsyncAwait;
use PAGI::Simple;

# What t/simple/connections.t asks for: what WebSockets and event streams have in common, and what a stream can do with channels.
my $app = PAGI::Simple->new(name => 'Connections', quiet => 1, workers => { max_workers => 1 });
my @log;

sub seen ($conn) {
    return {
        app   => $conn->app->name, type => $conn->scope->{type}, captures => $conn->path_params, param => $conn->param('id'),
        none  => $conn->param('none'), stash => $conn->stash->{from}, query => $conn->req->query_param('q'),
        url   => $conn->url_for('page', n => 1), log => ref $conn->log, bus => $conn->pubsub == $conn->app->pubsub ? 1 : 0,
        closed => $conn->is_closed, context => ref $conn->c,
    };
}
$app->middleware(note => sub ($c, $next) { $c->stash->{from} = 'middleware'; $next->() });
$app->get('/page/:n' => sub ($c) { $c->text('page') })->name('page');
$app->websocket('/ws/:id' => ['note'] => sub ($ws) { $ws->send(seen($ws)) });
$app->sse('/sse/:id' => ['note'] => sub ($sse) { $sse->send(seen($sse)) });

$app->websocket('/blocking' => sub ($ws) {
    $ws->on(message => async sub ($n) { await $ws->send(await $ws->run_blocking(sub ($m) { $m * 2 }, $n)) });
});
$app->websocket('/rooms' => sub ($ws) {
    $ws->join($_) for qw(a b c);
    $ws->on(message => sub ($text) {
        $ws->leave_all if $text eq 'leave';
        $ws->send({ rooms => [ $ws->rooms ], in => $ws->in_room('a') });
    });
});
$app->websocket('/late' => sub ($ws) {
    $ws->on(message => sub ($text) { $ws->on(open => sub { $ws->send('open already') }) });
});
$app->websocket('/noise' => sub ($ws) {
    $ws->on(error => async sub ($error) { await Future->done; await $ws->send("error $error") });
    $ws->on(message => sub ($text) { die "$text\n" });
    $ws->on(close => async sub { await Future->done; push @log, 'async close' });
});
$app->websocket('/codes' => sub ($ws) { $ws->on(message => async sub ($text) { await $ws->close }) });

$app->sse('/channels/:id' => sub ($sse) {
    my $id = $sse->param('id');
    $sse->subscribe('news')->subscribe('own' => async sub ($message) { await $sse->send_event(data => "own $message", event => 'own') });
    $sse->subscribe('extra');
    $sse->unsubscribe('extra');
    $sse->send(join ',', $sse->channels);
    $sse->on(close => sub { push @log, "left $id" });
});
$app->sse('/publisher/:how' => async sub ($sse) {
    my $how = $sse->param('how');
    $sse->subscribe('news');
    await $sse->send('ready');
    my $count = $how =~ /async/ ? await $sse->$how('news', 'from the publisher') : $sse->$how('news', 'from the publisher');
    await $sse->send("told $count");
    await $sse->close;
});
$app->sse('/alone' => async sub ($sse) {
    $sse->subscribe($_) for qw(x y);
    $sse->unsubscribe_all;
    await $sse->send(scalar(my @left = $sse->channels));
    await $sse->keepalive(30, 'still here');
    await $sse->send({ started => \1 });
    await $sse->close;
});
$app->get('/log' => sub ($c) { $c->json([ splice @log ]) });
$app->get('/listeners/:channel' => sub ($c) { $c->json($c->app->pubsub->subscribers($c->path_params->{channel})) });
$app->to_app;
