use Mojolicious::Lite -signatures;
use Time::HiRes qw(time);

my %listeners;

Mojo::IOLoop->recurring(0.05 => sub {
    my $event = sprintf "event: tick\ndata: %.6f\n\n", time;
    $_->write($event) for values %listeners;
});

get '/' => sub ($c) {
    $c->inactivity_timeout(0);
    $c->res->headers->content_type('text/event-stream');
    $c->write("event: tick\ndata: " . sprintf('%.6f', time) . "\n\n");
    $listeners{$c} = $c;
    $c->on(finish => sub { delete $listeners{$c} });
};

app->start;
