package TestRoutes::Users;

use strict;
use warnings;

use AppHelper qw(app_saying);
use PAGI::App::Router;

sub router {
    my $router = PAGI::App::Router->new;
    $router->get('/' => app_saying('list'))->name('users.list');
    $router->get('/:id' => app_saying(sub {"user $_[0]{path_params}{id}"}))->name('users.get');
    return $router;
}

1;
