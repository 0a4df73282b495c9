package PAGI::SSE;

use strict;
use warnings;

use parent 'PAGI::EventScope';

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::Utils::TextJSON ();
use PAGI::Utils::Turn qw(next_turn);
use Scalar::Util qw(blessed looks_like_number weaken);

my $TURN = 64;    # sends

sub _scope_type      { return 'sse' }
sub _callback_lists  { return qw(_on_close _on_error) }
sub _close_arguments { return ($_[0], PAGI::EventScope::_or($_[0]{_disconnect_reason}, 'unknown')) }

sub _init {
    my ($self) = @_;
    $self->{_state}             = 'pending';    # then started, then closed
    $self->{_disconnect_reason} = undef;
    $self->{_starting}          = undef;        # the start in flight
    $self->{_receiving}         = undef;        # the one receive in flight, kept across waits
    $self->{_wakers}            = [];           # Futures of those that wait, see _wait
    $self->{_late_keepalive}    = undef;        # a keepalive to repeat after the start
    return;
}

sub path     { return PAGI::EventScope::_or($_[0]{scope}{path}, '/') }
sub raw_path { return PAGI::EventScope::_or($_[0]{scope}{raw_path}, $_[0]->path) }
sub scheme   { return PAGI::EventScope::_or($_[0]{scope}{scheme}, 'http') }

sub query_param {
    my ($self, $name, %options) = @_;
    return $self->_query_value($name, %options);
}

sub raw_query_param {
    my ($self, $name) = @_;
    return $self->_query_value($name, raw => 1);
}

sub last_event_id { return $_[0]->header('last-event-id') }

sub is_started        { return $_[0]{_state} eq 'started' ? 1 : 0 }
sub is_connected      { return $_[0]->is_started }
sub disconnect_reason { return $_[0]{_disconnect_reason} }

# While a start is in flight everybody waits for that one, so that events sent meanwhile keep their order.
sub start {
    my ($self, %options) = @_;

    return $self->{_starting}->without_cancel if $self->{_starting};
    return Future->done($self) if $self->{_state} ne 'pending';
    my $starting = $self->_start(%options);
    return $starting if $starting->is_ready;

    $self->{_starting} = $starting;
    weaken(my $weak = $self);
    $starting->on_ready(sub { delete $weak->{_starting} if $weak });
    return $starting->without_cancel;
}

async sub _start {
    my ($self, %options) = @_;

    await $self->{send}->({
        type   => 'sse.start',
        status => PAGI::EventScope::_or($options{status}, 200),
        exists $options{headers} ? (headers => $options{headers}) : (),
    });
    $self->_set_state('started') if $self->{_state} eq 'pending';
    if (my $keepalive = delete $self->{_late_keepalive}) {
        await $self->{send}->($keepalive);
    }
    return $self;
}

async sub _emit {
    my ($self, $event) = @_;
    croak 'Cannot send on closed SSE connection' if $self->{_state} eq 'closed';
    await $self->start if $self->{_state} eq 'pending' || $self->{_starting};
    await $self->{send}->($event);
    # One that only sends would never hear that its client has gone, and nobody else would be served.
    await next_turn() unless ++$self->{_events} % $TURN;
    return $self;
}

sub _data_event    { return { type => 'sse.send', data => $_[0] } }
sub _json_event    { return _data_event(PAGI::Utils::TextJSON::encode($_[0])) }
sub _comment_event { return { type => 'sse.comment', comment => $_[0] } }

sub _event_event {
    my (%fields) = @_;
    my $data = $fields{data};
    return {
        type => 'sse.send',
        data => ref $data ? PAGI::Utils::TextJSON::encode($data) : $data,
        defined $fields{event} ? (event => $fields{event})     : (),
        defined $fields{id}    ? (id    => "$fields{id}")      : (),
        defined $fields{retry} ? (retry => int $fields{retry}) : (),
    };
}

sub send         { return $_[0]->_emit(_data_event($_[1])) }
sub send_comment { return $_[0]->_emit(_comment_event($_[1])) }

sub send_json {
    my ($self, $data) = @_;
    my $event = eval { _json_event($data) } or return Future->fail($@);
    return $self->_emit($event);
}

async sub send_event {
    my ($self, %fields) = @_;
    croak "send_event requires 'data' parameter" unless defined $fields{data};
    return await $self->_emit(_event_event(%fields));
}

sub try_send         { return $_[0]->_try(\&_data_event,    $_[1]) }
sub try_send_json    { return $_[0]->_try(\&_json_event,    $_[1]) }
sub try_send_comment { return $_[0]->_try(\&_comment_event, $_[1]) }

sub try_send_event {
    my ($self, %fields) = @_;
    $fields{data} = '' unless defined $fields{data};
    return $self->_try(\&_event_event, %fields);
}

async sub _try {
    my ($self, $make, @args) = @_;
    return 0 if $self->{_state} eq 'closed';

    # Data that cannot be encoded is a mistake of the caller; the stream has nothing to do with it.
    my $event = eval { $make->(@args) };
    if (!$event) {
        await $self->_trigger_error($@);
        return 0;
    }
    return 1 if eval { await $self->_emit($event); 1 };

    my $error = $@;
    $self->_set_closed('write_error');
    await $self->_trigger_error($error);
    await $self->_run_close_callbacks;
    return 0;
}

async sub keepalive {
    my ($self, $interval, $comment) = @_;
    my $event = {
        type     => 'sse.keepalive',
        interval => PAGI::EventScope::_or($interval, 0),
        comment  => PAGI::EventScope::_or($comment, ''),
    };
    my $ok = eval { await $self->{send}->($event); 1 };
    if (!$ok) {
        my $error = $@;
        # SSE-24: a server may refuse keepalive before the stream has started. Then it follows the start.
        die $error if $self->{_state} ne 'pending';
        $self->{_late_keepalive} = $event;
    }
    return $self;
}

async sub close {
    my ($self, %options) = @_;
    return $self if $self->{_state} eq 'closed' || $self->{_closing};

    my $reason = $options{reason};
    my $was_pending = $self->{_state} eq 'pending';
    $self->{_closing} = 1;
    my $ok = eval {
        await $self->{send}->({ type => 'sse.close', defined $reason ? (reason => $reason) : () });
        1;
    };
    my $error = $@;
    delete $self->{_closing};
    # SSE-9: without a stream there is nothing the server could end, and it may say so.
    die $error unless $ok || $was_pending;
    await $self->_close_once(defined $reason ? $reason : 'app_closed');
    return $self;
}

async sub run {
    my ($self) = @_;
    await $self->start;
    until ($self->is_closed) {
        await $self->_wait;
    }
    return;
}

async sub each {
    my ($self, $source, $callback) = @_;

    my $next = _iterator($source);
    await $self->start;
    my $index = 0;
    while (!$self->is_closed) {
        my @item = $next->() or last;
        my $ok = eval {
            my $result = $callback->($item[0], $index++);
            $result = await $result if blessed $result && $result->isa('Future');
            await $self->send_event(%$result) if ref $result eq 'HASH' && !$self->is_closed;
            1;
        };
        next if $ok;
        my $error = $@;
        await $self->_run_close_callbacks;
        die $error;
    }
    return $self;
}

# A function that gives a list of one item, or the empty list at the end.
sub _iterator {
    my ($source) = @_;
    if (ref $source eq 'ARRAY') {
        my $position = 0;
        return sub { return $position < @$source ? ($source->[$position++]) : () };
    }
    if (ref $source eq 'CODE') {
        return sub { my $item = $source->(); return defined $item ? ($item) : () };
    }
    my $got = defined $source ? ref $source || $source : 'undef';
    croak "each() requires arrayref or coderef, got $got";
}

async sub every {
    my ($self, $seconds, $callback) = @_;

    croak 'every() requires interval' unless defined $seconds && looks_like_number($seconds) && $seconds > 0;
    croak 'every() requires callback coderef' unless ref $callback eq 'CODE';
    croak 'every() requires Future::IO to be installed. Debian and Ubuntu have it in the package libfuture-io-perl'
        unless eval { require Future::IO; 1 };
    croak 'Future::IO backend not configured. Add to your app.pl: use Future::IO::Impl::IOAsync;'
        unless defined $Future::IO::IMPL;

    while (!$self->is_closed) {
        my $ok = eval {
            my $result = $callback->();
            await $result if blessed $result && $result->isa('Future');
            1;
        };
        if (!$ok) {
            my $error = $@;
            await $self->_close_once(undef);
            die $error;
        }
        last if $self->is_closed;

        my $sleep = Future::IO->sleep($seconds);
        weaken(my $weak = $self);
        $sleep->on_ready(sub { $weak->_wake if $weak });
        until ($sleep->is_ready || $self->is_closed) {
            await $self->_wait($sleep);
        }
        $sleep->cancel unless $sleep->is_ready;
    }
    return;
}

sub on {
    my ($self, $name, $callback) = @_;
    return $self->on_close($callback) if $name eq 'close';
    return $self->on_error($callback) if $name eq 'error';
    croak "Unknown event type: $name (expected close or error)";
}

# Waits until something has happened: an event came in (a disconnect closes the stream), close() was called, or $also, which
# calls _wake, is ready. The receive outlives the wait, so none is ever cancelled or lost, and it carries one callback
# however often is waited.
async sub _wait {
    my ($self, $also) = @_;

    my $receiving = $self->{_receiving} ||= $self->_new_receive;
    if (!$receiving->is_ready) {
        my $waker = ($also || $receiving)->new;
        push @{ $self->{_wakers} }, $waker;
        await $waker;
        $receiving = $self->{_receiving};
    }
    return unless $receiving && $receiving->is_ready;

    $self->{_receiving} = undef;
    my $event;
    my $ok = eval { $event = $receiving->get; 1 };
    if (!$ok) {
        warn "PAGI::SSE receive error: $@";
        await $self->_close_once('read_error');
    }
    elsif (!$event || PAGI::EventScope::_or($event->{type}, '') eq 'sse.disconnect') {
        await $self->_close_once(PAGI::EventScope::_or($event && $event->{reason}, 'client_closed'));
    }
    return;
}

sub _new_receive {
    my ($self) = @_;
    my $receiving = eval { _as_future($self->{receive}->()) } || Future->fail($@);
    weaken(my $weak = $self);
    $receiving->on_ready(sub { $weak->_wake if $weak });
    return $receiving;
}

# FUT-1: what receive returns may be another awaitable, of which only the AWAIT_ methods are known.
sub _as_future {
    my ($awaitable) = @_;
    return $awaitable if blessed $awaitable && $awaitable->isa('Future');
    my $future = Future->new;
    my $settle = sub {
        my @result;
        eval { @result = $awaitable->AWAIT_GET; 1 } ? $future->done(@result) : $future->fail($@);
    };
    $awaitable->AWAIT_IS_READY ? $settle->() : $awaitable->AWAIT_ON_READY($settle);
    return $future;
}

sub _wake {
    my ($self) = @_;
    my @wakers = splice @{ $self->{_wakers} };
    $_->done for grep { !$_->is_ready } @wakers;
    return;
}

sub _trigger_error {
    my ($self, $error) = @_;
    return $self->_run_error_callbacks($error, $self, $error);
}

sub _set_closed {
    my ($self, $reason) = @_;
    $self->_set_state('closed');
    $self->{_disconnect_reason} = $reason if defined $reason;
    return;
}

# The one way to the closed state while the stream is in use; the first reason stays.
async sub _close_once {
    my ($self, $reason) = @_;
    return if $self->{_state} eq 'closed';
    $self->_set_closed($reason);
    await $self->_run_close_callbacks;
    return;
}

async sub _run_close_callbacks {
    my ($self) = @_;
    await $self->SUPER::_run_close_callbacks;
    $self->_wake;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::SSE - a stream of server-sent events as an object

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::SSE;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'sse';

        my $sse = PAGI::SSE->new($scope, $receive, $send);
        $sse->on_close(sub { my ($sse, $reason) = @_; print "closed: $reason\n" });

        await $sse->keepalive(25);
        await $sse->send_event(event => 'hello', data => { resumed_from => $sse->last_event_id }, id => 1);
        await $sse->run;    # until the client leaves
    };

=head1 DESCRIPTION

Wraps scope, C<$receive> and C<$send> of an SSE scope. Methods marked I<async> return a Future; every error in them, wrong
arguments included, is a failed Future. All text is characters: the server encodes it as UTF-8.

A stream goes from C<pending> over C<started> to C<closed>. The first send starts it. To decline the request instead, send
C<sse.http.response.start> and C<sse.http.response.body> events with C<$send> before it is started.

=head1 CONSTRUCTOR

=head2 new

    my $sse = PAGI::SSE->new($scope, $receive, $send);

While an object for this scope is alive it is returned again, so several layers of an app share one state. Croaks, in this
order,

    PAGI::SSE requires scope hashref
    PAGI::SSE requires receive coderef
    PAGI::SSE requires send coderef
    PAGI::SSE requires scope type 'sse', got 'TYPE'

=head1 THE SCOPE

=head2 scope, path, raw_path, query_string, scheme, http_version, client, server, state

From the scope. C<path> is characters, C<raw_path> (which falls back to C<path>) and C<query_string> are bytes. Defaults: C<path>
C</>, C<query_string> C<''>, C<scheme> C<http>, C<http_version> C<1.1>, C<state> C<{}>.

=head2 header, header_all, headers, last_event_id

    my $value   = $sse->header('Origin');      # last value, or undef
    my @values  = $sse->header_all('Cookie');
    my $headers = $sse->headers;               # Hash::MultiValue, lower-case keys
    my $id      = $sse->last_event_id;         # of a reconnecting client, or undef

=head2 path_params, path_param

The captures of the router as a hashref, C<{}> without one; a single capture, or undef.

=head2 query_params, query_param, raw_query_params, raw_query_param

    my $params = $sse->query_params(strict => 0, raw => 0);    # Hash::MultiValue
    my $room   = $sse->query_param('room');                    # last value, or undef

Decoded as UTF-8, bad bytes becoming U+FFFD. C<strict> dies on them instead; C<raw>, and the two C<raw_> methods, leave bytes.
Another option croaks C<Unknown options to query_params: NAME>.

=head2 buffered_amount, high_water_mark, low_water_mark, is_writable, on_high_water, on_drain

Flow control, see L<PAGI::Transport>.

=head2 connection_state, is_started, is_connected, is_closed

C<pending>, C<started> or C<closed>; 1 or 0. C<is_connected> is another name of C<is_started>.

=head2 disconnect_reason

Why the stream ended: the server's token such as C<client_closed>, the reason given to C<close>, C<app_closed>, C<write_error>
or C<read_error>. Undef before.

=head1 SENDING

=head2 start

    await $sse->start(status => 200, headers => \@pairs);

Async; resolves to the object. Does nothing when started or closed.

=head2 send

    await $sse->send($text);

Async; resolves to the object. One event with only C<data>.

=head2 send_json

    await $sse->send_json($data);

Async; resolves to the object. One event with JSON as C<data>.

=head2 send_event

    await $sse->send_event(data => $text_or_data, event => $name, id => $id, retry => $milliseconds);

Async; resolves to the object. C<data> is required (C<send_event requires 'data' parameter>); a reference becomes JSON. C<retry> is cut to
an integer. Undefined options are left out. The server refuses line breaks in C<event> and C<id>.

=head2 send_comment

    await $sse->send_comment($text);

Async; resolves to the object. A comment, invisible to the application in the browser.

All four start the stream if need be and fail with C<Cannot send on closed SSE connection> after the end.

=head2 try_send, try_send_json, try_send_event, try_send_comment

    my $ok = await $sse->try_send($text);

Async; resolve to 1, or to 0 when the stream is closed or the attempt failed. A failing send closes the stream with the reason
C<write_error>: C<on_error> callbacks run, then C<on_close> callbacks. Data that cannot be encoded only runs C<on_error>.
C<try_send_event> without C<data> sends an empty one.

=head2 keepalive

    await $sse->keepalive($interval, $comment);

Async; resolves to the object. Asks the server to send a comment every C<$interval> seconds (fractions allowed; 0, the default,
stops). May be called before the start.

=head2 close

    await $sse->close(reason => $text);

Async; resolves to the object. Ends the stream and runs the C<on_close> callbacks with the reason (default C<app_closed>), which the
client never sees. Wakes C<run> and C<every>. Does nothing when closed already.

=head1 LOOPS

=head2 run

    await $sse->run;

Async; starts the stream if need be and waits for its end. When receiving fails it warns C<PAGI::SSE receive error: ...>, closes
with the reason C<read_error> and returns.

=head2 each

    await $sse->each(\@items, async sub { my ($item, $index) = @_; return { event => 'item', data => $item } });

Async; resolves to the object. Calls back for every item of an array, or for everything a code reference returns until it returns
undef. A hashref that the callback returns, or its Future resolves to, goes to C<send_event>. Stops when the stream is closed. If the callback
dies, the C<on_close> callbacks run and the Future fails with its error. Fails with
C<each() requires arrayref or coderef, got TYPE>.

=head2 every

    await $sse->every($seconds, async sub { await $sse->send(time) });

Async; calls back, waits C<$seconds> (fractions allowed), and so on until the stream is closed; a client that leaves ends the wait at
once. If the callback dies the stream is closed, the C<on_close> callbacks run and the Future fails with its error. Needs
L<Future::IO> with a configured implementation. Fails with

    every() requires interval
    every() requires callback coderef
    every() requires Future::IO to be installed. ...
    Future::IO backend not configured. Add to your app.pl: ...

=head1 CALLBACKS

They may be plain or async, run in the order of registration, and are all released at the end. Each method returns the object.

=head2 on_close

    $sse->on_close(sub { my ($sse, $reason) = @_; ... });

Runs once; the reason is C<unknown> if there is none. Exceptions are warned about as
C<PAGI::SSE on_close callback error: ...>. Registering after the end has no effect.

=head2 on_error

    $sse->on_error(sub { my ($sse, $error) = @_; ... });

For failures of the C<try_> methods. Without one they are warned about as C<PAGI::SSE error: ...>; its own exceptions as
C<PAGI::SSE on_error callback error: ...>.

=head2 on

    $sse->on(close => $code)->on(error => $code);

The same by name; another name croaks C<Unknown event type: NAME (expected close or error)>.

=head1 SEE ALSO

L<PAGI::WebSocket>, L<PAGI::Context>, L<PAGI::Endpoint::SSE>, L<PAGI::Test::SSE>

=cut
