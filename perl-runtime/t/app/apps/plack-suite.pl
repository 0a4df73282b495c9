use strict;
use warnings;
use PAGI::App::WrapPSGI;
use Plack::Middleware::Lint;
use Plack::Test::Suite;
use Plack::Util;

# The answers say whether a process of the pool has made them.
my $suite = Plack::Middleware::Lint->wrap(Plack::Test::Suite->test_app_handler);
my $app = sub {
    my ($env) = @_;
    my $is_pool = defined &PAGI::Native::pool_size && defined PAGI::Native::pool_size() ? 1 : 0;
    return Plack::Util::response_cb($suite->($env), sub { push @{ $_[0][1] }, 'X-Pool' => $is_pool; return });
};
PAGI::App::WrapPSGI->new(psgi_app => $app)->to_app;
