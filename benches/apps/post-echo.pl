use strict;
use warnings;
use Future::AsyncAwait;

async sub {
    my ($scope, $receive, $send) = @_;
    die "post-echo serves http only, not $scope->{type}\n" if $scope->{type} ne 'http';

    my $body = '';
    while (1) {
        my $event = await $receive->();
        return if $event->{type} ne 'http.request';    # the client went away
        $body .= $event->{body};
        last unless $event->{more};
    }
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [
            [ 'content-type',   'application/octet-stream' ],
            [ 'content-length', length $body ],
        ],
    });
    await $send->({ type => 'http.response.body', body => $body });
};
