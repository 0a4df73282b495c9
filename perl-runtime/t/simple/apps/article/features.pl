use v5.36;
use PAGI::Middleware::Session::Store::Shared;
use PAGI::Simple;

# What the introduction lists: CORS, logging, rate limits, static files, sessions with a store of one's choice.
my $app = PAGI::Simple->new(
    name    => 'Features',
    session => { secret => 'not so secret', store => PAGI::Middleware::Session::Store::Shared->new },
);

$app->use_cors(origins => ['https://app.example.com'], credentials => 1);
$app->enable_logging(format => 'tiny');
$app->enable('RateLimit', requests_per_second => 1, burst => 1000);
$app->static('/assets' => './public');

$app->get('/visits' => sub ($c) {
    my $visits = $c->session->get('visits', 0) + 1;
    $c->session->set(visits => $visits);
    $c->json({ visits => $visits });
});

$app->to_app;
