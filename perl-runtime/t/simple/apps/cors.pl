use v5.36;
use PAGI::Simple;

# What t/simple/cors.t asks for: an open application, one for chosen origins, one whose routes decide for themselves.
sub app (%cors) {
    my $app = PAGI::Simple->new(name => 'CORS', quiet => 1);
    $app->use_cors(%cors) if %cors;
    $app->get('/data' => sub ($c) { $c->text('data') });
    return $app;
}
my $own = app();
$own->any('/own' => sub ($c) { $c->cors->text('own') });
$own->any('/set' => sub ($c) {
    $c->cors(origin => 'https://a.example', methods => ['GET'], headers => ['X-A'], expose => [ 'X-B', 'X-C' ], credentials => 1, max_age => 5)->text('set');
});
$own->sse('/stream' => sub ($sse) { $sse->send('data') });
PAGI::Simple->new(name => 'All', quiet => 1)
    ->mount('/open' => app(origins => ['*']))
    ->mount('/chosen' => app(origins => [ 'https://a.example', 'https://b.example' ], credentials => 1, expose => ['X-Total'], methods => [ 'GET', 'PUT' ], headers => ['X-H'], max_age => 7))
    ->mount('/trusting' => app(origins => ['*'], credentials => 1))
    ->mount('/' => $own)->to_app;
