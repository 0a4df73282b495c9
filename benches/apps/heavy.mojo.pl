use Mojolicious::Lite -signatures;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use Bench::Heavy;

get '/' => sub ($c) {
    $c->res->headers->content_type('text/plain');
    $c->render(data => Bench::Heavy->new(name => 'World')->greeting);
};

app->start;
