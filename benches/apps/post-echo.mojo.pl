use Mojolicious::Lite -signatures;

post '/' => sub ($c) {
    $c->res->headers->content_type('application/octet-stream');
    $c->render(data => $c->req->body);
};

app->start;
