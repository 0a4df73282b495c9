package PAGI::Middleware::Support::Keepalive;

use strict;
use warnings;

use Exporter qw(import);
use Future;

our @EXPORT_OK = qw(with_keepalive);

sub with_keepalive {
    my ($send, $after, $keepalive, $on_error) = @_;
    my $asked = 0;
    my $ask = sub {
        # A refused heartbeat must not take the stream down with it.
        return $send->({%$keepalive})->else(sub { my ($error) = @_; $on_error->($error); Future->done });
    };
    return sub {
        my ($event) = @_;
        return $send->($event)
            if $asked || ref $event ne 'HASH' || ($event->{type} // '') ne $after;
        my $sent = $send->($event);
        return $sent if $sent->is_failed;
        $asked = 1;
        return $sent->then($ask);
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::Keepalive - ask the server for keepalive once a stream is open

=head1 SYNOPSIS

    use PAGI::Middleware::Support::Keepalive qw(with_keepalive);

    my $send  = sub { my ($event) = @_; ... };
    my $send2 = with_keepalive($send, 'sse.start',
        { type => 'sse.keepalive', interval => 15, comment => '' }, sub { warn $_[0] });

=head1 FUNCTIONS

=head2 with_keepalive($send, $after, \%event, $on_error)

A send coderef that sends the event once, after the first event of type C<$after> has been taken. If that
fails, C<$on_error> is called with the error and nothing else happens.

=cut
