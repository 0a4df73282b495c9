use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use PAGI::App::File;
use PAGI::App::URLMap;
use PAGI::App::WrapCGI;

my $here = File::Basename::dirname(Cwd::abs_path(__FILE__));

# A script sees of the server's environment what it is given.
my %env = map { $_ => $ENV{$_} } grep { defined $ENV{$_} } qw(GUESTBOOK);

my $map = PAGI::App::URLMap->new(default => PAGI::App::File->new(root => "$here/htdocs"));
$map->mount('/cgi-bin/guestbook' => PAGI::App::WrapCGI->new(script => "$here/cgi-bin/guestbook", env => \%env, timeout => 10));
$map->mount('/cgi-bin/environment' => PAGI::App::WrapCGI->new(script => "$here/cgi-bin/environment"));
$map->to_app;
