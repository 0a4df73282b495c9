package PAGI::Middleware::Timeout;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future;
use Future::AsyncAwait;
use Scalar::Util qw(blessed);
use PAGI::Middleware::Support::Reply qw(reply);
use PAGI::Middleware::Support::Seconds qw(check_seconds);

sub _init {
    my ($self, $config) = @_;
    $self->{timeout}    = check_seconds("Timeout 'timeout'", $config->{timeout} // 30);
    $self->{on_timeout} = $config->{on_timeout};
    $self->{loop}       = $config->{loop};
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

        my %state = (started => 0, late => 0);
        my $running = $app->($scope, $receive, sub {
            my ($event) = @_;
            return Future->done if $state{late};
            if (!$state{started} && ref $event eq 'HASH' && ($event->{type} // '') eq 'http.response.start') {
                $state{started} = 1;
                $state{timer}->cancel if $state{timer};
            }
            return $send->($event);
        });
        # Most requests are done, or have begun to answer, when they first wait:
        # they never cost a timer.
        return $running
            if $state{started} || !(blessed $running && $running->isa('Future')) || $running->is_ready;
        return $self->_limited($running, \%state, $scope, $send);
    };
}

async sub _limited {
    my ($self, $running, $state, $scope, $send) = @_;
    my $timer = $state->{timer} = $self->_sleep;
    # The loser of wait_any is cancelled: the timer, or the application.
    await Future->wait_any($running, $timer->on_done(sub { $state->{late} = 1 }));
    delete $state->{timer};
    return unless $state->{late};

    $self->{on_timeout}->($scope) if $self->{on_timeout};
    my $text = 'Request timeout';
    await reply($scope, $send, 504,
        [ [ 'Content-Type', 'text/plain' ], [ 'Content-Length', length $text ] ], $text);
    return;
}

sub _sleep {
    my ($self) = @_;
    return $self->{loop}->delay_future(after => $self->{timeout}) if $self->{loop};
    require Future::IO;
    return Future::IO->sleep($self->{timeout});
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Timeout - give up on an application that does not answer

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Timeout', timeout => 10, on_timeout => sub { warn "slow: $_[0]{path}\n" };
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. If the application has not started its response in time, its Future is cancelled, the client
gets 504 C<Request timeout>, and what the application still sends is ignored. Once the response has started there is
no limit: downloads may take as long as they need.

Only an application that waits (C<await>) can be timed out. Perl code that blocks the worker blocks the timer, too.

=head1 OPTIONS

=over 4

=item timeout

Seconds, fractions allowed, default 30.

=item on_timeout

Coderef, called with the scope before the 504 is sent.

=item loop

An L<IO::Async::Loop> for the timer. Default: L<Future::IO>, which under the server is the server's own loop.

=back

=head1 ERRORS

C<Timeout 'timeout' must be a number of seconds above 0, got 'X'>.

=cut
