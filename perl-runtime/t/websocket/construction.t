use v5.36;
use utf8;
use lib 't/lib';
use Test2::V0;
use Future;
use PAGI::Stash;
use PAGI::WebSocket;
use PAGITest::Events qw(scripted);

sub ws_for ($scope = {}) {
    my ($receive, $send, $sent) = scripted();
    return PAGI::WebSocket->new({ type => 'websocket', path => '/', headers => [], %$scope }, $receive, $send);
}
my $code = sub { Future->new };

subtest 'constructor' => sub {
    like dies { PAGI::WebSocket->new(@$_) }, qr/PAGI::WebSocket requires scope hashref at .*construction\.t/, 'scope'
        for [], ['x', $code, $code], [[], $code, $code];
    like dies { PAGI::WebSocket->new({}, undef, $code) }, qr/PAGI::WebSocket requires receive coderef/, 'receive';
    like dies { PAGI::WebSocket->new({}, $code, 'x') }, qr/PAGI::WebSocket requires send coderef/, 'send';
    like dies { PAGI::WebSocket->new({ type => 'http' }, $code, $code) }, qr/PAGI::WebSocket requires scope type 'websocket', got 'http'/, 'type';
    like dies { PAGI::WebSocket->new({}, $code, $code) }, qr/got ''/, 'no type';

    my $scope = { type => 'websocket', path => '/' };
    my $ws = PAGI::WebSocket->new($scope, $code, $code);
    ref_is $ws->{scope}, $scope, 'scope is kept';
    is [@$ws{qw(receive send _state _close_code _close_reason _on_close _on_error _on_message)}],
        [$code, $code, 'connecting', undef, undef, [], [], []], 'the fields at first';
    ref_is(PAGI::WebSocket->new($scope, $code, $code), $ws, 'the same object while it is alive');
    my $address = "$ws";
    undef $ws;
    is $scope->{'pagi.websocket'}, undef, 'the scope does not keep it alive';
    is(PAGI::WebSocket->new($scope, $code, $code)->connection_state, 'connecting', 'then a new one');
};

subtest 'the scope' => sub {
    my $ws = ws_for({
        path => '/chät', raw_path => '/ch%C3%A4t', query_string => 'q=1', scheme => 'wss', http_version => '2',
        client => ['192.0.2.1', 4000], server => ['localhost', 443], subprotocols => ['chat'], state => my $state = { db => 1 },
    });
    is [map { $ws->$_ } qw(path raw_path query_string scheme http_version client server subprotocols)],
        ['/chät', '/ch%C3%A4t', 'q=1', 'wss', '2', ['192.0.2.1', 4000], ['localhost', 443], ['chat']], 'as given';
    ref_is $ws->state, $state, 'state';
    my $bare = PAGI::WebSocket->new({ type => 'websocket', path => '/x' }, $code, $code);
    is [map { scalar $bare->$_ } qw(raw_path query_string scheme http_version client server subprotocols state path_params)],
        ['/x', '', 'ws', '1.1', undef, undef, [], {}, {}], 'defaults';
    is(PAGI::WebSocket->new({ type => 'websocket' }, $code, $code)->path, undef, 'path has none');

    PAGI::Stash->new($ws)->set(user => 'ann');
    is $ws->scope->{'pagi.stash'}, { user => 'ann' }, 'a stash can be made from it';
    is $ws->state, { db => 1 }, 'and is something else than the state';
};

subtest 'headers' => sub {
    my $ws = ws_for({ headers => [['Host', 'a'], ['X-Tag', 1], ['x-tag', 2]] });
    is $ws->header('X-TAG'), 2, 'the last value';
    is [$ws->header('nope')], [undef], 'missing: undef, in list context too';
    is [$ws->header_all('x-Tag')], [1, 2], 'all values';
    isa_ok $ws->headers, 'Hash::MultiValue';
    is [$ws->headers->get('host'), $ws->headers->get_all('x-tag')], ['a', 1, 2], 'lower-case keys';
    ref_is $ws->headers, $ws->headers, 'cached';
    # D9: PAGI::Request keeps another type under this key.
    ok !exists $ws->scope->{'pagi.request.headers'}, 'under a key of its own';
};

subtest 'path parameters' => sub {
    my $ws = ws_for({ path_params => { id => 7 } });
    is [$ws->path_params, $ws->path_param('id'), $ws->path_param('nope')], [{ id => 7 }, 7, undef], 'lenient';
    is ws_for()->path_param('id'), undef, 'without a router';
};

subtest 'query' => sub {
    my $ws = ws_for({ query_string => 'a=1&b=x+y;a=2&empty&=v&u=%E2%98%BA&bad=%FF&odd=%zz' });
    my $params = $ws->query_params;
    isa_ok $params, 'Hash::MultiValue';
    is [$ws->query('a'), $params->get_all('a'), $ws->query('b'), $ws->query('empty'), $ws->query(''), $ws->query('nope')],
        [2, 1, 2, 'x y', '', 'v', undef], 'last value, all values, blanks, empty ones';
    is [$ws->query('u'), $ws->query('bad'), $ws->query('odd')], ['☺', "\x{fffd}", '%zz'], 'decoding';
    is [$ws->raw_query('u'), $ws->raw_query_params->get('bad')], ["\xe2\x98\xba", "\xff"], 'raw bytes';
    like dies { $ws->query('a', strict => 1) }, qr/does not map to Unicode/, 'strict';
    is $ws->query('u', strict => 1, raw => 1), "\xe2\x98\xba", 'raw wins over strict';
    like dies { $ws->query_params(foo => 1, bar => 2) }, qr/Unknown options to query_params: bar, foo/, 'unknown options';
    ref_is $ws->query_params, $params, 'cached';
    ref_is $ws->scope->{'pagi.websocket.query'}, $params, 'in the scope';
    ok $ws->scope->{'pagi.websocket.query.raw'}, 'per mode';
};

subtest 'flow control' => sub {
    {
        package My::Transport;
        sub new { my ($class, %f) = @_; bless {%f}, $class }
        sub buffered_amount { $_[0]{amount} }
        sub high_water_mark { $_[0]{high} }
        sub low_water_mark  { 10 }
        package My::FullTransport;
        our @ISA = 'My::Transport';
        sub on_high_water { $_[0]{high_cb} = $_[1] }
        sub on_drain      { $_[0]{drain_cb} = $_[1] }
    }
    my $cb = sub { };
    my $full = My::FullTransport->new(amount => 100, high => 100);
    my $ws = ws_for({ 'pagi.transport' => $full });
    is [$ws->buffered_amount, $ws->high_water_mark, $ws->low_water_mark, $ws->is_writable], [100, 100, 10, 0], 'delegated';
    ref_is $ws->on_high_water($cb)->on_drain($cb), $ws, 'callbacks chain';
    is [@$full{qw(high_cb drain_cb)}], [$cb, $cb], 'and are delegated';
    $ws = ws_for({ 'pagi.transport' => My::Transport->new(amount => 99, high => 100) });
    is $ws->is_writable, 1, 'below the mark';
    ref_is $ws->on_high_water($cb)->on_drain($cb), $ws, 'a handle without callbacks';
    is ws_for({ 'pagi.transport' => My::Transport->new(amount => 5) })->is_writable, 1, 'no mark';
    $ws = ws_for();
    is [$ws->buffered_amount, $ws->high_water_mark, $ws->low_water_mark, $ws->is_writable], [0, undef, undef, 1], 'no handle';
    ref_is $ws->on_high_water($cb)->on_drain($cb), $ws, 'callbacks still chain';
};

done_testing;
