use Mojolicious::Lite -signatures;

sub hello ($c) {
    $c->res->headers->content_type('text/plain');
    $c->render(data => "Hello, World!\n");
}

get '/'      => sub ($c) { hello($c) };
get '/die'   => sub ($c) { die "soak dies as asked\n" };
get '/sleep' => sub ($c) {
    $c->render_later;
    Mojo::IOLoop->timer(0.001 => sub { hello($c) });
};

app->start;
