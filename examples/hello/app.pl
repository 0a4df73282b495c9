use v5.36;
use Future::AsyncAwait;

# The smallest application: one async sub. The file need not return anything; `app` is found by its name.

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ] ],
    });
    await $send->({
        type => 'http.response.body',
        body => "Hello from PAGI!\n",
    });
}
