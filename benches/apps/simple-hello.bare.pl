use strict;
use warnings;
use Future::AsyncAwait;

my $body = "Hello, World!\n";

async sub {
    my ($scope, $receive, $send) = @_;
    die "hello serves http only, not $scope->{type}\n" if $scope->{type} ne 'http';

    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [
            [ 'content-type',   'text/plain' ],
            [ 'content-length', length $body ],
        ],
    });
    await $send->({ type => 'http.response.body', body => $body });
};
