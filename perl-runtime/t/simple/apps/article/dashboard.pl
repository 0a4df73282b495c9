use v5.36;
use PAGI::Simple;

my $app = PAGI::Simple->new(name => 'Dashboard');

$app->sse('/events' => sub ($sse) {
    $sse->on(connect => sub {
        $sse->send({ status => 'connected' });
    });
    $sse->subscribe('metrics');
});

$app->post('/metrics' => sub ($c) {
    $c->app->pubsub->publish(metrics => $c->json_body);
    $c->json({ ok => 1 });
});

$app->to_app;
