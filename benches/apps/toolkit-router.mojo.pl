use Mojolicious::Lite -signatures;

get '/orders'     => sub ($c) { $c->render(json => []) };
get '/orders/:id' => sub ($c) { $c->render(json => { id => 0 + $c->param('id') }) };

post '/orders/:id' => sub ($c) {
    my $order = $c->req->json;
    $c->render(json => {
        id       => 0 + $c->stash('id'),
        item     => $order->{item},
        quantity => $order->{quantity},
        total    => $order->{quantity} * $order->{price},
    });
};

app->start;
