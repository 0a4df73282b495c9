use v5.36;
use PAGI::Simple;

my $app = PAGI::Simple->new(name => 'Chat');

$app->websocket('/ws/:room' => sub ($ws) {
    my $room = $ws->param('room');
    my $name = 'guest';
    $ws->join($room);

    $ws->on(open => sub { $ws->send({ type => 'hello', room => $room }) });
    $ws->on(message => sub ($text) {
        return unless length $text && length $text <= 2000;
        if ($text =~ m{\A/name (\S+)\z}) {
            $name = $1;
            $ws->broadcast($room, { type => 'note', text => "$name is here" });
            return;
        }
        $ws->broadcast($room, { type => 'say', from => $name, text => $text });
    });
    $ws->on(close => sub { $ws->broadcast($room, { type => 'note', text => "$name left" }) });
});

# Everybody connected to the route, whatever the room.
$app->websocket('/lobby' => sub ($ws) {
    $ws->on(message => sub ($data) { $ws->broadcast($data) });
});

$app->static('/' => 'public');
$app->to_app;
