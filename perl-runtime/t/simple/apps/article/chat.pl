use v5.36;
use PAGI::Simple;

my $app = PAGI::Simple->new(name => 'Chat');

# everybody in one place
$app->websocket('/chat' => sub ($ws) {
    $ws->on(open => sub {
        $ws->send('Welcome to the chat!');
    });
    $ws->on(message => sub ($msg) {
        $ws->broadcast($msg);
    });
    $ws->on(close => sub {
        $ws->broadcast('Somebody left');
    });
});

# and in rooms
$app->websocket('/rooms/:room' => sub ($ws) {
    my $room = $ws->param('room');
    $ws->join($room);
    $ws->on(message => sub ($msg) {
        $ws->broadcast($room, "$room: $msg");
    });
});

$app->to_app;
