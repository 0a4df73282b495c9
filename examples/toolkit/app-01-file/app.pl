use strict;
use warnings;
use File::Basename qw(dirname);
use PAGI::App::File;

PAGI::App::File->new(root => dirname(__FILE__) . '/static')->to_app;
