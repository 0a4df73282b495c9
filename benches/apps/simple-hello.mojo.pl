use Mojolicious::Lite -signatures;

get '/' => sub ($c) {
    $c->res->headers->content_type('text/plain');
    $c->render(data => "Hello, World!\n");
};

app->start;
