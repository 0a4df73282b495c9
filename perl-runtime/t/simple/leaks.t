use v5.36;
use Test2::V0;
use Future::AsyncAwait;
use PAGI::Simple;
use PAGI::Test::Client;

# Nothing of a request or connection stays behind, however its callbacks refer to it.

my %alive;
for my $class (qw(Context WebSocket SSE)) {
    my $package = "PAGI::Simple::$class";
    eval "require $package" or die $@;
    my $new = $package->can('new');
    no strict 'refs';
    no warnings 'redefine';
    *{"${package}::new"} = sub { my $object = $new->(@_); $alive{$class}++; return $object };
    *{"${package}::DESTROY"} = sub { $alive{$class}-- };
}

my $app = PAGI::Simple->new(name => 'Leaks', quiet => 1);
$app->middleware(pass => sub ($c, $next) { $c->stash->{c} = 1; $next->() });
$app->get('/plain' => sub ($c) { $c->text('x') });
$app->get('/async' => [ 'pass', 'pass' ] => async sub ($c) { await $c->json({}) });
$app->get('/stream' => sub ($c) { $c->stream(async sub ($w) { await $w->write($c->path) }) });
$app->get('/die' => sub ($c) { die "no\n" });
$app->post('/body' => async sub ($c) { await $c->json(await $c->req->json_body) });
$app->get('/log' => sub ($c) { $c->log; $c->req->query; $c->text('x') });
$app->error(500 => sub ($c, $error) { $c->text('sorry') });
$app->websocket('/ws' => sub ($ws) {
    $ws->join('room')->subscribe(other => sub ($m) { $ws->send($m) });
    $ws->on(open => sub { $ws->send('open') })->on(message => sub ($m) { $ws->broadcast($m) })->on(close => sub { $ws->rooms });
});
$app->websocket('/ws-close' => sub ($ws) { $ws->send('bye'); $ws->close(4000, 'x') });
$app->sse('/sse' => sub ($sse) { $sse->subscribe('room')->on(connect => sub { $sse->send('x') })->on(close => sub { $sse->channels }) });
$app->sse('/sse-close' => async sub ($sse) { await $sse->send('x'); await $sse->close });

local $SIG{__WARN__} = sub { };
my $client = PAGI::Test::Client->new(app => $app);
for (1 .. 3) {
    $client->get("/$_") for qw(plain async stream die log none);
    $client->post('/body', json => {});
    my $ws = $client->websocket('/ws');
    $ws->send_text('x');
    $ws->close;
    $client->websocket('/ws-close');
    my $sse = $client->sse('/sse');
    $sse->close;
    $client->sse('/sse-close');
    $client->websocket('/nowhere', decline_ok => 1);
}
is \%alive, { Context => 0, WebSocket => 0, SSE => 0 }, 'everything is freed';
is [ $app->pubsub->channels ], [], 'no channel is left';

done_testing;
