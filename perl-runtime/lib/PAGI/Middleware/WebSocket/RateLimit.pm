package PAGI::Middleware::WebSocket::RateLimit;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Carp qw(croak);
use Future::AsyncAwait;
use Scalar::Util qw(looks_like_number);
use Time::HiRes qw(time);

sub _init {
    my ($self, $config) = @_;
    my %default = (messages_per_second => 100, bytes_per_second => 1048576, burst_multiplier => 2);
    for my $name (sort keys %default) {
        my $value = $self->{$name} = $config->{$name} // $default{$name};
        croak "WebSocket::RateLimit '$name' must be a number above 0, got '$value'"
            unless looks_like_number($value) && $value > 0;
    }
    $self->{on_limit_exceeded} = $config->{on_limit_exceeded};
    $self->{close_code}        = $config->{close_code} // 1008;
    $self->{close_reason}      = $config->{close_reason} // 'Rate limit exceeded';
    $self->{on_error} = $config->{on_error}
        // sub { my ($error) = @_; warn "WebSocket::RateLimit send failed: $error\n" };
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'websocket';

        my %limits = map { $_ => $self->{$_} } qw(messages_per_second bytes_per_second burst_multiplier);
        my $inner = { %$scope, 'pagi.websocket.rate_limit' => \%limits };
        return $app->($inner, $self->_limited($inner, $receive, $send), $send);
    };
}

sub _limited {
    my ($self, $scope, $receive, $send) = @_;
    my ($message_rate, $byte_rate) = @$self{qw(messages_per_second bytes_per_second)};
    my $message_room = $message_rate * $self->{burst_multiplier};
    my $byte_room    = $byte_rate * $self->{burst_multiplier};
    my ($messages, $bytes, $then) = ($message_room, $byte_room, time);
    my $closed = 0;

    return async sub {
        while (1) {
            return { type => 'websocket.disconnect' } if $closed;
            my $event = await $receive->();
            return $event if ($event->{type} // '') ne 'websocket.receive';

            my $now = time;
            my $elapsed = $now > $then ? $now - $then : 0;
            $then = $now;
            $messages = _min($message_room, $messages + $elapsed * $message_rate);
            $bytes    = _min($byte_room,    $bytes + $elapsed * $byte_rate);

            my $size = length($event->{text} // $event->{bytes} // '');
            my @exceeded = $messages < 1  ? ('messages', 0,      $message_rate)
                         : $bytes < $size ? ('bytes',    $bytes, $byte_rate)
                         :                  ();
            if (!@exceeded) {
                $messages -= 1;
                $bytes    -= $size;
                return $event;
            }
            my $callback = $self->{on_limit_exceeded};
            next if $callback && !$callback->($scope, @exceeded);    # dropped, costs nothing
            $closed = 1;
            $self->_close($send);
        }
    };
}

# Not awaited: a client that does not read its socket must not keep the
# application waiting for the close to go out.
sub _close {
    my ($self, $send) = @_;
    my $event = { type => 'websocket.close', code => $self->{close_code}, reason => $self->{close_reason} };
    my $sent = eval { $send->($event) };
    return $self->{on_error}->($@, $event) unless $sent;
    $sent->on_fail(sub { my ($error) = @_; $self->{on_error}->($error, $event) });
    $sent->retain unless $sent->is_ready;
    return;
}

sub _min { return $_[0] < $_[1] ? $_[0] : $_[1] }

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::WebSocket::RateLimit - limit incoming WebSocket messages

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'WebSocket::RateLimit',
            messages_per_second => 20,
            on_limit_exceeded   => sub {
                my ($scope, $kind, $current, $limit) = @_;
                warn "$scope->{path}: more than $limit $kind per second\n";
                return 1;    # close; false drops the message
            };
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<websocket> scopes. Each connection has a bucket for messages and one for bytes (characters for
C<text>), filled continuously. A message without room closes the connection: the client gets the close code, the
application C<websocket.disconnect> now and on every later receive. Outgoing messages are not limited.

C<< { messages_per_second, bytes_per_second, burst_multiplier } >> is in the scope as
C<pagi.websocket.rate_limit>.

=head1 OPTIONS

=over 4

=item messages_per_second

Default 100.

=item bytes_per_second

Default 1048576.

=item burst_multiplier

Size of the buckets in seconds, default 2; they start full. A message larger than
C<bytes_per_second * burst_multiplier> never has room.

=item on_limit_exceeded

Coderef C<($scope, $kind, $current, $limit)>: C<$kind> is C<messages> or C<bytes>, C<$current> 0 or the bytes that
were left. True closes, false drops the message. Default: close.

=item close_code, close_reason

Default 1008, C<Rate limit exceeded>.

=item on_error

Coderef C<($error, $event)>, when sending the close fails. Default: warns C<WebSocket::RateLimit send failed: E>.

=back

=cut
