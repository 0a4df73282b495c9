package ChatV2::WebSocket;

use strict;
use warnings;
use Future;
use Future::AsyncAwait;
use ChatApp::Conversation;
use PAGI::WebSocket;

# The same conversation over PAGI::WebSocket: accepting, JSON, pings and the end of the connection are its business.

async sub app {
    my ($scope, $receive, $send) = @_;
    my $ws = PAGI::WebSocket->new($scope, $receive, $send);
    await $ws->accept;
    await $ws->keepalive(25);

    my $conversation = ChatApp::Conversation->begin(
        send => sub { $ws->try_send_json($_[0]) },
        name => $ws->query('name'), session => $ws->query('session'), last_message => $ws->query('lastMsgId'),
    );
    $ws->on_close(sub { $conversation->end });

    await $ws->each_text(sub {
        my ($text) = @_;
        # what is not JSON is ignored
        my $message = eval { JSON::MaybeXS->new(utf8 => 0)->decode($text) };
        $conversation->take($message) if $message;
        return;
    });
}

1;
