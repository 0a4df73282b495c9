use strict;
use warnings;

package Bench::Orders;

use parent 'PAGI::Endpoint::Router';
use Future::AsyncAwait;

sub routes {
    my ($self, $r) = @_;
    $r->get('/orders' => 'list');
    $r->get('/orders/:id' => 'show');
    $r->post('/orders/:id' => 'change');
    return;
}

async sub list { return $_[1]->json([]) }

async sub show { return $_[1]->json({ id => 0 + $_[1]->path_param('id') }) }

async sub change {
    my ($self, $c) = @_;
    my $order = await $c->request->json;
    return $c->json({
        id       => 0 + $c->path_param('id'),
        item     => $order->{item},
        quantity => $order->{quantity},
        total    => $order->{quantity} * $order->{price},
    });
}

package main;

Bench::Orders->to_app;
