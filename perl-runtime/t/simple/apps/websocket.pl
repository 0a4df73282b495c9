use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;

# What t/simple/websocket.t asks for.
my $app = PAGI::Simple->new(name => 'Sockets', quiet => 1);
my @log;

$app->middleware(members => async sub ($c, $next) {
    return await $c->json({ error => 'members only' }, 401) unless ($c->req->query_param('key') // '') eq 'sesame';
    $c->stash->{member} = 1;
    $c->res_header('x-member', 1);
    await $next->();
});

# the introduction's chat
$app->websocket('/chat' => sub ($ws) {
    $ws->on(open => sub { $ws->send('Welcome') });
    $ws->on(message => sub ($data) { $ws->broadcast($data) });
});
$app->websocket('/async' => sub ($ws) {
    $ws->on(message => async sub ($text) { $ws->send(join ' ', await $ws->broadcast_async('x'), await $ws->broadcast_others_async($text)) });
});
$app->websocket('/echo' => sub ($ws) {
    $ws->on(message => sub ($data, $kind) { $ws->send($kind eq 'binary' ? $data : "$kind $data", binary => $kind eq 'binary') });
    $ws->on(message => async sub { await $ws->send({ seen => 1, who => "\x{e9}" }) });
});
$app->websocket('/fragile' => sub ($ws) {
    $ws->on(error => sub ($error) { $ws->send("error: $error") });
    $ws->on(message => sub ($data) { die "no $data\n" });
});
$app->websocket('/dies' => sub ($ws) { die "secret\n" });
$app->websocket('/dies-late' => async sub ($ws) {
    $ws->join('late')->on(close => sub { push @log, 'late closed' });
    await $ws->send('open');
    die "secret\n";
});
$app->websocket('/server-close' => sub ($ws) {
    $ws->join('closing');
    $ws->on(close => sub { push @log, 'closed ' . scalar $ws->rooms });
    $ws->on(message => sub ($data) { $ws->close(4001, 'done'); $ws->close });
});
$app->websocket('/proto' => sub ($ws) {
    $ws->deny(status => 400, body => 'no common protocol') unless grep { $_ eq 'v2' } @{ $ws->subprotocols };
    $ws->accept(subprotocol => 'v2', headers => [ [ 'x-node', 'a' ] ]) unless $ws->is_closed;
});
$app->websocket('/club' => ['members'] => sub ($ws) { $ws->on(open => sub { $ws->send('member ' . $ws->stash->{member}) }) });
$app->group('/rooms' => sub ($app) {
    $app->websocket('/:room' => sub ($ws) {
        my $room = $ws->param('room');
        $ws->join($room)->join($room);
        $ws->on(message => sub ($text) {
            my ($word, $rest) = split / /, $text, 2;
            $ws->send(join ',', $ws->rooms) if $word eq 'rooms';
            $ws->send($ws->in_room($room)) if $word eq 'in';
            $ws->leave($room) if $word eq 'leave';
            $ws->send('all ' . $ws->broadcast($room, { text => $rest })) if $word eq 'all';
            $ws->send('others ' . $ws->broadcast_others($room, $rest)) if $word eq 'others';
        });
        $ws->on(close => async sub { $ws->broadcast($room, 'left') });
    });
});
$app->group('/guarded', ['members'], sub ($app) { $app->websocket('/ws' => sub ($ws) { $ws->send('in') }) });
my $child = PAGI::Simple->new(name => 'Child', quiet => 1);
$child->websocket('/ws' => sub ($ws) { $ws->send('child ' . $ws->c->full_path) });
$app->mount('/child' => $child, ['members']);

$app->get('/log' => sub ($c) { $c->json([ splice @log ]) });
$app->get('/count/:room' => sub ($c) { $c->json($c->app->pubsub->subscribers($c->path_params->{room})) });
$app->post('/say/:room' => async sub ($c) { $c->json(await $c->app->pubsub->publish_async($c->path_params->{room}, 'from http')) });
$app->to_app;
