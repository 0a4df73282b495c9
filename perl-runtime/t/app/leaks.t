use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying call_app http_scope);
use Future;
use Future::IO;
use Future::IO::Impl::IOAsync;
use PAGI::App::Cascade;
use PAGI::App::File;
use PAGI::App::Proxy;
use PAGI::App::Router;
use PAGI::App::SSE::Pubsub;
use PAGI::App::Throttle;
use PAGI::App::WebSocket::Chat;
use PAGI::App::WrapCGI;
use PAGI::App::WrapPSGI;
use PAGI::Test::ConnectionState;
use Scalar::Util qw(weaken);
use Upstream;

# When a request is over nothing holds on to it: its scope, with all that hangs on it, is freed.

my $upstream = Upstream->start;
my $proxy = PAGI::App::Proxy->new(backend => 'http://127.0.0.1:' . $upstream->port, idle_timeout => 0.2)->to_app;
my @post = (method => 'POST', headers => [['content-length', 3]]);

sub freed ($name, $app, $make_scope, @events) {
    my $scope = $make_scope->();
    weaken(my $witness = $scope->{witness} = {});
    my ($sent, $future) = call_app($app, $scope, @events);
    eval { $future->get };    # some fail, and should
    ok $future->is_ready, "$name has ended";
    undef $scope;
    undef $future;
    @$sent = ();
    ok !defined $witness, "$name is freed";
}

my @body = ({ type => 'http.request', body => 'abc', more => 0 });
freed('Router', PAGI::App::Router->new->get('/:x' => app_saying('x'))->to_app, sub { http_scope('/x') });
freed('Cascade', PAGI::App::Cascade->new(apps => [app_saying('', 404), app_saying('x')])->to_app, sub { http_scope('/') });
freed('Throttle', PAGI::App::Throttle->new(app => app_saying('x'))->to_app, sub { http_scope('/') });
freed('File', PAGI::App::File->new(root => $FindBin::Bin)->to_app, sub { http_scope("/$FindBin::Script") });
freed('WrapPSGI', PAGI::App::WrapPSGI->new(psgi_app => sub { [200, [], ['x']] })->to_app, sub { http_scope('/', @post) }, @body);
freed('WrapPSGI, streaming', PAGI::App::WrapPSGI->new(psgi_app => sub { sub ($r) { my $w = $r->([200, []]); $w->write('x'); $w->close } })->to_app, sub { http_scope('/') });
freed('WrapCGI', PAGI::App::WrapCGI->new(script => "$FindBin::Bin/cgi-bin/body.cgi")->to_app, sub { http_scope('/', @post) }, @body);
freed('Pubsub', PAGI::App::SSE::Pubsub->new->to_app, sub { http_scope('/') }, { type => 'http.request' }, { type => 'http.disconnect' });
freed('Chat', PAGI::App::WebSocket::Chat->new->to_app, sub { http_scope('/', type => 'websocket') }, { type => 'websocket.connect' }, { type => 'websocket.disconnect', code => 1000 });
freed('Proxy', $proxy, sub { http_scope('/echo', @post, 'pagi.connection' => PAGI::Test::ConnectionState->new) }, @body);
freed('Proxy, no connection object', $proxy, sub { http_scope('/echo', @post) }, @body);
freed('Proxy, client gone at once', $proxy, sub { http_scope('/echo', @post) }, { type => 'http.disconnect' });
freed('Proxy, WebSocket', $proxy, sub { http_scope('/ws', type => 'websocket') }, { type => 'websocket.connect' }, { type => 'websocket.receive', text => 'x' }, { type => 'websocket.disconnect', code => 1000 });
my $warnings = warnings {
    freed('Proxy, garbage', $proxy, sub { http_scope('/garbage') });
    freed('Proxy, silence', $proxy, sub { http_scope('/silent') });
    freed('Proxy, cut off', $proxy, sub { http_scope('/short') });
};
is [grep { !/\APAGI::App::Proxy: / } @$warnings], [], 'no other warnings';

my $connection = PAGI::Test::ConnectionState->new;
my $scope = http_scope('/silent', 'pagi.connection' => $connection);
weaken(my $witness = $scope->{witness} = {});
my ($sent, $future) = call_app($proxy, $scope);
Future::IO->sleep(0.05)->get;
$connection->_mark_disconnected('client_closed');
ok $future->is_done, 'Proxy, client gone while the backend thinks: ended';
undef $future;
undef $scope;
ok !defined $witness, 'and freed';

done_testing;
