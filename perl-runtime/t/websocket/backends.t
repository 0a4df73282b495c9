use v5.36;
use utf8;
use lib 't/lib';
use Test2::V0;
use PAGITest::Backends qw(each_backend);
use Time::HiRes qw(sleep time);

each_backend('t/apps/websocket/session.pl', sub ($client, $backend) {
    my $ws = $client->websocket('/json', query => { room => 'Küche' });
    is $ws->send_json({ ä => ['☺', 0, undef] })->receive_json, { got => { ä => ['☺', 0, undef] }, room => 'Küche' }, 'JSON, characters both ways';
    $ws->send_text('null');
    is $ws->receive_json, { got => undef, room => 'Küche' }, 'null is a message';
    $ws->close(4000, 'grüß dich');

    $ws = $client->websocket('/text', subprotocols => ['echo', 'other']);
    is $ws->subprotocol, 'echo', 'subprotocol';
    is $ws->send_text($_)->receive_text, "<$_>", "text '$_'" for 'hi', '', '0', '☺' x 1000;
    $ws->close;

    $ws = $client->websocket('/run');
    is $ws->send_bytes("\x00\x01")->receive_bytes, "run:\x00\x01", 'run with bytes';
    is $ws->send_text('bad')->receive_text, "error: bad message\n", 'on_error';
    is $ws->send_text('still')->receive_bytes, 'run:still', 'and on it goes';
    $ws->send_text('stop');
    is $ws->receive_text, undef, 'closed by the app';
    is [$ws->close_code, $ws->close_reason], [4002, 'enough'], 'with code and reason';

    my $response = $client->websocket('/deny', decline_ok => 1)->response;
    is [$response->status, $response->text], [402, 'pay first'], 'denied with a response';

    $ws = $client->websocket('/kinds');
    $ws->send_bytes("passed over")->send_text('a text')->send_text('passed over')->send_bytes("\x00\xff")->send_json({ ü => [1] });
    is $ws->receive_json(20), { text => 'a text', bytes => 2, json => { ü => [1] } }, 'receive_text, receive_bytes, receive_json take their kind';
    is $ws->receive_bytes(20), "\x00\xff", 'send_bytes_if_connected';
    is [$ws->receive_text(20), $ws->close_code, $ws->close_reason], [undef, 4003, 'done'], 'nothing early, nothing late';

    # The server may run the callbacks of the last sessions a moment later than its clients see them end.
    my $deadline = time + 20;
    my $log;
    do {
        sleep 0.02 if $log;
        $log = $client->websocket('/log')->receive_json;
    } while @$log < 5 && time < $deadline;
    is $log, bag {
        item ['/json', 4000, 'grüß dich'];
        item ['/text', 1000, ''];
        item ['/run', 4002, 'enough'];
        item ['/kinds', 4003, 'done'];
        item ['/kinds', '0 1 0', 1];
        end;
    }, 'on_close ran once per session, not after a denial';
}, lifespan => 1);

done_testing;
