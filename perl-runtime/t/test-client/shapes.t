use v5.36;
use Test2::V0;
use Future::AsyncAwait;
use PAGI::Test::Client;

my $scope;
my $app = async sub ($s, $receive, $send) {
    $scope = $s;
    $scope->{body} = (await $receive->())->{body} if $s->{type} eq 'http';
    await $send->({ type => 'websocket.accept' }) if $s->{type} eq 'websocket';
    await $send->({ type => 'sse.start' }) if $s->{type} eq 'sse';
    return if $s->{type} ne 'http';
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body' });
};
sub values_of ($name) { return [map { $_->[1] } grep { $_->[0] eq $name } @{ $scope->{headers} }] }

my $client = PAGI::Test::Client->new(app => $app);

my %shapes = (
    'hash of scalars' => [{ b => 2, a => 1, n => undef }, [[a => 1], [b => 2], [n => '']], 'a=1&b=2&n='],
    'hash of arrays'  => [{ b => [2, 3], a => 1 }, [[a => 1], [b => 2], [b => 3]], 'a=1&b=2&b=3'],
    'pairs'           => [[[b => 2], [a => 1], [b => 3]], [[b => 2], [a => 1], [b => 3]], 'b=2&a=1&b=3'],
);
for my $name (sort keys %shapes) {
    my ($input, $pairs, $encoded) = @{ $shapes{$name} };
    $client->get('/', headers => $input);
    is $scope->{headers}, [['host', 'testserver'], @$pairs], "headers as $name";
    $client->get('/?x=0', query => $input);
    is $scope->{query_string}, "x=0&$encoded", "query as $name, appended";
    $client->post('/', form => $input);
    is $scope->{body}, $encoded, "form as $name";
}

subtest 'defaults and replacement' => sub {
    my $client = PAGI::Test::Client->new(app => $app, headers => { 'X-Tag' => ['a', 'b'], 'X-Key' => 'k' });
    $client->get('/');
    is $scope->{headers}, [['host', 'testserver'], ['x-key', 'k'], ['x-tag', 'a'], ['x-tag', 'b']], 'client defaults, lower-cased';
    $client->get('/', headers => { 'x-TAG' => 'c' });
    is values_of('x-tag'), ['c'], 'a header of the request replaces all defaults of its name';
    is values_of('x-key'), ['k'], 'the others stay';
    $client->get('/', headers => { Host => 'other' });
    is values_of('host'), ['other'], 'one host line';
    $client->websocket('/', headers => [['x-tag', 'ws'], ['x-tag', 'ws2'], ['Host', 'h']]);
    is [values_of('x-tag'), values_of('host'), values_of('x-key')], [['ws', 'ws2'], ['h'], ['k']], 'WebSocket';
    $client->sse('/', headers => { 'X-Tag' => ['s'], Accept => 'text/event-stream, */*' });
    is [values_of('x-tag'), values_of('accept')], [['s'], ['text/event-stream, */*']], 'SSE';
    $client->sse('/');
    is values_of('accept'), ['text/event-stream'], 'the type SSE asks for by default';
};

subtest 'numbers' => sub {
    require JSON::MaybeXS;
    $client->get('/', headers => { 'X-N' => 41 });
    is(JSON::MaybeXS::encode_json(values_of('x-n')), '["41"]', 'arrive as strings, as they do over a connection');
};

subtest 'invalid shapes' => sub {
    for my $option (qw(headers query form)) {
        like dies { $client->post('/', $option => sub { }) }, qr/Expected hashref or arrayref of pairs, got CODE/, "$option: a coderef";
        like dies { $client->post('/', $option => ['a', 'b']) }, qr/Expected arrayref of \[key, value\] pairs/, "$option: a flat list";
        like dies { $client->post('/', $option => 'a=b') }, qr/Expected hashref or arrayref of pairs, got 'a=b'/, "$option: a string";
    }
    like dies { PAGI::Test::Client->new(app => $app, headers => [[1, 2, 3]]) }, qr/Expected arrayref of \[key, value\] pairs/, 'three in a pair';
};

subtest 'method of an SSE request' => sub {
    $client->sse('/x');
    is $scope->{method}, 'GET', 'GET by default';
    $client->sse('/x', method => 'post');
    is $scope->{method}, 'POST', 'upper-cased';
    is {"$scope->{method} $scope->{path}" => 'handler'}->{'POST /x'}, 'handler', 'usable as a routing key';
    $client->websocket('/x');
    ok !exists $scope->{method}, 'a WebSocket has none (SCOPE-12)';
};

done_testing;
