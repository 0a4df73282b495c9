package PAGI::Test::SSE;

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
    $self->{_started}    = undef;    # the sse.start event
    $self->{_app_closed} = 0;
    $self->{_reason}     = 'client_closed';
    return $self;
}

sub status  { return $_[0]{_started} ? $_[0]{_started}{status} : undef }
sub headers { return $_[0]{_started} ? $_[0]{_started}{headers} : [] }

sub receive_event {
    my ($self, %options) = @_;

    if (!@{ $self->{_outbox} } && !$self->{_closed} && $options{timeout}) {
        $self->_drive(sub { @{ $self->{_outbox} } || $self->{_closed} }, $options{timeout});
    }
    if (my $event = shift @{ $self->{_outbox} }) {
        return { map { $_ => $event->{$_} } qw(event data id retry) };
    }
    return undef if $self->{_closed};
    croak 'Timeout waiting for SSE event' . $self->_why;
}

sub receive_json {
    my ($self, %options) = @_;
    my $event = $self->receive_event(%options);
    return defined $event ? PAGI::Utils::TextJSON::decode($event->{data}) : undef;
}

sub comments {
    my ($self) = @_;
    return map { $_->{comment} } grep { $_->{type} eq 'sse.comment' } @{ $self->{_sent} };
}

sub close {
    my ($self) = @_;
    return $self if $self->{_closed};
    $self->{_closed} = 1;
    $self->_pump;
    return $self;
}

sub is_closed { return $_[0]{_closed} }

sub _family           { return 'sse' }
sub _open_error       { return 'SSE connection not started' }
sub _is_open          { return defined $_[0]{_started} }
sub _disconnect_event { return { type => 'sse.disconnect', reason => $_[0]{_reason} } }

sub _accept_event {
    my ($self, $event) = @_;

    my $type = $event->{type};
    # SSE-27: only the application's own close makes later sends fail.
    return $type eq 'sse.close' ? Future->done : Future->fail("$type after sse.close\n") if $self->{_app_closed};
    return Future->done if $self->{_closed};

    if ($type eq 'sse.start') {
        $self->{_started} ||= {
            status  => defined $event->{status} ? $event->{status} : 200,
            headers => $event->{headers} || [],
        };
    }
    elsif ($type eq 'sse.send') {
        return Future->fail("sse.send before sse.start\n") unless $self->{_started};    # SSE-9
        push @{ $self->{_outbox} }, $event;
    }
    elsif ($type eq 'sse.close') {
        # SSE-29: the reason surfaces in the disconnect event.
        $self->{_reason} = defined $event->{reason} ? $event->{reason} : '';
        $self->{_closed} = $self->{_app_closed} = 1;
    }
    return Future->done;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Test::SSE - the client side of a stream of server-sent events in a test

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::SSE;
    use PAGI::Test::Client;

    my $client = PAGI::Test::Client->new(app => async sub {
        my ($scope, $receive, $send) = @_;
        my $sse = PAGI::SSE->new($scope, $receive, $send);
        await $sse->send_event(event => 'tick', data => { n => 1 }, id => 7);
        await $sse->run;
    });

    my $sse = $client->sse('/events');
    my $event = $sse->receive_event;
    print "$event->{event} $event->{id} $event->{data}\n";    # tick 7 {"n":1}
    $sse->close;

=head1 DESCRIPTION

Made by L<PAGI::Test::Client/sse>. Methods of L<PAGI::Test::Connection> (C<sent_events>, C<is_finished>, C<exception>,
C<response>) are there too; keepalive settings, for instance, are found among the C<sent_events>.

=head1 METHODS

=head2 new

    PAGI::Test::SSE->new(app => $coderef, scope => \%scope, decline_ok => 0);

Croaks C<app is required> or C<scope is required>.

=head2 status, headers

Status and header pairs of C<sse.start>; undef and an empty arrayref before it.

=head2 receive_event

    my $event = $sse->receive_event;
    my $event = $sse->receive_event(timeout => $seconds);

The next unread event as a hashref with the keys C<event>, C<data>, C<id> and C<retry> (undef where the app gave none). Undef
when there is none and the stream is closed. Otherwise croaks C<Timeout waiting for SSE event>: at once without C<timeout>,
else after letting the event loop behind L<Future::IO> run that long.

=head2 receive_json

    my $data = $sse->receive_json(timeout => $seconds);

The C<data> of the next event, decoded; undef when closed.

=head2 comments

The list of comment texts sent so far.

=head2 close

Disconnects; the app receives C<sse.disconnect> with the reason C<client_closed>. Harmless when closed already. Returns the
object.

=head2 is_closed

1 after C<close> here or C<sse.close> from the app, else 0.

=head1 SEE ALSO

L<PAGI::Test::Client>, L<PAGI::SSE>

=cut
