use v5.36;
use utf8;
use lib 't/lib';
use Test2::V0;
use Future;
use PAGI::WebSocket;
use PAGITest::Events qw(scripted);

sub session ($custom_send = undef) {
    my ($receive, $send, $sent) = scripted();
    my $ws = PAGI::WebSocket->new({ type => 'websocket' }, $receive, $custom_send // $send);
    $ws->_set_state('connected');
    return ($ws, $sent);
}
my %kinds = (
    text  => ["gr\x{fc}\x{df} ☺", { type => 'websocket.send', text => "gr\x{fc}\x{df} ☺" }],
    bytes => ["\x00\xff",         { type => 'websocket.send', bytes => "\x00\xff" }],
    # D1: characters, not UTF-8 bytes; the server encodes them once.
    json  => [{ ü => '☺', a => 1 }, { type => 'websocket.send', text => '{"a":1,"ü":"☺"}' }],
);

for my $kind (sort keys %kinds) {
    my ($data, $event) = @{ $kinds{$kind} };
    my ($send, $try, $if_connected) = ("send_$kind", "try_send_$kind", "send_${kind}_if_connected");

    subtest $kind => sub {
        my ($ws, $sent) = session();
        ref_is $ws->$send($data)->get, $ws, "$send chains";
        is $ws->$try($data)->get, 1, "$try gives 1";
        is [$ws->$if_connected($data)->get], [], "$if_connected resolves empty";
        is $sent, [($event) x 3], 'the same event each time';

        $ws->close->get;
        @$sent = ();
        like $ws->$send($data)->failure, qr/Cannot send on closed WebSocket/, "$send fails when closed";
        is $ws->$try($data)->get, 0, "$try gives 0 when closed";
        is [$ws->$if_connected($data)->get], [], "$if_connected does nothing when closed";
        is $sent, [], 'nothing was sent';

        ($ws, $sent) = session();
        $ws->_set_state('connecting');
        $ws->$if_connected($data)->get;
        is $sent, [], "$if_connected does nothing before the accept";

        for my $failing (sub { Future->fail("broken pipe\n") }, sub { die "broken pipe\n" }) {
            ($ws) = session($failing);
            is $ws->$send($data)->failure, "broken pipe\n", "$send passes the error on";
            is $ws->$try($data)->get, 0, "$try gives exactly 0";
            is [$ws->$if_connected($data)->get], [], "$if_connected ignores it";
            is [$ws->connection_state, $ws->close_code], ['connected', undef], 'the state is as before';
        }
    };
}

subtest 'data without a JSON form' => sub {
    my ($ws, $sent) = session();
    my $data = { code => sub { } };
    ok $ws->send_json($data)->is_failed, 'send_json fails';
    is $ws->try_send_json($data)->get, 0, 'try_send_json gives 0 (D11)';
    is [$ws->send_json_if_connected($data)->get], [], 'send_json_if_connected ignores it';
    is [$sent, $ws->is_connected], [[], 1], 'nothing sent, still connected';
};

subtest 'scalars as JSON' => sub {
    my ($ws, $sent) = session();
    $ws->send_json($_)->get for 'ä', 1, undef, [];
    is [map { $_->{text} } @$sent], ['"ä"', '1', 'null', '[]'], 'are allowed';
};

done_testing;
