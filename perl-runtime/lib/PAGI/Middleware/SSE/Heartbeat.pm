package PAGI::Middleware::SSE::Heartbeat;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::FollowUp qw(with_follow_up);
use PAGI::Middleware::Support::Seconds qw(check_seconds);

sub _init {
    my ($self, $config) = @_;
    $self->{interval} = check_seconds("SSE::Heartbeat 'interval'", $config->{interval} // 15);
    $self->{comment}  = $config->{comment} // 'keepalive';
    $self->{on_error} = $config->{on_error} // sub { warn "SSE::Heartbeat send failed: $_[0]\n" };
    return;
}

sub wrap {
    my ($self, $app) = @_;
    my %facts = (interval => $self->{interval}, comment => $self->{comment});
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'sse';
        return $app->(
            { %$scope, 'pagi.sse.heartbeat' => {%facts} },
            $receive,
            with_follow_up($send, 'sse.start', { type => 'sse.keepalive', %facts }, $self->{on_error}),
        );
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::SSE::Heartbeat - keep event streams alive

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'SSE::Heartbeat', interval => 20;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<sse> scopes. When the application has started the stream, the server is asked (with an
C<sse.keepalive> event) to send a comment every C<interval> seconds, so that proxies do not cut quiet streams.
There is no timer here: the server does the work. The application may send an C<sse.keepalive> of its own; the
last one counts. C<< { interval, comment } >> is in the scope as C<pagi.sse.heartbeat>.

=head1 OPTIONS

=over 4

=item interval

Seconds, fractions allowed, default 15.

=item comment

Text, default C<keepalive>.

=item on_error

Coderef, called with the error if the server refuses the event. Default: warns C<SSE::Heartbeat send failed: E>.

=item loop

Accepted and not used.

=back

=head1 ERRORS

C<SSE::Heartbeat 'interval' must be a number of seconds above 0, got 'X'>.

=cut
