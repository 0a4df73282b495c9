use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# Contexts with what a server gives them: a connection object, a transport, real disconnects.

each_backend("$FindBin::Bin/apps/context.pl", sub ($client, $backend) {
    my $wait = 20;
    my $eventually = sub ($count) {
        my @all;
        for (1 .. 500) {
            push @all, @{ $client->get('/log')->json };
            last if @all >= $count;
            select undef, undef, undef, 0.02;
        }
        return [ sort @all ];
    };

    my $seen = $client->get('/properties?a=b', headers => { 'X-A' => 1 })->json;
    like $seen->{csrf_token}, qr/\A[0-9a-f]{64}\z/, 'csrf_token';
    is $seen, {
        type => 'http', path => '/properties', query_string => 'a=b', scheme => 'http', method => 'GET', is_http => 1, is_sse => 0, is_connected => 1, is_disconnected => 0,
        disconnect_reason => undef, has_session => 1, csrf_token => $seen->{csrf_token}, is_writable => 1, header => 1, state => "h\x{e9}llo", class => 'PAGI::Context::HTTP',
        marks => [1], asserted => 'PAGI::Context::HTTP', refused => "expected a 'sse' context, got a 'http' context",
    }, 'properties';
    is [ map { $client->get("/csrf?token=$_")->json } $seen->{csrf_token}, 'wrong' ], [ 1, 0 ], 'csrf_verify';
    is $client->get('/stash')->text, 1, 'one stash for all contexts of a request';
    is [ map { $client->get('/session')->json } 1, 2 ], [ 1, 2 ], 'session';
    is [ map { $_->status, $_->json } $client->post('/echo', json => { a => "\x{263a}" }) ], [ 201, { a => "\x{263a}" } ], 'a request and its response';
    is [ map { $_->status, $_->json } $client->get('/old') ], [ 202, { old => 1 } ], 'an awaited response';
    is [ map { $_->status, $_->location } $client->get('/to') ], [ 307, '/echo' ], 'redirect';
    is $client->get('/none')->status, 404, 'another path';
    is $client->get('/twice')->text, 'first', 'one response';
    is $eventually->(2), [ ('response already sent') x 2 ], 'the second is refused, of another context too';
    is $client->get('/complete')->content_type, 'text/html; charset=utf-8', 'html';
    is $eventually->(1), ['complete'], 'on_complete, not on_disconnect';

    my $ws = $client->websocket('/run');
    $ws->send_text($_) for 'hi', 'bad', "\x{263a}", 'stop';
    is [ map { $ws->receive_text($wait) } 1 .. 4 ], [ 'you said hi', "handler: no bad\n", "you said \x{263a}", 'you said stop' ], 'the dispatcher of a WebSocket';
    is $ws->receive_text($wait), undef, 'stop ends it';
    is [ $ws->close_code, $ws->close_reason ], [ 4001, 'stopped' ], 'and the application closes';
    is $eventually->(2), [ 'closed 4001 stopped', 'ran until stop' ], 'on_close';
    $ws = $client->websocket('/run');
    $ws->close(4002, 'bye');
    is $eventually->(2), [ 'closed 4002 bye', 'ran until disconnect' ], 'a client that leaves';
    $ws = $client->websocket('/each');
    is $ws->send_json({ a => ["\x{263a}"] })->receive_json($wait), { got => { a => ["\x{263a}"] }, connected => 1 }, 'each_json';
    $ws->close;
    is $eventually->(1), ['each ended 1000'], 'to the end';
    my $denied = $client->websocket('/deny', decline_ok => 1)->response;
    is [ $denied->status, $denied->text ], [ 402, 'pay first' ], 'deny';

    my $sse = $client->sse('/short', headers => { 'Last-Event-ID' => 41 });
    my $event = $sse->receive_event(timeout => $wait);
    is [ @$event{qw(event data)} ], [ 'hello', '{"id":"41","started":0}' ], 'a stream; sending starts it';
    is $sse->receive_event(timeout => $wait)->{data}, "line one\nline two", 'two lines';
    is $sse->receive_event(timeout => $wait), undef, 'close ends it';
    is [ $sse->comments ], ['a comment'], 'a comment';
    is $eventually->(1), ['stream enough'], 'with its reason';
    $sse = $client->sse('/long');
    $sse->receive_event(timeout => $wait) for 1, 2;
    $sse->close;
    is $eventually->(2), [ 'stream client_closed', 'stream ran until disconnect' ], 'a client that leaves a stream';
}, lifespan => 1);

done_testing;
