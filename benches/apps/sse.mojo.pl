use Mojolicious::Lite -signatures;
use Time::HiRes qw(time);

get '/' => sub ($c) {
    $c->inactivity_timeout(0);
    $c->res->headers->content_type('text/event-stream');
    my $tick = sub { $c->write(sprintf "event: tick\ndata: %.6f\n\n", time) };
    my $timer = Mojo::IOLoop->recurring(0.05 => $tick);
    $c->on(finish => sub { Mojo::IOLoop->remove($timer) });
    $tick->();
};

app->start;
