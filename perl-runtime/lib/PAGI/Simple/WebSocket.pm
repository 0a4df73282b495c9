package PAGI::Simple::WebSocket;

use strict;
use warnings;

use parent 'PAGI::Simple::Connection';

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::Simple::Callback;
use PAGI::WebSocket;
use Scalar::Util qw(weaken);

sub _events  { return qw(open message close error) }
sub _opening { return 'open' }

sub new {
    my ($class, $c, $route) = @_;
    my $self = $class->SUPER::new($c, $route);
    my $socket = $self->{socket} = PAGI::WebSocket->new(@$c{qw(scope receive send)});
    weaken(my $weak = $self);
    $socket->on_close(sub { $weak ? $weak->cleanup : () });
    # everybody on this route is reached by a broadcast without a room
    $self->{everybody} = "\0websocket:$route->{path}";
    return $self;
}

sub is_closed { return $_[0]{socket}->is_closed }

# --- opening

# Accepting waits until something needs an open connection, at the latest the end of the route's callback: so that
# callback may still choose a subprotocol or decline (defect 28).
# Its Future is kept, so it must not hold this object.
sub accept {
    my ($self, %options) = @_;
    return $self->{accepting} ||= $self->_accept(%options);
}

async sub _accept {
    my ($self, %options) = @_;
    return if $self->is_closed;
    my @headers = (@{ $self->{c}{headers} }, @{ $options{headers} || [] });
    await $self->{socket}->accept(
        (defined $options{subprotocol} ? (subprotocol => $options{subprotocol}) : ()),
        (@headers ? (headers => \@headers) : ()),
    );
    return if $self->is_closed;
    $self->{opened} = 1;
    $self->_enter($self->{everybody});
    await $self->_fire('open');
    $self->{callbacks}{open} = [];
    return;
}

sub deny {
    my ($self, %options) = @_;
    croak 'The WebSocket is accepted already; use close' if $self->{accepting};
    $self->{accepting} = Future->done;
    return $self->{denied} = $self->{socket}->deny(%options);
}

sub subprotocols { return $_[0]{socket}->subprotocols }

# --- sending

sub send {
    my ($self, $data, %options) = @_;
    return $self->_send_event($options{binary} ? (bytes => $data) : (text => $self->_text($data)));
}

sub send_json {
    my ($self, $data) = @_;
    return $self->_send_event(text => $self->_json($data));
}

sub _send_event {
    my ($self, $kind, $payload) = @_;
    return Future->done($self) if $self->is_closed || $self->{denied};
    my $method = "send_$kind";
    return $self->{socket}->$method($payload) if $self->{opened};
    my $sent = $self->accept->then(sub {
        return $self->is_closed ? Future->done($self) : $self->{socket}->$method($payload);
    });
    $self->_hold(send => $sent);
    return $sent;
}

sub _deliver { return $_[0]->send($_[1]) }

sub close {
    my ($self, $code, $reason) = @_;
    return $self->{closing} if $self->{closing};
    return Future->done($self) if $self->is_closed || $self->{denied};
    return $self->{closing} = $self->_close($code, $reason);
}

async sub _close {
    my ($self, $code, $reason) = @_;
    # before the handshake is over a close would only refuse it, and the code would be lost
    await $self->accept unless $self->{opened};
    await $self->{socket}->close(defined $code ? $code : 1000, defined $reason ? $reason : '');
    return;
}

# --- rooms

sub join      { return $_[0]->_enter($_[1]) }
sub leave     { return $_[0]->_exit($_[1]) }
sub rooms     { return $_[0]->_channels }
sub in_room   { return exists $_[0]{members}{ $_[1] } ? 1 : 0 }

sub leave_all {
    my ($self) = @_;
    $self->_exit($_) for $self->_channels;
    return $self;
}

sub subscribe {
    my ($self, $channel, $callback) = @_;
    return $self->_enter($channel, $callback);
}

# ($room, $message), or ($message) to everybody connected to this route.
sub _audience { my ($self, @args) = @_; return @args == 1 ? ($self->{everybody}, $args[0]) : @args[0, 1] }

sub broadcast              { my ($self, @args) = @_; return $self->_publish($self->_audience(@args)) }
sub broadcast_others       { my ($self, @args) = @_; return $self->_publish($self->_audience(@args), 1) }
sub broadcast_async        { my ($self, @args) = @_; return $self->_publish_async($self->_audience(@args)) }
sub broadcast_others_async { my ($self, @args) = @_; return $self->_publish_async($self->_audience(@args), 1) }

# --- the life of the connection after the route's callback

async sub serve {
    my ($self) = @_;
    if ($self->{denied}) {
        await $self->{denied};
        return;
    }
    await $self->accept;
    while (my $event = await $self->{socket}->receive) {
        my ($data, $kind) = defined $event->{text} ? ($event->{text}, 'text') : ($event->{bytes}, 'binary');
        next unless defined $data;
        await $self->_message($data, $kind);
    }
    return;
}

# One message at a time: a slow callback makes the sender wait.
async sub _message {
    my ($self, $data, $kind) = @_;
    my @callbacks = @{ $self->{callbacks}{message} };
    while (my $callback = shift @callbacks) {
        my $fit = PAGI::Simple::Callback::arity($callback, 2);
        next if eval {
            my $result = $fit == 2 ? $callback->($data, $kind) : $fit == 1 ? $callback->($data) : $callback->();
            await $result if PAGI::Simple::Callback::is_future($result);
            1;
        };
        my $error = $@;
        await $self->_report($error);
    }
    return;
}

# The route's callback, or the connection, failed. Before the handshake is over that can still be said as HTTP.
async sub failed {
    my ($self, $error) = @_;
    my $text = "$error";
    $text .= "\n" unless $text =~ /\n\z/;
    if (!$self->{accepting} && !$self->is_closed) {
        require PAGI::Simple::ErrorPage;
        await PAGI::Simple::ErrorPage->for_exception($self->{c}, $error);
        return;
    }
    warn "PAGI application error: $text";
    return if $self->is_closed;
    eval { await $self->{socket}->close(1011, 'Internal error'); 1 } or warn "PAGI::Simple::WebSocket close failed: $@";
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::WebSocket - a WebSocket connection

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Chat', quiet => 1);
    $app->websocket('/chat/:room' => sub {
        my ($ws) = @_;
        my $room = $ws->param('room');
        $ws->join($room);
        $ws->on(open    => sub { $ws->send("Welcome to $room") });
        $ws->on(message => sub { my ($text) = @_; $ws->broadcast($room, $text) });
        $ws->on(close   => sub { $ws->broadcast($room, 'Somebody left') });
    });

=head1 DESCRIPTION

The callback of the route registers what should happen and returns; then messages are read until the connection ends. It runs B<before> the
handshake is answered: the connection is accepted when the callback returns, or earlier when something is sent. Hooks and middleware
run before it.

An exception in the callback is answered like that of an HTTP handler, or closes an accepted connection with 1011.

Text is characters, binary messages are bytes. References are sent as JSON. What L<PAGI::Simple::Connection> offers works here: C<app>, C<c>, C<stash>,
C<param>, C<session>, C<service>, C<pubsub>.

=head1 METHODS

=head2 new

Made by the framework.

=head2 accept

    await $ws->accept(subprotocol => 'chat.v1', headers => [ [ 'x-node', 'a' ] ]);

Accepts now. Optional. A Future.

=head2 subprotocols

Arrayref of what the client offers.

=head2 deny

    return $ws->deny(status => 403, headers => \@pairs, body => $bytes);

Declines with an HTTP response. A Future. Dies when the connection is accepted.

=head2 on

    $ws->on(open => sub { ... })->on(message => sub { my ($data, $kind) = @_; ... });

Events: C<open> (no arguments; at once if it is open), C<message> (the data, and C<text> or C<binary> if the callback takes two arguments), C<close> (no
arguments), C<error> (an exception of a message callback; the connection goes on). Several callbacks run in order, each is awaited.

=head2 send, send_json

    $ws->send($text);
    $ws->send($bytes, binary => 1);
    $ws->send({ type => 'note' });

Futures, which may be ignored. Do nothing after the end.

=head2 close

    $ws->close($code, $reason);

A Future. 1000 and C<''> by default.

=head2 is_closed

1 after the end, whoever ended it.

=head2 join, leave, leave_all, rooms, in_room

    $ws->join('red')->leave('blue');

Membership of rooms, left by itself at the end. C<join>, C<leave> and C<leave_all> return the object.

=head2 broadcast, broadcast_others

    my $count = $ws->broadcast($room, $message);
    my $count = $ws->broadcast($message);

To all in a room (be it joined or not), or to everybody connected to the same route; C<_others> leaves this connection out. Return the number of recipients in
this process at once.

=head2 broadcast_async, broadcast_others_async

The same, as a Future of the number of recipients in all processes.

=head2 subscribe

    $ws->subscribe('news' => sub { my ($message) = @_; ... });

Like C<join>, with a callback instead of sending.

=head2 serve, failed

What the framework calls after the callback, and after an exception.

=cut
