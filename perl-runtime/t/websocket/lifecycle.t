use v5.36;
use lib 't/lib';
use Test2::V0;
use Future;
use PAGI::WebSocket;
use PAGITest::Events qw(scripted);

sub session ($scope = {}, @events) {
    my ($receive, $send, $sent) = scripted(@events);
    return (PAGI::WebSocket->new({ type => 'websocket', path => '/', %$scope }, $receive, $send), $sent);
}
my $with_denial = { extensions => { 'websocket.http.response' => {} } };

subtest 'accept' => sub {
    my ($ws, $sent) = session();
    is [$ws->connection_state, $ws->is_connected, $ws->is_closed], ['connecting', 0, 0], 'at first';
    my $future = $ws->accept;
    isa_ok $future, 'Future';
    ref_is $future->get, $ws, 'chains';
    is $sent, [{ type => 'websocket.accept' }], 'a bare event';
    is [$ws->connection_state, $ws->is_connected, $ws->is_closed], ['connected', 1, 0], 'connected';

    ($ws, $sent) = session();
    $ws->accept(subprotocol => 'chat', headers => [['x-a', 1]])->get;
    is $sent, [{ type => 'websocket.accept', subprotocol => 'chat', headers => [['x-a', 1]] }], 'with options';

    ($ws, $sent) = session();
    $ws->close->get;
    like $ws->accept->failure, qr/Cannot accept a closed WebSocket/, 'not after a close (D14)';
    is [$ws->connection_state, scalar @$sent], ['closed', 1], 'which stays closed';
};

subtest 'close' => sub {
    my ($ws, $sent) = session();
    $ws->accept->get;
    ref_is $ws->close->get, $ws, 'chains';
    is $sent->[1], { type => 'websocket.close', code => 1000, reason => '' }, 'defaults';
    is [$ws->connection_state, $ws->is_connected, $ws->close_code, $ws->close_reason], ['closed', 0, 1000, ''], 'closed';
    ref_is $ws->close(1001)->get, $ws, 'the second close chains too (D14)';
    is [scalar @$sent, $ws->close_code], [2, 1000], 'and does nothing';

    ($ws, $sent) = session();
    $ws->close(4000, 'bye')->get;
    is $sent, [{ type => 'websocket.close', code => 4000, reason => 'bye' }], 'code and reason';

    # While the first close waits for back-pressure.
    my $slow = Future->new;
    my $count = 0;
    $ws = PAGI::WebSocket->new({ type => 'websocket' }, sub { Future->new }, sub { $count++; $slow });
    my $first = $ws->close;
    ref_is $ws->close->get, $ws, 'a close during a close';
    is [$count, $ws->connection_state], [1, 'connecting'], 'sends nothing';
    $slow->done;
    is [$first->is_done, $ws->connection_state], [T, 'closed'], 'the first one counts';

    my @answers = (Future->fail("code 99 is not allowed\n"), Future->done);
    $ws = PAGI::WebSocket->new({ type => 'websocket' }, sub { Future->new }, sub { shift @answers });
    is $ws->close(99)->failure, "code 99 is not allowed\n", 'a close the server refuses';
    is $ws->is_closed, 0, 'is none';
    is $ws->close->get->is_closed, 1, 'the next may succeed';
};

subtest 'deny' => sub {
    my ($ws, $sent) = session($with_denial);
    my $closed = 0;
    $ws->on_close(sub { $closed++ });
    is $ws->supports_denial_response, 1, 'supported';
    ref_is $ws->deny(status => 401, headers => [['x-a', 1]], body => 'who?')->get, $ws, 'chains';
    is $sent, [
        { type => 'websocket.http.response.start', status => 401, headers => [['x-a', 1]] },
        { type => 'websocket.http.response.body', body => 'who?', more => 0 },
    ], 'a response';
    is [$ws->is_closed, $ws->close_code, $closed], [1, undef, 0], 'closed without a code, on_close does not run';
    ref_is $ws->deny->get, $ws, 'once';
    is scalar @$sent, 2, 'only';

    ($ws, $sent) = session($with_denial);
    $ws->deny->get;
    is $sent, [
        { type => 'websocket.http.response.start', status => 403, headers => [] },
        { type => 'websocket.http.response.body', body => '', more => 0 },
    ], 'defaults';

    ($ws, $sent) = session();
    is $ws->supports_denial_response, 0, 'not supported';
    ok !exists $ws->scope->{extensions}, 'asking does not change the scope (D15)';
    $ws->on_close(sub { $closed++ });
    $ws->deny(status => 401)->get;
    is $sent, [{ type => 'websocket.close', code => 1008, reason => '' }], 'a close instead';
    is [$ws->is_closed, $ws->close_code, $closed], [1, 1008, 0], 'with a code';
    is [session({ extensions => {} })]->[0]->supports_denial_response, 0, 'other extensions';
};

subtest 'keepalive' => sub {
    my ($ws, $sent) = session();
    ref_is $ws->keepalive(30)->get, $ws, 'chains';
    $ws->keepalive(25.5, 10)->get;
    $ws->keepalive(0)->get;
    $ws->keepalive->get;
    is $sent, [
        { type => 'websocket.keepalive', interval => 30 },
        { type => 'websocket.keepalive', interval => 25.5, timeout => 10 },
        { type => 'websocket.keepalive', interval => 0 },
        { type => 'websocket.keepalive', interval => 0 },
    ], 'timeout only if given, 0 stops';
};

subtest 'disconnect' => sub {
    my ($ws) = session({}, { type => 'websocket.disconnect', code => 1001, reason => 'gone' });
    is $ws->receive->get, undef, 'receive';
    is [$ws->connection_state, $ws->close_code, $ws->close_reason], ['closed', 1001, 'gone'], 'closed by the peer';
    ($ws) = session({}, { type => 'websocket.disconnect' });
    $ws->receive->get;
    is [$ws->close_code, $ws->close_reason], [1005, ''], 'without a code';
    ($ws) = session({}, undef);
    is $ws->receive->get, undef, 'an undefined event';
    is [$ws->is_closed, $ws->close_code], [1, 1005], 'is a disconnect';
};

subtest 'private setters' => sub {
    my ($ws) = session();
    $ws->_set_state('connected');
    is $ws->is_connected, 1, '_set_state';
    $ws->_set_closed(1011, 'x');
    is [$ws->connection_state, $ws->close_code, $ws->close_reason], ['closed', 1011, 'x'], '_set_closed';
};

done_testing;
