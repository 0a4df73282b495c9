use strict;
use warnings;
use PAGI::Simple;

my $app = PAGI::Simple->new(name => 'Orders', quiet => 1);

$app->get('/orders'     => sub { $_[0]->json([]) });
$app->get('/orders/:id' => sub { $_[0]->json({ id => 0 + $_[0]->path_params->{id} }) });

$app->post('/orders/:id' => sub {
    my ($c) = @_;
    my $order = $c->json_body;
    $c->json({
        id       => 0 + $c->path_params->{id},
        item     => $order->{item},
        quantity => $order->{quantity},
        total    => $order->{quantity} * $order->{price},
    });
});

$app->to_app;
