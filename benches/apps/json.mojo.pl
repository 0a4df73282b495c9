use Mojolicious::Lite -signatures;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use Bench::Record;

get '/' => sub ($c) {
    $c->res->headers->content_type('application/json');
    $c->render(data => Bench::Record::json());
};

app->start;
