package PAGI::Middleware::WebSocket::Heartbeat;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::FollowUp qw(with_follow_up);
use PAGI::Middleware::Support::Seconds qw(check_seconds);

sub _init {
    my ($self, $config) = @_;
    $self->{interval} = check_seconds("WebSocket::Heartbeat 'interval'", $config->{interval} // 30);
    $self->{timeout}  = check_seconds("WebSocket::Heartbeat 'timeout'",  $config->{timeout} // 10);
    $self->{on_error} = $config->{on_error} // sub { warn "WebSocket::Heartbeat send failed: $_[0]\n" };
    return;
}

sub wrap {
    my ($self, $app) = @_;
    my %facts = (interval => $self->{interval}, timeout => $self->{timeout});
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'websocket';
        return $app->(
            { %$scope, 'pagi.websocket.heartbeat' => {%facts} },
            $receive,
            with_follow_up($send, 'websocket.accept',
                { type => 'websocket.keepalive', %facts }, $self->{on_error}),
        );
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::WebSocket::Heartbeat - ping WebSockets and drop dead ones

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'WebSocket::Heartbeat', interval => 25, timeout => 10;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<websocket> scopes. When the application has accepted the connection, the server is asked (with a
C<websocket.keepalive> event) to ping the client every C<interval> seconds and to close the connection if no pong
comes within C<timeout> seconds; the application then gets C<websocket.disconnect> with code 1006 and reason
C<keepalive_timeout>. There is no timer here: the server does the work. The application may send a
C<websocket.keepalive> of its own; the last one counts. C<< { interval, timeout } >> is in the scope as
C<pagi.websocket.heartbeat>.

=head1 OPTIONS

=over 4

=item interval

Seconds, fractions allowed, default 30.

=item timeout

Seconds, default 10.

=item on_error

Coderef, called with the error if the server refuses the event. Default: warns
C<WebSocket::Heartbeat send failed: E>.

=item loop

Accepted and not used.

=back

=head1 ERRORS

C<WebSocket::Heartbeat 'interval' must be a number of seconds above 0, got 'X'>, the same for C<timeout>.

=cut
