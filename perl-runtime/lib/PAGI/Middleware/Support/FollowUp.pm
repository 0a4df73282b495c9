package PAGI::Middleware::Support::FollowUp;

use strict;
use warnings;

use Exporter qw(import);
use Future;

our @EXPORT_OK = qw(with_follow_up);

sub with_follow_up {
    my ($send, $after, $follow_up, $on_error) = @_;
    my $sent_once = 0;
    my $follow = sub {
        $sent_once = 1;
        # A refused extra event must not take the stream down with it.
        return $send->({%$follow_up})->else(sub { my ($error) = @_; $on_error->($error); Future->done });
    };
    return sub {
        my ($event) = @_;
        my $sent = $send->($event);
        return $sent if $sent_once || ref $event ne 'HASH' || ($event->{type} // '') ne $after;
        # SEND-10: a start that was refused has not happened; the corrected one counts.
        return $sent->then($follow);
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::FollowUp - send one event of our own once a stream is open

=head1 SYNOPSIS

    use PAGI::Middleware::Support::FollowUp qw(with_follow_up);

    my $send  = sub { my ($event) = @_; ... };
    my $send2 = with_follow_up($send, 'sse.start',
        { type => 'sse.keepalive', interval => 15, comment => '' }, sub { warn $_[0] });

=head1 FUNCTIONS

=head2 with_follow_up($send, $after, \%event, $on_error)

A send coderef that sends the event once, after the first event of type C<$after> has been taken. If that
fails, C<$on_error> is called with the error and nothing else happens.

=cut
