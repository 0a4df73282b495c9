use v5.36;
use utf8;
use lib 't/lib';
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::WebSocket;
use PAGITest::Events qw(scripted);

my $connect    = { type => 'websocket.connect' };
my $disconnect = { type => 'websocket.disconnect', code => 1000, reason => 'bye' };
sub text ($text)   { return { type => 'websocket.receive', text => $text } }
sub bytes ($bytes) { return { type => 'websocket.receive', bytes => $bytes } }

sub session (@events) {
    my ($receive, $send, $sent) = scripted(@events);
    my $ws = PAGI::WebSocket->new({ type => 'websocket' }, $receive, $send);
    $ws->_set_state('connected');
    return ($ws, $sent);
}

subtest 'receive' => sub {
    my ($ws) = session($connect, text('a'), bytes('b'), $disconnect, text('never'));
    is $ws->receive->get, text('a'), 'connect is skipped';
    is $ws->receive->get, bytes('b'), 'raw events';
    is $ws->receive->get, undef, 'undef at the disconnect';
    is [$ws->close_code, $ws->close_reason], [1000, 'bye'], 'code and reason';
    is $ws->receive->get, undef, 'and without asking the server again';
    ($ws) = session(sub { Future->fail("read failed\n") });
    is $ws->receive->failure, "read failed\n", 'a failure passes';
};

subtest 'by kind' => sub {
    my ($ws) = session(bytes('b'), { %{ text('t') }, bytes => undef }, text('x'), bytes("\xff"), $disconnect);
    is $ws->receive_text->get, 't', 'text, skipping bytes';
    is $ws->receive_bytes->get, "\xff", 'bytes, skipping text';
    is [$ws->receive_text->get, $ws->receive_bytes->get], [undef, undef], 'undef at the end';

    # D1: the text is characters already.
    ($ws) = session(bytes('b'), text('{"ü":"☺"}'), text('not json'), $disconnect);
    is $ws->receive_json->get, { ü => '☺' }, 'JSON';
    like $ws->receive_json->failure, qr/malformed|expected/, 'text that is no JSON';
    is $ws->receive_json->get, undef, 'undef at the end';
};

subtest 'each' => sub {
    # D4: '' and '0' are messages, and so is null.
    my @frames = (text(''), bytes(''), text('0'), bytes('0'), text('"☺"'), text('null'));
    my @got;
    my ($ws) = session(@frames, $disconnect);
    is [$ws->each_message(async sub ($event) { push @got, $event })->get], [], 'each_message resolves empty';
    is \@got, \@frames, 'events';

    @got = ();
    ($ws) = session(@frames, $disconnect);
    $ws->each_text(async sub ($text) { push @got, $text })->get;
    is \@got, ['', '0', '"☺"', 'null'], 'each_text';

    @got = ();
    ($ws) = session(@frames, $disconnect);
    $ws->each_bytes(async sub ($bytes) { push @got, $bytes })->get;
    is \@got, ['', '0'], 'each_bytes';

    @got = ();
    ($ws) = session(@frames[2 .. 5], text('{"a":"ü"}'), $disconnect);
    $ws->each_json(async sub ($data) { push @got, $data })->get;
    is \@got, [0, '☺', undef, { a => 'ü' }], 'each_json';

    @got = ();
    ($ws) = session(@frames, $disconnect);
    $ws->each_text(sub ($text) { push @got, $text; return 'no future' })->get;
    is scalar @got, 4, 'a plain callback will do (D4)';

    my ($slow, $order) = (Future->new, '');
    ($ws) = session(text(1), text(2), $disconnect);
    my $loop = $ws->each_text(sub ($text) { $order .= $text; return $text == 1 ? $slow : Future->done });
    is $order, '1', 'the next message waits for the callback';
    $slow->done;
    is [$order, $loop->is_done], ['12', T], 'then goes on';

    (($ws), my $sent) = session(text('hi'), $disconnect);
    $ws->each_text(async sub ($text) { await $ws->send_text("you said $text") })->get;
    is $sent, [{ type => 'websocket.send', text => 'you said hi' }], 'replies';
};

subtest 'a callback that dies' => sub {
    my @log;
    my ($ws, $sent) = session(text('x'), $disconnect);
    $ws->on_close(sub { push @log, ['closed', @_] });
    my $future = $ws->each_text(async sub { push @log, 'message'; die "oops\n" });
    is $future->failure, "oops\n", 'its error is rethrown';
    is \@log, ['message', ['closed', undef, undef]], 'after on_close has run';
    is $ws->is_connected, 1, 'the state is left alone';
    is [@$ws{qw(_on_close _on_error _on_message)}], [[], [], []], 'the lists are empty';

    # D14: a close afterwards is a real one.
    $ws->on_close(sub ($code, $reason) { push @log, $code });
    $ws->close(1011)->get;
    is [$sent->[-1]{code}, $log[-1]], [1011, 1011], 'the session can still be closed properly';

    @log = ();
    ($ws) = session(text('x'));
    $ws->on_close(sub { push @log, 'closed' });
    is $ws->each_text(sub { die "plain\n" })->failure, "plain\n", 'a plain callback';
    is \@log, ['closed'], 'on_close ran';

    @log = ();
    ($ws) = session(text('{'), $disconnect);
    $ws->on_close(sub { push @log, 'closed' });
    ok $ws->each_json(async sub { })->is_failed, 'each_json: a message that is no JSON';
    is \@log, [], 'does not run on_close';
};

done_testing;
