use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use PAGI::App::Catalyst;

# For pagi-server, and for every PSGI server: those call it with one argument.
PAGI::App::Catalyst->new(class => 'Notes')->to_app;
