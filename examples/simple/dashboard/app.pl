use v5.36;
use PAGI::Simple;

my $app = PAGI::Simple->new(name => 'Dashboard');
my %latest = (visitors => 0);

$app->sse('/events' => sub ($sse) {
    $sse->on(connect => sub { $sse->send(\%latest, event => 'snapshot') });
    $sse->subscribe('metrics' => sub ($metric) { $sse->send($metric, event => 'metric') });
});

# curl -d '{"name":"cpu","value":42}' http://localhost:5000/metrics
$app->post('/metrics' => sub ($c) {
    my $metric = $c->json_body;
    $c->abort(422, 'A metric has a name and a number') unless ref $metric eq 'HASH' && length($metric->{name} // '')
        && ($metric->{value} // '') =~ /\A-?[0-9.]+\z/;
    $latest{ $metric->{name} } = $metric->{value};
    $c->json({ told => $c->app->pubsub->publish(metrics => $metric) }, 201);
});

$app->get('/metrics' => sub ($c) { $c->json(\%latest) });
$app->static('/' => 'public');
$app->to_app;
