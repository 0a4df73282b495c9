use strict;
use warnings;
use Future::AsyncAwait;
use PAGI::WebSocket;

async sub app {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'websocket';

    my $ws = PAGI::WebSocket->new($scope, $receive, $send);
    $ws->on_close(sub {
        my ($code) = @_;
        print STDERR "closed with $code\n";
    });
    await $ws->accept;
    await $ws->each_text(async sub {
        my ($text) = @_;
        await $ws->send_text("echo: $text");
    });
}

\&app;
