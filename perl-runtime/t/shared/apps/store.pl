use v5.36;
use Future::AsyncAwait;
use PAGI::Shared;
use PAGI::Simple;

# Everything a test wants to see of the store, one request each; which worker answers is left to chance.

my $shared = PAGI::Shared->instance;
my $app = PAGI::Simple->new(name => 'Shared', quiet => 1);
my @heard;
$app->pubsub->subscribe(news => sub ($message) { push @heard, $message });    # while loading, before workers exist

$app->get('/pid'    => sub ($c) { $c->json({ pid => $$, shared => $shared->is_shared, heard => \@heard }) });
$app->get('/get'    => async sub ($c) { my $value = await $shared->get($c->req->query_param('key')); await $c->json({ value => $value }) });
$app->get('/set'    => async sub ($c) {
    my ($key, $value, $life) = map { $c->req->query_param($_) } qw(key value life);
    $value = 'x' x $c->req->query_param('size') if $c->req->query_param('size');
    my $error = eval { await $shared->set($key, $value, $life || 60); 1 } ? undef : $@;
    await $c->json({ error => $error });
});
$app->get('/touch'  => async sub ($c) { my $was = await $shared->touch($c->req->query_param('key'), $c->req->query_param('life')); await $c->json({ was => $was }) });
$app->get('/delete' => async sub ($c) { my $was = await $shared->delete($c->req->query_param('key')); await $c->json({ was => $was }) });
$app->get('/publish' => async sub ($c) { my $n = await $c->app->pubsub->publish_async($c->req->query_param('channel') => { text => "\x{263a}", n => $c->req->query_param('n') }); await $c->json({ reached => $n }) });
$app->get('/flood' => async sub ($c) { for my $n (1 .. 50) { await $c->app->pubsub->publish_async(news => { n => $n, pad => 'x' x 100_000 }) } await $c->json({ by => $$ }) });
$app->get('/heard' => sub ($c) { $c->json({ pid => $$, heard => scalar @heard }) });
$app->get('/block' => sub ($c) {
    my $file = $c->req->query_param('file');
    open my $mark, '>', $file or die "$file: $!\n";
    print {$mark} $$;
    close $mark;
    select undef, undef, undef, 0.01 while -e $file;
    $c->json({ pid => $$ });
});
$app->get('/forked' => sub ($c) {
    # a child is on its own, with a connection of its own
    my $pid = fork // die "fork: $!\n";
    if (!$pid) { $shared->set(child => "by $$", 60)->get; exit }
    waitpid $pid, 0;
    $c->json({ status => $?, pid => $pid });
});
$app->websocket('/room/:name' => sub ($ws) {
    my $room = $ws->path_params->{name};
    $ws->join($room);
    $ws->send("joined $$");
    $ws->on(message => sub ($text) { $ws->broadcast($room, $text) });
});

$app->websocket('/all' => sub ($ws) {
    $ws->on(open => sub { $ws->send("here $$") });
    $ws->on(message => sub ($text) { $ws->broadcast($text) });
});
$app->sse('/feed' => sub ($sse) {
    $sse->subscribe('feed');
    $sse->on(connect => sub { $sse->send("here $$") });
});

$app->to_app;
