package PAGI::Middleware::Support::Reply;

use strict;
use warnings;

use Exporter qw(import);
use Future;

our @EXPORT_OK = qw(reply in_turn);

my %FAMILY = (
    http      => 'http.response',
    sse       => 'sse.http.response',          # SSE-32: declining is core
    websocket => 'websocket.http.response',    # WS-38: only if advertised
);

sub reply {
    my ($scope, $send, $status, $headers, $body) = @_;
    my $type = $scope->{type} // '';

    # WS-9: a close before accept is the refusal every server understands (403).
    return $send->({ type => 'websocket.close', code => 1008 })
        if $type eq 'websocket'
        && !($scope->{extensions} && $scope->{extensions}{'websocket.http.response'});

    my $family = $FAMILY{$type}
        or return Future->fail("Cannot answer a scope of type '$type'\n");
    return in_turn(
        $send,
        { type => "$family.start", status => $status, headers => $headers },
        { type => "$family.body",  body   => $body,   more    => 0 },
    );
}

# SEND-12: the next event goes out when the previous Future is done. Usually it is
# done already, and then no Future is chained at all.
sub in_turn {
    my ($send, @events) = @_;
    while (defined(my $event = shift @events)) {
        my $sent = $send->($event);
        return $sent unless @events;
        return $sent->then(sub { in_turn($send, @events) }) unless $sent->is_done;
    }
    return Future->done;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::Reply - answer a request from inside middleware

=head1 SYNOPSIS

    use PAGI::Middleware::Support::Reply qw(reply);

    my $teapot = sub {
        my ($scope, $receive, $send) = @_;
        return reply($scope, $send, 418, [ [ 'content-type', 'text/plain' ] ], 'short and stout');
    };

=head1 FUNCTIONS

=head2 reply($scope, $send, $status, \@headers, $body)

Sends a complete response in the event family of the scope: C<http.response.*>,
C<sse.http.response.*> (declining the stream) or C<websocket.http.response.*>
(denying the handshake). A WebSocket on a server that does not advertise denial
responses is closed before accept instead, which clients see as 403. C<$body> is
bytes. Returns the Future of the last send.

=head2 in_turn($send, @events)

Sends the events one after the other, each when the one before has been taken.
Returns the Future of the last send.

=cut
