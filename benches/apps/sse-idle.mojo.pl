use Mojolicious::Lite -signatures;

get '/' => sub ($c) {
    $c->inactivity_timeout(0);
    $c->res->headers->content_type('text/event-stream');
    my $timer = Mojo::IOLoop->recurring(1 => sub { $c->write(":\n\n") });
    $c->on(finish => sub { Mojo::IOLoop->remove($timer) });
    $c->write(":\n\n");
};

app->start;
