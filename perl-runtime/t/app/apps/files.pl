use strict;
use warnings;
use PAGI::App::Directory;
use PAGI::App::File;
use PAGI::App::URLMap;

my $root = $ENV{TEST_ROOT};
PAGI::App::URLMap->new
    ->mount('/files'    => PAGI::App::File->new(root => $root))
    ->mount('/noranges' => PAGI::App::File->new(root => $root, handle_ranges => 0))
    ->mount('/list'     => PAGI::App::Directory->new(root => $root, index => []))
    ->to_app;
