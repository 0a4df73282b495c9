use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use Bench::Page;
use Future::AsyncAwait;
use PAGI::Middleware::Builder;

# The order that PAGI::Middleware::Builder's documentation gives.
builder {
    enable 'AccessLog', logger => sub { };
    enable 'RequestId';
    enable 'Runtime';
    enable 'ErrorHandler';
    enable 'SecurityHeaders';
    enable 'CORS';
    enable 'Head';
    enable 'ConditionalGet';
    enable 'ETag';
    enable 'ContentLength';
    async sub {
        my ($scope, $receive, $send) = @_;
        die "middleware serves http only, not $scope->{type}\n" if $scope->{type} ne 'http';
        await $send->({
            type    => 'http.response.start',
            status  => 200,
            headers => [ [ 'content-type', 'text/html' ] ],
        });
        await $send->({ type => 'http.response.body', body => Bench::Page::html() });
    };
};
