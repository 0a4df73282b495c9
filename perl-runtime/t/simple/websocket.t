use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# WebSockets of PAGI::Simple: the forms of the introduction, rooms, refusals, clean-up.

each_backend('t/simple/apps/websocket.pl', sub ($client, $backend) {
    my $wait = $backend eq 'server' ? 20 : 0;
    my $text = sub ($ws) { $ws->receive_text($wait) };
    my $eventually = sub ($code) {
        for (1 .. 50) { my $found = $code->(); return $found if $found; select undef, undef, undef, 0.02 }
        return $code->();
    };

    my $ann = $client->websocket('/chat');
    my $bob = $client->websocket('/chat');
    is [ $text->($ann), $text->($bob) ], [ 'Welcome', 'Welcome' ], 'on(open)';
    $ann->send_text("hi \x{263a}");
    is [ $text->($ann), $text->($bob) ], [ ("hi \x{263a}") x 2 ], 'broadcast with one argument reaches the route';
    $_->close for $ann, $bob;

    my $ws = $client->websocket('/async');
    $ws->send_text('go');
    is [ $text->($ws), $text->($ws) ], [ 'x', '1 0' ], 'broadcast_async, broadcast_others_async';
    $ws->close;

    $ws = $client->websocket('/echo');
    $ws->send_text("\x{e9}");
    is $text->($ws), "text \x{e9}", 'a message and its kind';
    is $ws->receive_json($wait), { seen => 1, who => "\x{e9}" }, 'a second callback; references become JSON (defect 27)';
    $ws->send_bytes("\x00\xff");
    is $ws->receive_bytes($wait), "\x00\xff", 'binary (defect 26)';
    $ws->close;

    $ws = $client->websocket('/fragile');
    $ws->send_text($_) for 1, 2;
    is [ $text->($ws), $text->($ws) ], [ "error: no 1\n", "error: no 2\n" ], 'an exception goes to on(error), the connection goes on';
    $ws->close;

    my $refused = $client->websocket('/nowhere', decline_ok => 1);
    is [ $refused->response->status, $refused->response->text ], [ 404, 'Not Found' ], 'no route: an HTTP 404 (defect 28)';
    {
        local $SIG{__WARN__} = sub { };
        $refused = $client->websocket('/dies', decline_ok => 1);
        is [ $refused->response->status, $refused->response->text ], [ 500, 'Internal Server Error' ], 'a callback that dies';
        $ws = $client->websocket('/dies-late');
        is $text->($ws), 'open', 'sending accepts';
        $ws->receive_text($wait);
        is $ws->close_code, 1011, 'a later exception closes with 1011';
    }
    is $eventually->(sub { my $log = $client->get('/log')->json; @$log && $log }), ['late closed'], 'its close callback ran (defect 25)';
    is $client->get('/count/late')->json, 0, 'and the room is empty';

    $ws = $client->websocket('/server-close');
    is $eventually->(sub { $client->get('/count/closing')->json }), 1, 'joined';
    $ws->send_text('go');
    $ws->receive_text($wait);
    is [ $ws->close_code, $ws->close_reason ], [ 4001, 'done' ], 'closed by the application, once';
    is $eventually->(sub { my $log = $client->get('/log')->json; @$log && $log }), ['closed 0'], 'one close callback, rooms left before';
    is $client->get('/count/closing')->json, 0, 'nothing leaks (defect 25)';

    is $client->websocket('/proto', subprotocols => [qw(v1 v2)])->subprotocol, 'v2', 'a chosen subprotocol';
    $refused = $client->websocket('/proto', subprotocols => ['v1'], decline_ok => 1);
    is [ $refused->response->status, $refused->response->text ], [ 400, 'no common protocol' ], 'deny';

    for my $path ('/club', '/guarded/ws', '/child/ws') {
        $refused = $client->websocket($path, decline_ok => 1);
        is [ $refused->response->status, $refused->response->json ], [ 401, { error => 'members only' } ], "$path is guarded (defect 5)";
    }
    is $text->($client->websocket('/club?key=sesame')), 'member 1', 'a member gets in, with the stash';
    is $text->($client->websocket('/guarded/ws?key=sesame')), 'in', 'through the middleware of a group';
    is $text->($client->websocket('/child/ws?key=sesame')), 'child /child/ws', 'and of a mount';

    my ($red, $too, $blue) = map { $client->websocket("/rooms/$_") } qw(red red blue);
    $eventually->(sub { $client->get('/count/red')->json == 2 });
    $red->send_text('rooms');
    is $text->($red), 'red', 'rooms, joined once';
    $red->send_text('all hello');
    is [ sort { length $a <=> length $b } $text->($red), $text->($red) ], [ 'all 2', '{"text":"hello"}' ], 'broadcast to a room, its count';
    is $text->($too), '{"text":"hello"}', 'the other one';
    $red->send_text('others psst');
    is [ $text->($red), $text->($too) ], [ 'others 1', 'psst' ], 'broadcast_others (defect 37)';
    $red->send_text('leave');
    $red->send_text('in');
    is $text->($red), 0, 'left';
    is $client->post('/say/red')->json, 1, 'publish_async';
    is $text->($too), 'from http', 'from an HTTP handler';
    $red->send_text('all outside');
    is [ $text->($red), $text->($too) ], [ 'all 1', '{"text":"outside"}' ], 'broadcast without being a member';
    $too->close;
    is $eventually->(sub { !$client->get('/count/red')->json }), T, 'a client that leaves leaves its rooms';
    $blue->send_text('rooms');
    is $text->($blue), 'blue', 'the other room heard nothing of it';
});

done_testing;
