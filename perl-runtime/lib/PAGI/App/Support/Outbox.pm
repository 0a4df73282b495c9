package PAGI::App::Support::Outbox;

use strict;
use warnings;

use Future;
use Scalar::Util qw(blessed);

my $LIMIT = 1000;    # events waiting for one slow client

sub new {
    my ($class, %args) = @_;
    return bless {
        send    => $args{send},
        on_lost => $args{on_lost},
        limit   => $args{limit} // $LIMIT,
        queue   => [],
        busy    => undef,    # the Future of the send under way
        lost    => 0,
        drained => undef,
    }, $class;
}

sub is_lost { $_[0]{lost} }

# SEND-12: one send at a time; what comes meanwhile waits here, so that a slow client does not hold up the others.
sub post {
    my ($self, $event) = @_;
    return if $self->{lost};
    if (!$self->{busy}) {
        $self->_send($event);
    }
    elsif (@{ $self->{queue} } >= $self->{limit}) {
        $self->lose;
    }
    else {
        push @{ $self->{queue} }, $event;
    }
    return;
}

sub drained {
    my ($self) = @_;
    return Future->done unless $self->{busy};
    return $self->{drained} ||= Future->new;
}

sub lose {
    my ($self) = @_;
    return if $self->{lost}++;
    @{ $self->{queue} } = ();
    my $on_lost = delete $self->{on_lost};
    $on_lost->() if $on_lost;
    return;
}

sub _send {
    my ($self, $event) = @_;
    while ($event) {
        my $sent = eval { $self->{send}->($event) };
        if (!blessed $sent || ($sent->is_ready && !$sent->is_done)) {
            $self->lose;
            last;
        }
        if (!$sent->is_ready) {
            $self->{busy} = $sent;
            $sent->on_ready(sub {
                $self->{busy} = undef;
                $self->lose unless $sent->is_done;
                $self->_send(shift @{ $self->{queue} });
            });
            return;
        }
        $event = shift @{ $self->{queue} };
    }
    my $drained = delete $self->{drained};
    $drained->done if $drained && !$drained->is_ready;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Support::Outbox - events to one client, in order and without waiting

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::App::Support::Outbox;

    my $send   = sub { my ($event) = @_; return Future->done };
    my $outbox = PAGI::App::Support::Outbox->new(send => $send, on_lost => sub { print "client lost\n" });
    $outbox->post({ type => 'websocket.send', text => 'hello' });

=head1 METHODS

=head2 new

C<send> is the coderef of the scope; C<on_lost> is called once when a send fails or more than C<limit> events (default 1000) wait.

=head2 post($event)

Sends the event now, or when those before it have been taken. A lost outbox drops it.

=head2 drained

A Future that is done when nothing waits any more.

=head2 lose

Drops what waits and all later events, and calls C<on_lost>.

=head2 is_lost

Whether the client is lost.

=cut
