use v5.36;
use Future::AsyncAwait;
use Future::IO;

# Makes sure that what was sent so far is on its way before something slow begins.

my $seconds = $ENV{FULLFLUSH_SECONDS} // 2;

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ] ],
    });
    await $send->({ type => 'http.response.body', body => "please wait ...\n", more => 1 });

    # An extension: only events that the server advertises may be sent.
    if ($scope->{extensions}{fullflush}) {
        await $send->({ type => 'http.fullflush' });
    }

    await Future::IO->sleep($seconds);
    await $send->({ type => 'http.response.body', body => "ready\n" });
}
