use strict;
use warnings;
use Future::AsyncAwait;
use Future::IO;

my $body = "Hello, World!\n";

# Three ways through the server: the fast one (/), a failed application Future
# (/die), and one that is suspended and woken by the loop (/sleep).
async sub {
    my ($scope, $receive, $send) = @_;
    die "soak serves http only, not $scope->{type}\n" if $scope->{type} ne 'http';

    my $path = $scope->{path};
    die "soak dies as asked\n" if $path eq '/die';
    await Future::IO->sleep(0.001) if $path eq '/sleep';

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
