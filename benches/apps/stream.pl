use strict;
use warnings;
use Future::AsyncAwait;

my $chunk = '0123456789abcdef' x 64;

async sub {
    my ($scope, $receive, $send) = @_;
    die "stream serves http only, not $scope->{type}\n" if $scope->{type} ne 'http';

    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'application/octet-stream' ] ],
    });
    for my $number (1 .. 64) {
        await $send->({
            type => 'http.response.body',
            body => $chunk,
            more => $number < 64 ? 1 : 0,
        });
    }
};
