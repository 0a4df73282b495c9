use Mojolicious::Lite -signatures;

my $chunk = '0123456789abcdef' x 64;

# The drain callback is how Mojolicious documents chunked streaming.
sub write_next ($c, $left) {
    return $c->finish unless $left;
    $c->write_chunk($chunk => sub ($c, @) { write_next($c, $left - 1) });
}

get '/' => sub ($c) {
    $c->res->headers->content_type('application/octet-stream');
    $c->render_later;
    write_next($c, 64);
};

app->start;
