use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/lib";
use ContextHelper;
use Future;
use PAGI::SSE;
use PAGI::WebSocket;

sub types { my ($sent) = @_; return [ map { $_->{type} } @$sent ] }

# Replaces a method of the underlying class to see that the context calls it with the same arguments.
sub delegates {
    my ($ctx, $class, @methods) = @_;
    for my $method (@methods) {
        my @got;
        no strict 'refs';
        no warnings 'redefine';
        my $original = $class->can($method);
        local *{"${class}::$method"} = sub { @got = @_; return 'result' };
        is [ $ctx->$method(1, 2) ], ['result'], "$method delegates" or diag $original;
        is [ ref shift @got, @got ], [ $class, 1, 2 ], 'with its arguments';
    }
}

subtest websocket => sub {
    my ($ctx) = context_for('websocket');
    isa_ok $ctx->websocket, 'PAGI::WebSocket';
    ref_is $ctx->websocket, $ctx->ws, 'cached, alias';
    ref_is $ctx->websocket, PAGI::WebSocket->new($ctx->scope, sub { }, sub { }), 'the object of the scope';
    delegates($ctx, 'PAGI::WebSocket', qw(
        accept close deny supports_denial_response send_text send_bytes send_json try_send_text try_send_bytes try_send_json
        send_text_if_connected send_bytes_if_connected send_json_if_connected receive_text receive_bytes receive_json
        each_message each_text each_bytes each_json is_connected is_closed close_code close_reason subprotocols http_version
        keepalive query query_params raw_query raw_query_params header_all
    ));
    like dies { $ctx->on_close(sub { }) },
        qr/^on_close\(\) is on the underlying object: call \$c->websocket->on_close\(\.\.\.\) at \Q$0\E/, 'on_close';
    for my $foreign (qw(request response method on_message text json respond)) {
        ok !$ctx->can($foreign), "no $foreign";
    }
    is ref $ctx->receive, 'CODE', 'receive is the context\'s own';
    is $ctx->state, {}, 'state too';
};

subtest 'a WebSocket conversation' => sub {
    my ($ctx, $sent) = context_for('websocket', { type => 'websocket.connect' }, { type => 'websocket.receive', text => "h\x{e9}" },
        { type => 'websocket.disconnect', code => 1001, reason => 'bye' });
    is [ $ctx->is_connected, $ctx->is_disconnected ], [ 0, 1 ], 'not before the handshake';
    $ctx->accept->get;
    is [ $ctx->is_connected, $ctx->is_disconnected, $ctx->is_closed ], [ 1, 0, 0 ], 'accepted';
    my @closed;
    $ctx->ws->on_close(sub { push @closed, [@_] });
    $ctx->on('websocket.receive' => sub { my ($c, $event) = @_; $c->send_text("you said $event->{text}") });
    is $ctx->run->get, 'disconnect', 'dispatcher';
    is [ $sent->[0]{type}, $sent->[1]{text} ], [ 'websocket.accept', "you said h\x{e9}" ], 'sent';
    is [ \@closed, $ctx->is_closed, $ctx->close_code, $ctx->close_reason ], [ [ [ 1001, 'bye' ] ], 1, 1001, 'bye' ], 'the object is closed';

    ($ctx) = context_for('websocket', { type => 'websocket.disconnect' });
    $ctx->run->get;
    ok !$ctx->{_websocket}, 'an object nobody asked for is not made';

    ($ctx) = context_for('websocket', { type => 'websocket.disconnect' });
    $ctx->ws;
    $ctx->run->get;
    is $ctx->close_code, 1005, 'no code: 1005';

    ($ctx) = context_for('websocket', { type => 'websocket.disconnect', code => 1001 });
    @closed = ();
    $ctx->ws->on_close(sub { push @closed, $_[0] });
    $ctx->on('websocket.disconnect' => sub { push @closed, 'handler' });
    $ctx->run->get;
    is \@closed, [ 'handler', 1001 ], 'after the handlers of the event';

    ($ctx) = context_for('websocket', { type => 'websocket.disconnect', code => 1001 });
    @closed = ();
    $ctx->ws->on_close(sub { push @closed, $_[0] });
    $ctx->accept->get;
    $ctx->close(4000, 'mine')->get;
    $ctx->run->get;
    is \@closed, [4000], 'once: the close of the application came first';
};

subtest sse => sub {
    my ($ctx) = context_for('sse');
    isa_ok $ctx->sse, 'PAGI::SSE';
    ref_is $ctx->sse, $ctx->sse, 'cached';
    delegates($ctx, 'PAGI::SSE', qw(
        start close send send_json send_event send_comment try_send try_send_json try_send_comment try_send_event each every
        is_started is_closed is_connected last_event_id http_version keepalive query_param query_params raw_query_param
        raw_query_params header_all
    ));
    like dies { $ctx->on_close(sub { }) },
        qr/^on_close\(\) is on the underlying object: call \$c->sse->on_close\(\.\.\.\) at \Q$0\E/, 'on_close';
    ok !$ctx->can($_), "no $_" for qw(request response method text json respond);
};

subtest 'a stream' => sub {
    my ($ctx, $sent) = context_for('sse', { type => 'sse.request', body => '', more => 0 }, { type => 'sse.disconnect', reason => 'write_error' });
    is [ $ctx->is_connected, $ctx->is_disconnected ], [ 0, 1 ], 'not before the start';
    $ctx->send('hello')->get;
    is types($sent), [ 'sse.start', 'sse.send' ], 'send sends data';
    is [ $ctx->is_connected, $ctx->is_disconnected ], [ 1, 0 ], 'started';
    my @closed;
    $ctx->sse->on_close(sub { push @closed, $_[1] });
    is $ctx->run->get, 'disconnect', 'dispatcher';
    is [ \@closed, $ctx->is_closed, $ctx->is_connected, $ctx->is_disconnected ], [ ['write_error'], 1, 0, 1 ], 'the object is closed';
    like scalar $ctx->send('late')->failure, qr/^Cannot send on closed SSE connection/, 'no more sends';

    ($ctx) = context_for('sse', { type => 'sse.disconnect' });
    $ctx->run->get;
    ok !$ctx->{_sse}, 'an object nobody asked for is not made';
    ($ctx) = context_for('sse', { type => 'sse.disconnect' });
    $ctx->sse->on_close(sub { push @closed, $_[1] });
    $ctx->run->get;
    is $closed[-1], 'client_closed', 'default reason';
};

done_testing;
