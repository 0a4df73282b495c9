use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use Live qw(shout ticks);
use PAGI::App::Dancer2;

# For pagi-server, and for every PSGI server: those call it with one argument.
PAGI::App::Dancer2->new(
    class     => 'Notes',
    websocket => { '/shout' => \&shout },
    sse       => { '/ticks' => \&ticks },
)->to_app;
