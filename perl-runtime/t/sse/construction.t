use v5.36;
use utf8;
use lib 't/lib';
use Test2::V0;
use Future;
use PAGI::SSE;
use PAGI::Stash;
use PAGITest::Events qw(scripted);

my $code = sub { Future->new };
sub sse_for ($scope = {}) { return PAGI::SSE->new({ type => 'sse', %$scope }, $code, $code) }

subtest 'constructor' => sub {
    like dies { PAGI::SSE->new(@$_) }, qr/PAGI::SSE requires scope hashref at .*construction\.t/, 'scope' for [], ['x', $code, $code];
    like dies { PAGI::SSE->new({}, undef, $code) }, qr/PAGI::SSE requires receive coderef/, 'receive';
    like dies { PAGI::SSE->new({}, $code, {}) }, qr/PAGI::SSE requires send coderef/, 'send';
    like dies { PAGI::SSE->new({ type => 'websocket' }, $code, $code) }, qr/PAGI::SSE requires scope type 'sse', got 'websocket'/, 'type';

    my $scope = { type => 'sse' };
    my $sse = PAGI::SSE->new($scope, $code, $code);
    is [@$sse{qw(_on_close _on_error)}], [[], []], 'no callbacks at first';
    ref_is(PAGI::SSE->new($scope, $code, $code), $sse, 'the same object while it is referenced');
    undef $sse;
    is $scope->{'pagi.sse'}, undef, 'the scope does not keep it alive';
};

subtest 'the scope' => sub {
    my $sse = sse_for({
        path => '/ä', raw_path => '/%C3%A4', query_string => 'q=1', scheme => 'https', http_version => '2',
        client => ['192.0.2.1', 1], server => ['h', 2], state => { db => 1 },
    });
    is [map { $sse->$_ } qw(path raw_path query_string scheme http_version client server state)],
        ['/ä', '/%C3%A4', 'q=1', 'https', '2', ['192.0.2.1', 1], ['h', 2], { db => 1 }], 'as given';
    is [map { scalar sse_for()->$_ } qw(path raw_path query_string scheme http_version client server state path_params)],
        ['/', '/', '', 'http', '1.1', undef, undef, {}, {}], 'defaults';
    is sse_for({ path => '/x' })->raw_path, '/x', 'raw_path falls back to path';
    $sse = sse_for({ path_params => { room => 'a' } });
    is [$sse->path_param('room'), $sse->path_param('nope')], ['a', undef], 'path parameters, lenient';
    PAGI::Stash->new($sse)->set(a => 1);
    is $sse->scope->{'pagi.stash'}, { a => 1 }, 'a stash';
};

subtest 'headers' => sub {
    my $sse = sse_for({ headers => [['X-Tag', 1], ['x-tag', 2], ['LAST-Event-ID', '42']] });
    is [$sse->header('x-TAG'), $sse->header_all('X-tag'), $sse->headers->get('x-tag')], [2, 1, 2, 2], 'lookups';
    is $sse->last_event_id, '42', 'last_event_id, whatever the case';
    is [sse_for()->last_event_id], [undef], 'or undef';
    ok !exists $sse->scope->{'pagi.request.headers'}, 'cached under a key of its own (D9)';
};

subtest 'query' => sub {
    my $sse = sse_for({ query_string => 'a=1&a=2&u=%E2%98%BA&bad=%FF' });
    is [$sse->query_param('a'), $sse->query_params->get_all('a'), $sse->query_param('u')], [2, 1, 2, '☺'], 'values';
    is [$sse->raw_query_param('u'), $sse->raw_query_params->get('bad')], ["\xe2\x98\xba", "\xff"], 'raw';
    like dies { $sse->query_param('a', strict => 1) }, qr/does not map to Unicode/, 'strict';
    like dies { $sse->query_params(nope => 1) }, qr/Unknown options to query_params: nope/, 'unknown options';
    ok $sse->scope->{'pagi.sse.query'}, 'cached in the scope';
};

is [sse_for()->buffered_amount, sse_for()->is_writable], [0, 1], 'flow control without a handle';

done_testing;
