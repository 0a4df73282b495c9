use strict;
use warnings;
use PAGI::App::Proxy;
use PAGI::App::URLMap;

PAGI::App::URLMap->new
    ->mount('/up' => PAGI::App::Proxy->new(backend => "http://127.0.0.1:$ENV{TEST_UPSTREAM}", headers => { 'X-Extra' => 'yes' }, timeout => 3, idle_timeout => 0.5))
    ->to_app;
