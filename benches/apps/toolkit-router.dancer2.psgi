use strict;
use warnings;

package Bench::Orders;

use Dancer2;

set serializer   => 'JSON';
set logger       => 'null';
set startup_info => 0;

get '/orders'     => sub { [] };
get '/orders/:id' => sub { { id => 0 + route_parameters->get('id') } };

post '/orders/:id' => sub {
    my $order = request->data;
    return {
        id       => 0 + route_parameters->get('id'),
        item     => $order->{item},
        quantity => $order->{quantity},
        total    => $order->{quantity} * $order->{price},
    };
};

package main;

Bench::Orders->to_app;
