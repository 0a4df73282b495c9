package Live;

use strict;
use warnings;
use Exporter qw(import);
use Future::AsyncAwait;
use Future::IO;
use PAGI::SSE;
use PAGI::WebSocket;

our @EXPORT_OK = qw(shout ticks);

# These run in the workers, on the event loop, thousands at a time.

async sub shout {
    my ($scope, $receive, $send) = @_;
    my $name = $scope->{'dancer2.session'}{name} // 'guest';
    my $ws   = PAGI::WebSocket->new($scope, $receive, $send);
    await $ws->accept;
    while (defined(my $text = await $ws->receive_text)) {
        await $ws->send_text("$name: " . uc $text);
    }
}

async sub ticks {
    my ($scope, $receive, $send) = @_;
    my $sse = PAGI::SSE->new($scope, $receive, $send);
    my $n = 0;
    await $sse->every(0.1, async sub { $n++; await $sse->send_event(event => 'tick', data => $n, id => $n) });
}

1;
