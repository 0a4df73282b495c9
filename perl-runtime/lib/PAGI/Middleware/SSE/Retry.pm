package PAGI::Middleware::SSE::Retry;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Carp qw(croak);
use PAGI::Middleware::Support::FollowUp qw(with_follow_up);

sub _init {
    my ($self, $config) = @_;
    $self->{retry} = $config->{retry} // 3000;
    croak "SSE::Retry 'retry' must be a whole number of milliseconds, got '$self->{retry}'"
        if $self->{retry} !~ /\A\d+\z/a;
    $self->{include_on_start}  = $config->{include_on_start}  // 1;
    $self->{include_on_events} = $config->{include_on_events} // 0;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    my $retry = $self->{retry};
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'sse';

        # SSE-15 wants data in every event. The name keeps this empty event away from
        # onmessage handlers in the browser.
        my $out = $self->{include_on_start}
            ? with_follow_up($send, 'sse.start',
                { type => 'sse.send', event => 'retry', data => '', retry => $retry }, \&_complain)
            : $send;
        $out = _on_events($out, $retry) if $self->{include_on_events};
        return $app->({ %$scope, 'pagi.sse.retry' => $retry }, $receive, $out);
    };
}

sub _on_events {
    my ($send, $retry) = @_;
    return sub {
        my ($event) = @_;
        return $send->($event)
            if ref $event ne 'HASH' || ($event->{type} // '') ne 'sse.send' || defined $event->{retry};
        return $send->({ %$event, retry => $retry });
    };
}

sub _complain { my ($error) = @_; warn "SSE::Retry send failed: $error\n"; return }

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::SSE::Retry - tell event streams when to reconnect

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'SSE::Retry', retry => 5000;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<sse> scopes. After the first C<sse.start> an event with the C<retry> field is sent, named C<retry>
and with empty data, so that C<onmessage> handlers do not see it. The value is in the scope as
C<pagi.sse.retry>.

=head1 OPTIONS

=over 4

=item retry

Milliseconds, default 3000.

=item include_on_start

Send the hint after the start, default 1.

=item include_on_events

Add the field to every C<sse.send> that has none, default 0.

=back

=cut
