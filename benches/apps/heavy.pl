use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use Bench::Heavy;
use Future::AsyncAwait;

async sub {
    my ($scope, $receive, $send) = @_;
    die "heavy serves http only, not $scope->{type}\n" if $scope->{type} ne 'http';

    my $body = Bench::Heavy->new(name => 'World')->greeting;
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
