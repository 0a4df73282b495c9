use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use Bench::Page;
use Future::AsyncAwait;

async sub {
    my ($scope, $receive, $send) = @_;
    die "middleware serves http only, not $scope->{type}\n" if $scope->{type} ne 'http';
    my $body = Bench::Page::html();
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/html' ], [ 'content-length', length $body ] ],
    });
    await $send->({ type => 'http.response.body', body => $body });
};
