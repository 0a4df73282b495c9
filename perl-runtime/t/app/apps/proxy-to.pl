use strict;
use warnings;
use PAGI::App::Proxy;

PAGI::App::Proxy->new(backend => "http://127.0.0.1:$ENV{TEST_UPSTREAM}")->to_app;
