use v5.36;
use utf8;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Test::Client;
use PAGI::Test::WebSocket;

my $seen;
my $echo = async sub ($scope, $receive, $send) {
    $seen = $scope;
    my $connect = await $receive->();
    die 'no connect event' if $connect->{type} ne 'websocket.connect';
    await $send->({ type => 'websocket.accept', subprotocol => $scope->{subprotocols}[0] });
    while (1) {
        my $event = await $receive->();
        $seen = $event;
        return if $event->{type} eq 'websocket.disconnect';
        my $text = $event->{text};
        return await $send->({ type => 'websocket.close', code => 4000, reason => 'you said so' }) if ($text // '') eq 'bye';
        await $send->({ type => 'websocket.send', defined $text ? (text => $text) : (bytes => scalar reverse $event->{bytes}) });
    }
};
my $client = PAGI::Test::Client->new(app => $echo);

subtest 'callback style' => sub {
    my $kept;
    my @returned = $client->websocket('/chat?room=1', query => { x => 2 }, subprotocols => ['a', 'b'], sub ($ws) {
        $kept = $ws;
        like $seen, { type => 'websocket', scheme => 'ws', path => '/chat', query_string => 'room=1&x=2', subprotocols => ['a', 'b'] }, 'scope';
        ok !exists $seen->{'pagi.connection'}, 'no pagi.connection (SCOPE-12)';
        is $ws->subprotocol, 'a', 'subprotocol';
        is $ws->send_text('one')->receive_text, 'one', 'echo';
        is $ws->send_text('zwei ☺')->receive_text, 'zwei ☺', 'and again, characters';
    });
    is \@returned, [], 'returns nothing';
    is [$kept->is_closed, $kept->close_code], [1, 1000], 'closed afterwards';
    is dies { $client->websocket('/', sub ($ws) { $kept = $ws; die "from the callback\n" }) }, "from the callback\n", 'its exception passes';
    is $kept->is_closed, 1, 'closed all the same';
};

subtest 'explicit style' => sub {
    my $ws = $client->websocket('/');
    is [$ws->is_closed, $ws->close_code, $ws->close_reason, $ws->is_finished, $ws->exception], [0, undef, '', 0, undef], 'open';
    is $ws->send_bytes("\x00\xffab")->receive_bytes, "ba\xff\x00", 'binary';
    is $ws->send_json({ ä => [1, '☺'] })->receive_json, { ä => [1, '☺'] }, 'JSON in characters';

    $ws->send_text('t1')->send_bytes('b1')->send_text('');
    is $ws->receive_bytes, '1b', 'the first of its kind';
    is [$ws->receive_text, $ws->receive_text], ['t1', ''], 'others stay queued; an empty one is one';
    like dies { $ws->receive_text }, qr/\ATimeout waiting for WebSocket text message at .*websocket\.t/, 'no text there';
    like dies { $ws->receive_bytes }, qr/\ATimeout waiting for WebSocket bytes message/, 'no bytes there';

    $ws->send_text('kept');
    ref_is $ws->close(1001, 'leaving'), $ws, 'close chains';
    $ws->close(4999, 'again');
    is [$ws->is_closed, $ws->close_code, $ws->close_reason], [1, 1001, 'leaving'], 'and counts once';
    is $seen, { type => 'websocket.disconnect', code => 1001, reason => 'leaving' }, 'the app was told';
    is $ws->receive_text, 'kept', 'what was sent before can still be read';
    is [$ws->receive_text, $ws->receive_bytes, $ws->receive_json], [undef, undef, undef], 'then undef';
    like dies { $ws->send_text('x') }, qr/Cannot send on closed WebSocket at .*websocket\.t/, 'no sending after the close';
    is $ws->is_finished, 1, 'the app has returned';
};

subtest 'closed by the app' => sub {
    my $ws = $client->websocket('/');
    $ws->send_text('bye');
    is [$ws->is_closed, $ws->close_code, $ws->close_reason], [1, 4000, 'you said so'], 'noticed';
    is [map { $_->{type} } $ws->sent_events], ['websocket.accept', 'websocket.close'], 'sent_events';

    my @failures;
    my $app = async sub ($scope, $receive, $send) {
        push @failures, $send->({ type => 'websocket.send', text => 'early' })->failure;
        await $send->({ type => 'websocket.accept' });
        await $send->({ type => 'websocket.close' });
        push @failures, $send->({ type => 'websocket.send', text => 'late' })->failure;
        push @failures, (await $receive->())->{type}, (await $receive->())->{type}, (await $receive->())->{code};
    };
    $ws = PAGI::Test::Client->new(app => $app)->websocket('/');
    is [$ws->close_code, $ws->close_reason], [1000, ''], 'default code and reason';
    is \@failures, ["websocket.send before websocket.accept\n", "websocket.send after websocket.close\n", 'websocket.connect', 'websocket.disconnect', 1000],
        'sends out of sequence fail (WS-19, WS-33), the disconnect is received over and over (WS-28)';
};

subtest 'not accepted' => sub {
    my $returns = PAGI::Test::Client->new(app => async sub { });
    like dies { $returns->websocket('/') }, qr/\AWebSocket connection not accepted \(the application has returned\) at .*websocket\.t/, 'returned';
    my $dies = PAGI::Test::Client->new(app => async sub { die "no database\n" });
    like dies { $dies->websocket('/') }, qr/\AWebSocket connection not accepted \(the application died: no database\)/, 'died';
    my $waits = PAGI::Test::Client->new(app => async sub ($s, $receive, $send) { await $receive->(); await $receive->() });
    like dies { $waits->websocket('/') }, qr/\AWebSocket connection not accepted at/, 'waits';

    my $closed = PAGI::Test::Client->new(app => async sub ($s, $r, $send) { await $send->({ type => 'websocket.close' }) });
    like dies { $closed->websocket('/') }, qr/not accepted \(the application answered with HTTP 403\)/, 'closed instead (WS-9)';
    my $ws = $closed->websocket('/', decline_ok => 1);
    is [$ws->is_closed, $ws->response->status], [1, 403], 'can be looked at with decline_ok';
    is $dies->websocket('/', decline_ok => 1)->response->exception, "no database\n", 'and so can an exception';
    is $dies->websocket('/', decline_ok => 1)->response->status, 500, 'which is a 500';

    my $denies = PAGI::Test::Client->new(app => async sub ($scope, $r, $send) {
        die 'no extension' unless $scope->{extensions}{'websocket.http.response'};
        await $send->({ type => 'websocket.http.response.start', status => 401, headers => [['www-authenticate', 'Basic']] });
        await $send->({ type => 'websocket.http.response.body', body => 'who ', more => 1 });
        await $send->({ type => 'websocket.http.response.body', body => 'are you?' });
    });
    my $response = $denies->websocket('/', decline_ok => 1)->response;
    is [$response->status, $response->header('WWW-Authenticate'), $response->content], [401, 'Basic', 'who are you?'], 'denial response';
    is $client->websocket('/', decline_ok => 1)->response, undef, 'an accepted connection has no response';
};

subtest 'an app that dies later' => sub {
    my $app = async sub ($scope, $receive, $send) {
        await $send->({ type => 'websocket.accept' });
        await $receive->();
        my $event = await $receive->();
        die "cannot handle $event->{text}\n";
    };
    my $ws = PAGI::Test::Client->new(app => $app)->websocket('/');
    $ws->send_text('this');
    is $ws->exception, "cannot handle this\n", 'exception';
    like dies { $ws->receive_text }, qr/\ATimeout waiting for WebSocket text message \(the application died: cannot handle this\)/, 'named in the error';
};

subtest 'receives' => sub {
    my ($first, $second, @got);
    my $app = async sub ($scope, $receive, $send) {
        await $receive->();
        await $send->({ type => 'websocket.accept' });
        ($first, $second) = ($receive->(), $receive->());
        $_->on_done(sub ($event) { push @got, $event->{text} }) for $first, $second;
        await Future->new;
    };
    my $ws = PAGI::Test::Client->new(app => $app)->websocket('/');
    $first->cancel;
    $ws->send_text('a');
    is \@got, ['a'], 'a cancelled receive takes no event with it (RECV-7)';
};

like dies { PAGI::Test::WebSocket->new(scope => {}) }, qr/app is required/, 'app is required';
like dies { PAGI::Test::WebSocket->new(app => $echo) }, qr/scope is required/, 'scope is required';

done_testing;
