use v5.36;
use PAGI::Simple;

my $app = PAGI::Simple->new(name => 'My API');

$app->get('/' => sub ($c) {
    $c->text('Hello, World!');
});

$app->get('/users/:id' => sub ($c) {
    my $id = $c->path_params->{id};
    $c->json({ id => $id, name => "User $id" });
});

$app->post('/users' => sub ($c) {
    my $data = $c->json_body;
    $c->status(201)->json({ created => $data });
});

$app->to_app;
