use strict;
use warnings;
use PAGI::App::NotFound;
use PAGI::Lifespan;

# Every worker says when its life begins and ends; every request is answered with 404.

PAGI::Lifespan->wrap(
    PAGI::App::NotFound->new->to_app,
    startup  => sub { print STDERR "[$$] lifespan.startup\n" },
    shutdown => sub { print STDERR "[$$] lifespan.shutdown\n" },
);
