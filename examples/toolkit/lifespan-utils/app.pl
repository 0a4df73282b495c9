use strict;
use warnings;
use Future::AsyncAwait;
use PAGI::Response;
use PAGI::Utils qw(handle_lifespan);

# The smallest use of lifespan hooks.

async sub app {
    my ($scope, $receive, $send) = @_;
    return await handle_lifespan(
        $scope, $receive, $send,
        startup  => async sub { warn "started\n" },
        shutdown => async sub { warn "stopped\n" },
    ) if $scope->{type} eq 'lifespan';

    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    await PAGI::Response->text('Hello from PAGI!', content_type => 'text/plain')->respond($send);
}

\&app;
