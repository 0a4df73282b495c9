package PAGI::Test::WebSocket;

use strict;
use warnings;

use parent 'PAGI::Test::Connection';

use Carp qw(croak);
use Future;
use PAGI::Utils::TextJSON ();

our @CARP_NOT = qw(PAGI::Test::Client PAGI::Test::Connection);

sub new {
    my ($class, %args) = @_;
    my $self = $class->SUPER::new(%args);
    $self->{_inbox}      = [{ type => 'websocket.connect' }];
    $self->{_accepted}   = undef;    # the websocket.accept event
    $self->{_app_closed} = 0;
    $self->{_code}       = undef;
    $self->{_reason}     = '';
    return $self;
}

sub send_text  { return $_[0]->_send_frame(text  => $_[1]) }
sub send_bytes { return $_[0]->_send_frame(bytes => $_[1]) }
sub send_json  { return $_[0]->_send_frame(text  => PAGI::Utils::TextJSON::encode($_[1])) }

sub receive_text  { return $_[0]->_receive_frame(text  => $_[1]) }
sub receive_bytes { return $_[0]->_receive_frame(bytes => $_[1]) }

sub receive_json {
    my ($self, $timeout) = @_;
    my $text = $self->_receive_frame(text => $timeout);
    return defined $text ? PAGI::Utils::TextJSON::decode($text) : undef;
}

sub close {
    my ($self, $code, $reason) = @_;
    return $self if $self->{_closed};
    $self->_set_closed($code, $reason);
    $self->_pump;
    return $self;
}

sub close_code   { return $_[0]{_code} }
sub close_reason { return $_[0]{_reason} }
sub is_closed    { return $_[0]{_closed} }

sub subprotocol {
    my ($self) = @_;
    return $self->{_accepted} ? $self->{_accepted}{subprotocol} : undef;
}

sub _send_frame {
    my ($self, $kind, $payload) = @_;
    croak 'Cannot send on closed WebSocket' if $self->{_closed};
    $self->_deliver({ type => 'websocket.receive', $kind => $payload });
    return $self;
}

sub _receive_frame {
    my ($self, $kind, $timeout) = @_;

    my $find = sub {
        for my $i (0 .. $#{ $self->{_outbox} }) {
            return splice(@{ $self->{_outbox} }, $i, 1)->{$kind} if defined $self->{_outbox}[$i]{$kind};
        }
        return undef;
    };
    my $frame = $find->();
    return $frame if defined $frame;
    if ($timeout && !$self->{_closed}) {
        $self->_drive(sub { defined $frame || defined($frame = $find->()) || $self->{_closed} }, $timeout);
        return $frame if defined $frame;
    }
    return undef if $self->{_closed};
    croak "Timeout waiting for WebSocket $kind message" . $self->_why;
}

sub _family     { return 'websocket' }
sub _open_error { return 'WebSocket connection not accepted' }
sub _is_open    { return defined $_[0]{_accepted} }

sub _disconnect_event {
    my ($self) = @_;
    my $code = defined $self->{_code} ? $self->{_code} : 1006;
    return { type => 'websocket.disconnect', code => $code, reason => $self->{_reason} };
}

sub _accept_event {
    my ($self, $event) = @_;

    my $type = $event->{type};
    # WS-33: the application's own close makes later sends fail, a client that went away makes them silent.
    return Future->fail("$type after websocket.close\n") if $self->{_app_closed};
    return Future->done if $self->{_closed};

    if ($type eq 'websocket.accept') {
        $self->{_accepted} = $event;
    }
    elsif ($type eq 'websocket.send') {
        return Future->fail("websocket.send before websocket.accept\n") unless $self->{_accepted};
        push @{ $self->{_outbox} }, $event;
    }
    elsif ($type eq 'websocket.close') {
        $self->{_app_closed} = 1;
        # WS-9: closing instead of accepting rejects the handshake.
        $self->{_decline} = { status => 403, headers => [], body => '' } unless $self->{_accepted};
        $self->_set_closed($event->{code}, $event->{reason});
    }
    return Future->done;
}

sub _set_closed {
    my ($self, $code, $reason) = @_;
    $self->{_closed} = 1;
    $self->{_code}   = defined $code ? $code : 1000;
    $self->{_reason} = defined $reason ? $reason : '';
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Test::WebSocket - the client side of a WebSocket session in a test

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Test::Client;
    use PAGI::WebSocket;

    my $client = PAGI::Test::Client->new(app => async sub {
        my ($scope, $receive, $send) = @_;
        my $ws = PAGI::WebSocket->new($scope, $receive, $send);
        await $ws->accept;
        await $ws->each_text(async sub { await $ws->send_text("echo: $_[0]") });
    });

    my $ws = $client->websocket('/echo');
    print $ws->send_text('hello')->receive_text, "\n";    # echo: hello
    $ws->close;
    print $ws->close_code, "\n";                          # 1000

=head1 DESCRIPTION

Made by L<PAGI::Test::Client/websocket>. Everything is synchronous: sending runs the app until it waits for the next message.
Methods of L<PAGI::Test::Connection> (C<sent_events>, C<is_finished>, C<exception>, C<response>) are there too.

=head1 METHODS

=head2 new

    PAGI::Test::WebSocket->new(app => $coderef, scope => \%scope, decline_ok => 0);

Croaks C<app is required> or C<scope is required>.

=head2 send_text, send_bytes

    $ws->send_text($characters)->send_bytes($bytes);

Deliver a message to the app. Return the object. Croak C<Cannot send on closed WebSocket>.

=head2 send_json

Sends data as JSON in a text message (characters, not UTF-8 bytes).

=head2 receive_text, receive_bytes

    my $message = $ws->receive_text;
    my $message = $ws->receive_text($seconds);

The first unread message of that kind; messages of the other kind stay queued. Undef when there is none and the session is
closed. Otherwise croaks C<Timeout waiting for WebSocket text message> (or C<bytes message>): at once without C<$seconds>, else
after letting the event loop behind L<Future::IO> run that long. Messages sent before the close can still be read.

=head2 receive_json

The same for a text message, decoded.

=head2 close

    $ws->close($code, $reason);

Closes from the client side, by default with 1000 and C<''>. Harmless when closed already. Returns the object.

=head2 close_code, close_reason

Of whoever closed first; undef and C<''> while open.

=head2 is_closed

1 after a close by either side, else 0.

=head2 subprotocol

The subprotocol the app accepted with, or undef.

=head1 SEE ALSO

L<PAGI::Test::Client>, L<PAGI::WebSocket>

=cut
