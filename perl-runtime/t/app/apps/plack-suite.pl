use strict;
use warnings;
use PAGI::App::WrapPSGI;
use Plack::Middleware::Lint;
use Plack::Test::Suite;

PAGI::App::WrapPSGI->new(psgi_app => Plack::Middleware::Lint->wrap(Plack::Test::Suite->test_app_handler))->to_app;
