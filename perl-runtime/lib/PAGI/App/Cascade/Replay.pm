package PAGI::App::Cascade::Replay;

use strict;
use warnings;

sub new {
    my ($class, $receive) = @_;
    return bless { source => $receive, events => [], keep => 1 }, $class;
}

sub stop { $_[0]{keep} = 0; return }

# Every receive coderef begins with the first event again. Futures are kept, not events: one that is still pending when
# its app has ended is the next app's too.
sub receive {
    my ($self) = @_;
    my $next = 0;
    my $events = $self->{events};
    return sub {
        if ($next >= @$events) {
            return $self->{source}->() unless $self->{keep};
            push @$events, $self->{source}->();
        }
        my $event = $events->[$next++];
        return $event if $event->is_ready;
        # RECV-7: cancelling a receive takes no event.
        return $event->without_cancel->on_cancel(sub { $next-- });
    };
}

sub final_receive {
    my ($self) = @_;
    $self->stop;
    return @{ $self->{events} } ? $self->receive : $self->{source};
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Cascade::Replay - request events that several apps can read

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::App::Cascade::Replay;

    my $replay = PAGI::App::Cascade::Replay->new(sub { Future->done({ type => 'http.request', body => 'x' }) });
    print $replay->receive->()->get->{body}, "\n" for 1 .. 2;    # x, twice

=head1 METHODS

=head2 new($receive)

Takes the receive coderef of the request.

=head2 receive

A receive coderef that begins with the first event.

=head2 stop

Further events are no longer kept.

=head2 final_receive

C<stop>, and a receive coderef for the last reader.

=cut
