use strict;
use warnings;
use Future::AsyncAwait;
use JSON::MaybeXS ();

my $json = JSON::MaybeXS->new(utf8 => 1, canonical => 1);

async sub {
    my ($scope, $receive, $send) = @_;
    die "simple-json serves http only, not $scope->{type}\n" if $scope->{type} ne 'http';

    my ($id) = $scope->{path} =~ m{\A/orders/([^/]+)\z} or die "no such path\n";
    my $body = '';
    while (1) {
        my $event = await $receive->();
        return if $event->{type} ne 'http.request';    # the client went away
        $body .= $event->{body};
        last unless $event->{more};
    }
    my $order = $json->decode($body);
    my $answer = $json->encode({
        id       => 0 + $id,
        item     => $order->{item},
        quantity => $order->{quantity},
        total    => $order->{quantity} * $order->{price},
    });
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'application/json' ], [ 'content-length', length $answer ] ],
    });
    await $send->({ type => 'http.response.body', body => $answer });
};
