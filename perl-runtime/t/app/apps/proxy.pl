use strict;
use warnings;
use PAGI::App::Proxy;
use PAGI::App::URLMap;

my %backend = (backend => "http://127.0.0.1:$ENV{TEST_UPSTREAM}");
PAGI::App::URLMap->new
    ->mount('/up' => PAGI::App::Proxy->new(%backend, headers => { 'X-Extra' => 'yes' }))
    ->mount('/hasty' => PAGI::App::Proxy->new(%backend, idle_timeout => 0.5))
    ->to_app;
