use Mojolicious::Lite -signatures;

websocket '/' => sub ($c) {
    $c->inactivity_timeout(0);
    $c->on(message => sub ($c, $message) { $c->send($message) });
};

app->start;
