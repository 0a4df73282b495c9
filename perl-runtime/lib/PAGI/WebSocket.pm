package PAGI::WebSocket;

use strict;
use warnings;

use parent 'PAGI::EventScope';

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::Utils::TextJSON ();
use PAGI::Utils::Turn qw(next_turn);
use Scalar::Util qw(blessed);

my $TURN = 64;    # sends

sub _scope_type      { return 'websocket' }
sub _callback_lists  { return qw(_on_close _on_error _on_message) }
sub _close_arguments { return @{ $_[0] }{qw(_close_code _close_reason)} }

sub _init {
    my ($self) = @_;
    $self->{_state}        = 'connecting';    # then connected, then closed
    $self->{_close_code}   = undef;
    $self->{_close_reason} = undef;
    return;
}

sub path     { return $_[0]{scope}{path} }
sub raw_path { return PAGI::EventScope::_or($_[0]{scope}{raw_path}, $_[0]{scope}{path}) }
sub scheme   { return PAGI::EventScope::_or($_[0]{scope}{scheme}, 'ws') }

sub subprotocols { return $_[0]{scope}{subprotocols} || [] }

sub query {
    my ($self, $name, %options) = @_;
    return $self->_query_value($name, %options);
}

sub raw_query {
    my ($self, $name) = @_;
    return $self->_query_value($name, raw => 1);
}

sub is_connected { return $_[0]{_state} eq 'connected' ? 1 : 0 }
sub close_code   { return $_[0]{_close_code} }
sub close_reason { return $_[0]{_close_reason} }

sub supports_denial_response {
    my ($self) = @_;
    my $extensions = $self->{scope}{extensions} or return 0;
    return $extensions->{'websocket.http.response'} ? 1 : 0;
}

async sub accept {
    my ($self, %options) = @_;
    croak 'Cannot accept a closed WebSocket' if $self->{_state} eq 'closed';

    await $self->{send}->({
        type => 'websocket.accept',
        map { exists $options{$_} ? ($_ => $options{$_}) : () } qw(subprotocol headers),
    });
    $self->_set_state('connected') if $self->{_state} ne 'closed';
    return $self;
}

async sub close {
    my ($self, $code, $reason) = @_;
    # A close that is still being sent counts: a second close event would be out of sequence (WS-33).
    return $self if $self->{_state} eq 'closed' || $self->{_closing};

    $code   = 1000 unless defined $code;
    $reason = ''   unless defined $reason;
    $self->{_closing} = 1;
    my $ok = eval { await $self->{send}->({ type => 'websocket.close', code => $code, reason => $reason }); 1 };
    my $error = $@;
    delete $self->{_closing};
    die $error unless $ok;
    await $self->_close_once($code, $reason);
    return $self;
}

async sub deny {
    my ($self, %options) = @_;
    return $self if $self->{_state} eq 'closed';

    if ($self->supports_denial_response) {
        await $self->{send}->({
            type    => 'websocket.http.response.start',
            status  => PAGI::EventScope::_or($options{status}, 403),
            headers => $options{headers} || [],
        });
        await $self->{send}->({
            type => 'websocket.http.response.body',
            body => PAGI::EventScope::_or($options{body}, ''),
            more => 0,
        });
        $self->_set_state('closed');
        return $self;
    }
    await $self->{send}->({ type => 'websocket.close', code => 1008, reason => '' });
    $self->_set_closed(1008, '');
    return $self;
}

sub send_text  { return $_[0]->_send_frame(text  => $_[1]) }
sub send_bytes { return $_[0]->_send_frame(bytes => $_[1]) }

sub send_json {
    my ($self, $data) = @_;
    my $text = eval { PAGI::Utils::TextJSON::encode($data) };
    return defined $text ? $self->_send_frame(text => $text) : Future->fail($@);
}

async sub _send_frame {
    my ($self, $kind, $payload) = @_;
    croak 'Cannot send on closed WebSocket' if $self->{_state} eq 'closed';
    await $self->{send}->({ type => 'websocket.send', $kind => $payload });
    # One that only sends would never hear that its client has gone, and nobody else would be served.
    await next_turn() unless ++$self->{_messages} % $TURN;
    return $self;
}

sub try_send_text  { return $_[0]->_try_send(text  => $_[1]) }
sub try_send_bytes { return $_[0]->_try_send(bytes => $_[1]) }
sub try_send_json  { return $_[0]->_try_send(json  => $_[1]) }

# Encoding happens in here too: data that cannot be sent is a send that failed, not an exception.
async sub _try_send {
    my ($self, $kind, $payload) = @_;
    return 0 if $self->{_state} eq 'closed';
    my $ok = eval {
        ($kind, $payload) = (text => PAGI::Utils::TextJSON::encode($payload)) if $kind eq 'json';
        await $self->{send}->({ type => 'websocket.send', $kind => $payload });
        await next_turn() unless ++$self->{_messages} % $TURN;
        1;
    };
    return $ok ? 1 : 0;
}

sub send_text_if_connected  { return $_[0]->_send_if_connected(text  => $_[1]) }
sub send_bytes_if_connected { return $_[0]->_send_if_connected(bytes => $_[1]) }
sub send_json_if_connected  { return $_[0]->_send_if_connected(json  => $_[1]) }

async sub _send_if_connected {
    my ($self, $kind, $payload) = @_;
    await $self->_try_send($kind, $payload) if $self->is_connected;
    return;
}

async sub receive {
    my ($self) = @_;

    while ($self->{_state} ne 'closed') {
        my $event = await $self->{receive}->();
        my $type = $event ? PAGI::EventScope::_or($event->{type}, '') : 'websocket.disconnect';
        next if $type eq 'websocket.connect';
        return $event if $type ne 'websocket.disconnect';
        await $self->_close_once(
            PAGI::EventScope::_or($event && $event->{code},   1005),
            PAGI::EventScope::_or($event && $event->{reason}, ''),
        );
    }
    return undef;
}

sub receive_text  { return $_[0]->_receive_frame('text') }
sub receive_bytes { return $_[0]->_receive_frame('bytes') }

async sub receive_json {
    my ($self) = @_;
    my $text = await $self->_receive_frame('text');
    return defined $text ? PAGI::Utils::TextJSON::decode($text) : undef;
}

async sub _receive_frame {
    my ($self, $kind) = @_;
    while (my $event = await $self->receive) {
        return $event->{$kind} if defined $event->{$kind};
    }
    return undef;
}

sub each_message { return $_[0]->_each('receive',       $_[1]) }
sub each_text    { return $_[0]->_each('receive_text',  $_[1]) }
sub each_bytes   { return $_[0]->_each('receive_bytes', $_[1]) }
sub each_json    { return $_[0]->_each('receive_text',  $_[1], \&PAGI::Utils::TextJSON::decode) }

# Loops on definedness: '' and '0' are messages like any other, and so is the JSON text null.
async sub _each {
    my ($self, $receive, $callback, $decode) = @_;

    while (defined(my $item = await $self->$receive)) {
        $item = $decode->($item) if $decode;
        my $ok = eval {
            my $result = $callback->($item);
            await $result if blessed $result && $result->isa('Future');
            1;
        };
        next if $ok;
        my $error = $@;
        await $self->_run_close_callbacks;
        die $error;
    }
    return;
}

async sub run {
    my ($self) = @_;

    while (1) {
        my $event;
        my $ok = eval { $event = await $self->receive; 1 };
        if (!$ok) {
            warn "PAGI::WebSocket receive error: $@";
            await $self->_close_once(1006, 'read_error');
        }
        last unless $event;

        my $data = defined $event->{text} ? $event->{text} : $event->{bytes};
        my @callbacks = defined $data ? @{ $self->{_on_message} } : ();
        while (my $callback = shift @callbacks) {
            my $done = eval {
                my $result = $callback->($data, $event);
                await $result if blessed $result && $result->isa('Future');
                1;
            };
            next if $done;
            my $error = $@;
            await $self->_trigger_error($error);
        }
    }
    return;
}

async sub keepalive {
    my ($self, $interval, $timeout) = @_;
    await $self->{send}->({
        type     => 'websocket.keepalive',
        interval => PAGI::EventScope::_or($interval, 0),
        defined $timeout ? (timeout => $timeout) : (),
    });
    return $self;
}

sub on_message {
    my ($self, $callback) = @_;
    return $self->_add_callback(_on_message => $callback);
}

sub on {
    my ($self, $name, $callback) = @_;
    return $self->on_message($callback) if $name eq 'message';
    return $self->on_close($callback)   if $name eq 'close';
    return $self->on_error($callback)   if $name eq 'error';
    croak "Unknown event type: $name (expected message, close, or error)";
}

sub _trigger_error {
    my ($self, $error) = @_;
    return $self->_run_error_callbacks($error, $error);
}

sub _set_closed {
    my ($self, $code, $reason) = @_;
    $self->_set_state('closed');
    @$self{qw(_close_code _close_reason)} = ($code, $reason);
    return;
}

# The one way to the closed state while the session is in use: whoever comes first, peer or app, decides code and reason.
async sub _close_once {
    my ($self, $code, $reason) = @_;
    return if $self->{_state} eq 'closed';
    $self->_set_closed($code, $reason);
    await $self->_run_close_callbacks;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WebSocket - a WebSocket session as an object

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::WebSocket;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'websocket';

        my $ws = PAGI::WebSocket->new($scope, $receive, $send);
        $ws->on_close(sub { my ($code, $reason) = @_; print "closed: $code\n" });

        await $ws->accept;
        await $ws->each_json(async sub {
            my ($message) = @_;
            await $ws->send_json({ you_said => $message });
        });
    };

=head1 DESCRIPTION

Wraps scope, C<$receive> and C<$send> of a WebSocket scope. Methods marked I<async> return a Future; every error in them,
wrong arguments included, is a failed Future.

Text and JSON are characters: the server encodes and decodes UTF-8. Binary messages are bytes.

A session goes from C<connecting> over C<connected> to C<closed>. It cannot be reopened.

=head1 CONSTRUCTOR

=head2 new

    my $ws = PAGI::WebSocket->new($scope, $receive, $send);

While an object for this scope is alive it is returned again, so several layers of an app share one state. Croaks, in this
order,

    PAGI::WebSocket requires scope hashref
    PAGI::WebSocket requires receive coderef
    PAGI::WebSocket requires send coderef
    PAGI::WebSocket requires scope type 'websocket', got 'TYPE'

=head1 THE SCOPE

=head2 scope, path, raw_path, query_string, scheme, http_version, client, server, subprotocols, state

From the scope. C<path> is characters, C<raw_path> (which falls back to C<path>) and C<query_string> are bytes. Defaults:
C<query_string> C<''>, C<scheme> C<ws>, C<http_version> C<1.1>, C<subprotocols> C<[]>, C<state> C<{}>.

=head2 header, header_all, headers

    my $value   = $ws->header('Origin');      # last value, or undef
    my @values  = $ws->header_all('Cookie');
    my $headers = $ws->headers;               # Hash::MultiValue, lower-case keys

=head2 path_params, path_param

The captures of the router as a hashref, C<{}> without one; a single capture, or undef.

=head2 query_params, query, raw_query_params, raw_query

    my $params = $ws->query_params(strict => 0, raw => 0);    # Hash::MultiValue
    my $room   = $ws->query('room');                          # last value, or undef

Decoded as UTF-8, bad bytes becoming U+FFFD. C<strict> dies on them instead; C<raw>, and the two C<raw_> methods, leave bytes.
Another option croaks C<Unknown options to query_params: NAME>.

=head2 buffered_amount, high_water_mark, low_water_mark, is_writable, on_high_water, on_drain

Flow control, see L<PAGI::Transport>.

=head2 connection_state, is_connected, is_closed

C<connecting>, C<connected> or C<closed>; 1 or 0.

=head2 close_code, close_reason

Undef until closed. After a disconnect without a code the code is 1005. After C<deny> with a response there is no code.

=head2 supports_denial_response

1 when the server can answer a refused handshake with a response of the app's choice, else 0.

=head1 OPENING AND CLOSING

=head2 accept

    await $ws->accept(subprotocol => 'chat', headers => \@pairs);

Async; resolves to the object. Reading C<websocket.connect> first is not needed. Fails with
C<Cannot accept a closed WebSocket> after a close.

=head2 close

    await $ws->close($code, $reason);

Async; resolves to the object. Defaults: 1000 and C<''>. Closes the session, or refuses the handshake before C<accept>, then
runs the C<on_close> callbacks. Does nothing when closed already.

=head2 deny

    await $ws->deny(status => 403, headers => \@pairs, body => $bytes);

Async; resolves to the object. Refuses the handshake with an HTTP response (defaults: 403, no headers, no body). A server without
that extension gets C<websocket.close> with code 1008 instead. C<on_close> callbacks do not run.

=head2 keepalive

    await $ws->keepalive($interval, $timeout);

Async; resolves to the object. Asks the server for a ping every C<$interval> seconds (fractions allowed; 0, the default, stops)
and, with C<$timeout>, to drop the connection when no pong comes within that many seconds.

=head1 SENDING

=head2 send_text, send_bytes, send_json

    await $ws->send_text($characters);

Async; resolve to the object. Fail with C<Cannot send on closed WebSocket>, with the server's error, or with the JSON encoder's.

=head2 try_send_text, try_send_bytes, try_send_json

    my $ok = await $ws->try_send_text($characters);

Async; resolve to 1, or to 0 when closed or when encoding or sending failed. The session stays in the state it is in.

=head2 send_text_if_connected, send_bytes_if_connected, send_json_if_connected

Async; do nothing unless connected, ignore failures, resolve to nothing.

=head1 RECEIVING

=head2 receive

    my $event = await $ws->receive;

Async; the next C<websocket.receive> event, with C<text> or C<bytes>. Undef once closed; the disconnect itself runs the C<on_close>
callbacks first.

=head2 receive_text, receive_bytes

Async; the next message of that kind, others being skipped; undef once closed.

=head2 receive_json

Async; the next text message decoded; undef once closed (and for the text C<null>). Fails with the JSON decoder's message.

=head2 each_message, each_text, each_bytes, each_json

    await $ws->each_text(async sub { my ($text) = @_; ... });

Async; call back for every message until the session is closed, then resolve to nothing. The callback gets the event, the text,
the bytes or the decoded data; a Future it returns is awaited. If it dies, the C<on_close> callbacks run (with undef for code and
reason; the session itself is left as it is) and the Future fails with its error. A message that is not JSON fails the
Future of C<each_json> without running them.

=head2 run

    await $ws->run;

Async; calls the C<on_message> callbacks for every message until the session is closed. Exceptions go to C<on_error>. When
receiving fails it warns C<PAGI::WebSocket receive error: ...>, closes (1006, C<read_error>) and returns.

=head1 CALLBACKS

They may be plain or async, run in the order of registration, and are all released at the close. Each method returns the object.

=head2 on_message

    $ws->on_message(sub { my ($data, $event) = @_; ... });

For C<run>.

=head2 on_close

    $ws->on_close(sub { my ($code, $reason) = @_; ... });

Runs once, whoever closes. Its exceptions are warned about as C<PAGI::WebSocket on_close callback error: ...>. Registering after the
close has no effect.

=head2 on_error

    $ws->on_error(sub { my ($error) = @_; ... });

For exceptions of C<on_message> callbacks. Without one they are warned about as C<PAGI::WebSocket error: ...>; its own exceptions
as C<PAGI::WebSocket on_error callback error: ...>.

=head2 on

    $ws->on(message => $code)->on(close => $code)->on(error => $code);

The same by name; another name croaks C<Unknown event type: NAME (expected message, close, or error)>.

=head1 SEE ALSO

L<PAGI::SSE>, L<PAGI::Context>, L<PAGI::Endpoint::WebSocket>, L<PAGI::Test::WebSocket>

=cut
