package PAGI::Test::Connection;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use PAGI::Test::Loop;
use PAGI::Test::Response;
use Scalar::Util qw(blessed weaken);

our @CARP_NOT = qw(PAGI::Test::Client PAGI::Test::WebSocket PAGI::Test::SSE);

my $START_SECONDS = 5;    # for an app that waits on real I/O before it opens the connection

# What PAGI::Test::WebSocket and PAGI::Test::SSE share: running the app, feeding its receive, recording its sends. A
# subclass provides _family (event prefix of a declined connection), _open_error, _is_open, _accept_event and
# _disconnect_event.

sub new {
    my ($class, %args) = @_;
    croak 'app is required'   unless $args{app};
    croak 'scope is required' unless $args{scope};
    return bless {
        app         => $args{app},
        scope       => $args{scope},
        decline_ok  => $args{decline_ok} ? 1 : 0,
        _future     => undef,
        _inbox      => [],       # events the app has not received yet
        _waiting    => [],       # its pending receives, first in first out (RECV-6)
        _sent       => [],       # every event it sent
        _outbox     => [],       # those the test has not read yet
        _closed     => 0,        # nothing but the disconnect event is left to receive
        _decline    => undef,    # { status, headers, body } of a response sent instead of opening
    }, $class;
}

sub _start {
    my ($self) = @_;

    # Weak: the suspended app holds these closures and is itself held by this object.
    weaken(my $weak = $self);
    $self->{_future} = eval {
        my $future = $self->{app}->(
            $self->{scope},
            sub { return $weak ? $weak->_receive        : Future->new },
            sub { return $weak ? $weak->_send({ %{ $_[0] } }) : Future->done },
        );
        die "the application did not return a Future\n" unless blessed $future && $future->isa('Future');
        $future;
    } || Future->fail($@);
    $self->_pump;

    $self->_drive(sub { $self->_is_open || $self->{_closed} || $self->_is_parked }, $START_SECONDS) unless $self->_is_open;
    return $self if $self->_is_open;

    $self->{_closed} = 1;
    return $self if $self->{decline_ok};
    croak $self->_open_error . $self->_why;
}

# Why there is no connection, or no more events, for the end of an error message.
sub _why {
    my ($self) = @_;
    if (defined(my $error = $self->exception)) {
        $error =~ s/\s+\z//;
        return " (the application died: $error)";
    }
    return " (the application answered with HTTP $self->{_decline}{status})" if $self->{_decline};
    return $self->is_finished ? ' (the application has returned)' : '';
}

sub sent_events { return @{ $_[0]{_sent} } }

sub is_finished {
    my ($self) = @_;
    return $self->{_future} && $self->{_future}->is_ready ? 1 : 0;
}

sub exception {
    my ($self) = @_;
    my $future = $self->{_future};
    return $future && $future->is_failed ? scalar $future->failure : undef;
}

sub response {
    my ($self) = @_;
    return PAGI::Test::Response->new(%{ $self->{_decline} }) if $self->{_decline};
    return undef if $self->_is_open;
    # No answer at all is a 500 on every server (WS-12, SSE-30).
    return PAGI::Test::Response->new(
        status    => 500,
        headers   => [['content-type', 'text/plain']],
        body      => 'Internal Server Error',
        exception => $self->exception,
    );
}

sub _receive {
    my ($self) = @_;
    return Future->done(shift @{ $self->{_inbox} }) if @{ $self->{_inbox} };
    return Future->done($self->_disconnect_event)   if $self->{_closed};
    push @{ $self->{_waiting} }, my $future = Future->new;
    return $future;
}

# Called after every action of the test, not from within a send of the app: a server does not resume the app there either.
sub _pump {
    my ($self) = @_;
    while (@{ $self->{_waiting} }) {
        last unless @{ $self->{_inbox} } || $self->{_closed};
        my $future = shift @{ $self->{_waiting} };
        # A cancelled receive takes no event with it (RECV-7).
        next if $future->is_ready;
        $future->done(@{ $self->{_inbox} } ? shift @{ $self->{_inbox} } : $self->_disconnect_event);
    }
    return;
}

sub _deliver {
    my ($self, $event) = @_;
    push @{ $self->{_inbox} }, $event;
    $self->_pump;
    return;
}

sub _send {
    my ($self, $event) = @_;
    push @{ $self->{_sent} }, $event;

    my $family = $self->_family;
    if ($event->{type} eq "$family.http.response.start") {
        return Future->fail("$event->{type} after the connection was opened\n") if $self->_is_open;
        $self->{_decline} ||= { status => $event->{status}, headers => $event->{headers} || [], body => '' };
        return Future->done;
    }
    if ($event->{type} eq "$family.http.response.body") {
        return Future->fail("$event->{type} before $family.http.response.start\n") unless $self->{_decline};
        $self->{_decline}{body} .= defined $event->{body} ? $event->{body} : '';
        return Future->done;
    }
    return $self->_accept_event($event);
}

sub _is_parked {
    my ($self) = @_;
    return scalar grep { !$_->is_ready } @{ $self->{_waiting} };
}

# Gives an app that waits on the event loop the time to come to the condition.
sub _drive {
    my ($self, $condition, $seconds) = @_;
    return $condition->() unless PAGI::Test::Loop::is_in_use();
    return PAGI::Test::Loop::run_until(sub { $self->_pump; $condition->() || $self->is_finished }, $seconds) && $condition->();
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Test::Connection - what the test objects for WebSocket and SSE have in common

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Test::Client;

    my $client = PAGI::Test::Client->new(app => async sub {
        my ($scope, $receive, $send) = @_;
        await $send->({ type => 'sse.http.response.start', status => 404, headers => [['content-type', 'text/plain']] });
        await $send->({ type => 'sse.http.response.body', body => 'no such stream' });
    });

    my $declined = $client->sse('/nowhere', decline_ok => 1);
    print $declined->response->status, "\n";    # 404

=head1 DESCRIPTION

Base class of L<PAGI::Test::WebSocket> and L<PAGI::Test::SSE>.

=head1 METHODS

=head2 new

    CLASS->new(app => $coderef, scope => \%scope, decline_ok => 0);

Croaks C<app is required> or C<scope is required>. The app is not called yet; the client does that.

=head2 sent_events

The list of all events the app has sent, as hashrefs, in order.

=head2 is_finished

1 when the app has returned or died, else 0.

=head2 exception

What the app died with, or undef.

=head2 response

The L<PAGI::Test::Response> the app gave instead of opening the connection, undef when it did open it. An app that answered
nothing counts as a 500 that carries the app's C<exception>.

=head1 SEE ALSO

L<PAGI::Test::Client>

=cut
