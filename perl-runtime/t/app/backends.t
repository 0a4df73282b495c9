use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Future::IO::Impl::IOAsync;
use PAGITest::Backends qw(each_backend);

# Routers and the small applications, in-process and on the server.

each_backend("$FindBin::Bin/apps/parts.pl", sub ($client, $backend) {
    my $wait = 20;
    my $brief = sub ($method, $path, %options) { my $r = $client->$method($path, %options); return join ' ', $r->status, $r->content };
    is $brief->(get => '/router/'), '200 home', 'a route';
    is $brief->(post => '/router/', body => 'x'), '201 created x', 'another method, with its body';
    is [ map { $_->status, $_->content } $client->head('/router/') ], [ 200, '' ], 'HEAD';
    my $wrong = $client->delete('/router/');
    is [ $wrong->status, $wrong->header('allow') ], [ 405, 'GET, POST, PUT' ], '405';
    is $brief->(get => '/router/nowhere'), '404 Not Found', '404';
    is [ map { $brief->(get => "/router$_") } '/users/42', '/users/ann', '/files/a/b.txt', '/year/2026', '/year/26' ],
        [ '200 id=42', '200 name=ann', '200 path=a/b.txt', '200 y=2026', '404 Not Found' ], 'parameters and constraints';
    my $marked = $client->get('/router/marked');
    is [ $marked->header('x-mark'), defined $marked->header('x-id') ], [ 1, T ], 'middleware of a route';
    is [ map { [ $_->content, $_->header('x-mark') ] } map { $client->get("/router$_") } '/admin/users/7', '/v1/a', '/v1/deep/b' ],
        [ [ 'id=7', 1 ], [ 'v1 a', 1 ], [ '/router|/v1/deep/b', 1 ] ], 'of mounts and groups';
    is $client->get('/router/uri')->content, '/admin/users/%C3%BC%20%2F?q=a%20b', 'uri_for';
    is $client->websocket('/router/ws/red')->receive_text($wait), 'room=red', 'a WebSocket route';
    is $client->sse('/router/sse/news')->receive_event(timeout => $wait)->{data}, 'topic=news', 'an SSE route';
    is $client->websocket('/router/admin/live')->receive_text($wait), '/router/admin|/live', 'below a mount';
    is $client->sse('/router/admin/feed')->receive_event(timeout => $wait)->{data}, '/router/admin|/feed', 'both';
    is $client->websocket('/router/nowhere', decline_ok => 1)->response->status, 404, 'no WebSocket there';
    is $client->sse('/router/nowhere', decline_ok => 1)->response->status, 404, 'no stream there';

    is [ map { $brief->(get => $_) } '/where', '/where/x', '/where/below/x', '/wherever' ],
        [ '200 /where|/', '200 /where|/x', '200 below', '404 nothing at /wherever' ], 'URLMap and NotFound';
    is $brief->(post => '/cascade/x', body => 'whole'), '200 /cascade|/x whole', 'Cascade: the third takes it, with the body';
    is $client->websocket('/cascade/ws')->receive_text($wait), 'no', 'a WebSocket is taken by the first that accepts';
    is [ map { $_->status, $_->location } $client->get('/redirect/x?a=1') ], [ 301, '/new?a=1' ], 'Redirect';
    is $client->get('/health')->json, hash { field status => 'ok'; field version => '1.2'; field checks => { db => { status => 'ok' } }; etc }, 'Healthcheck';
    is [ map { $_->status, $_->json->{checks} } $client->get('/sick') ], [ 503, { db => { status => 'error', message => 'no disk' } } ], 'a failing one';
    is $brief->(get => '/delayed'), '200 late', 'Delayed';
    my @throttled = map { $client->get('/throttled') } 1 .. 3;
    is [ map { $_->status } @throttled ], [ 200, 200, 429 ], 'Throttle';
    ok $throttled[2]->header('retry-after'), 'says when to come back';
});

done_testing;
