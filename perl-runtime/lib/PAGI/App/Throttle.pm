package PAGI::App::Throttle;

use strict;
use warnings;

use Carp qw(croak);
use PAGI::App::Support::Answer qw(answer);
use PAGI::Middleware::Support::Headers qw(adding_headers);
use PAGI::Utils ();
use Scalar::Util qw(looks_like_number);

our @CARP_NOT = qw(PAGI::Utils);

# Process-wide by key: { tokens, last_time } and how long an unused bucket takes to be full again.
my %BUCKETS;
my $SWEEP_AT = 10_000;    # buckets; beyond this full ones are forgotten

sub new {
    my ($class, %args) = @_;
    my $rate = $args{rate} // 10;
    croak "PAGI::App::Throttle 'rate' must be a number of requests per second above 0, got '$rate'"
        unless looks_like_number($rate) && $rate > 0 && $rate < 9**9**9;
    # A bucket that cannot hold one token would refuse everything.
    my $burst = $args{burst} // ($rate < 1 ? 1 : $rate);
    croak "PAGI::App::Throttle 'burst' must be a number of requests, 1 or more, got '$burst'"
        unless looks_like_number($burst) && $burst >= 1;
    return bless {
        app      => PAGI::Utils::to_app($args{app}),
        rate     => $rate,
        burst    => $burst,
        key_for  => $args{key_for},
        on_limit => $args{on_limit},
        headers  => $args{headers} // 1,
    }, $class;
}

sub reset     { my ($class, $key) = @_; delete $BUCKETS{$key}; return }
sub reset_all { %BUCKETS = (); return }

sub info {
    my ($class, $key) = @_;
    my $bucket = $BUCKETS{$key} or return undef;
    return { tokens => $bucket->{tokens}, last_time => $bucket->{last_time} };
}

sub to_app {
    my ($self) = @_;
    my ($app, $rate, $burst, $key_for, $on_limit, $headers) = @$self{qw(app rate burst key_for on_limit headers)};
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if ($scope->{type} // 'http') eq 'lifespan';

        my $now = time;
        my $key = ($key_for ? $key_for->($scope) : undef) // 'global';
        my $bucket = _refilled($key, $rate, $burst, $now);
        if ($bucket->{tokens} >= 1) {
            my $tokens = $bucket->{tokens} -= 1;
            return $app->($scope, $receive, $send) unless $headers;
            my $reset = int($now + ($burst - $tokens) / $rate);
            return $app->($scope, $receive, adding_headers($send, sub { _headers($burst, int $tokens, $reset) }));
        }

        my $retry_after = int((1 - $bucket->{tokens}) / $rate) + 1;
        return $on_limit->($scope, $receive, $send, $retry_after) if $on_limit;
        return answer($scope, $send, 429, [
            ['content-type', 'text/plain'],
            ['retry-after',  $retry_after],
            ($headers ? _headers($burst, 0, $now + $retry_after) : ()),
        ], 'Too Many Requests');
    };
}

sub _headers {
    my ($limit, $remaining, $reset) = @_;
    return (['x-ratelimit-limit', $limit], ['x-ratelimit-remaining', $remaining], ['x-ratelimit-reset', $reset]);
}

sub _refilled {
    my ($key, $rate, $burst, $now) = @_;
    my $bucket = $BUCKETS{$key};
    if (!$bucket) {
        _sweep($now) if keys %BUCKETS >= $SWEEP_AT;
        return $BUCKETS{$key} = { tokens => $burst, last_time => $now, refill => $burst / $rate };
    }
    # A clock that is set back must not cost tokens, up to hours of them.
    my $elapsed = $now > $bucket->{last_time} ? $now - $bucket->{last_time} : 0;
    my $tokens = $bucket->{tokens} + $elapsed * $rate;
    $bucket->{tokens} = $tokens > $burst ? $burst : $tokens;
    $bucket->{last_time} = $now;
    return $bucket;
}

# Keys come from clients: without this, addresses seen once would stay for ever. A full bucket says no more than none.
sub _sweep {
    my ($now) = @_;
    for my $key (keys %BUCKETS) {
        my $bucket = $BUCKETS{$key};
        delete $BUCKETS{$key} if $now - $bucket->{last_time} >= $bucket->{refill};
    }
    $SWEEP_AT = 2 * keys(%BUCKETS) > 10_000 ? 2 * keys %BUCKETS : 10_000;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Throttle - a token bucket in front of an app

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Throttle;

    my $app = PAGI::App::Throttle->new(
        app     => 'PAGI::App::Healthcheck',
        rate    => 5,     # a second
        burst   => 20,
        key_for => sub { my ($scope) = @_; return $scope->{client} && $scope->{client}[0] },
    )->to_app;

=head1 DESCRIPTION

Each request takes a token from the bucket of its key; C<rate> tokens a second come back, by a clock of whole seconds. An allowed
response gets C<x-ratelimit-limit>, C<x-ratelimit-remaining> and C<x-ratelimit-reset> (epoch seconds). Without a token the answer is 429
C<Too Many Requests> with C<retry-after> (seconds), in the event family of the scope. Lifespan scopes pass.

Buckets belong to the process, so with several workers a client has as many, and throttles with equal keys share one.

=head1 METHODS

=head2 new

=over

=item app

Required; whatever L<PAGI::Utils/to_app> takes.

=item rate

Tokens a second, above 0. Default 10.

=item burst

Capacity, at least 1. Default C<rate>, or 1 if that is less.

=item key_for

Coderef called with the scope; the key as a string. Without it, and for undef, the key is C<global>.

=item on_limit

Async coderef C<($scope, $receive, $send, $retry_after)> that answers in place of the 429.

=item headers

0 leaves the C<x-ratelimit> headers out. Default 1.

=back

Croaks with a message that names C<rate> or C<burst> when it is out of range.

=head2 to_app

The app.

=head1 CLASS METHODS

=head2 reset, reset_all

    PAGI::App::Throttle->reset($key);
    PAGI::App::Throttle->reset_all;

Forgets one bucket, or all.

=head2 info

    my $bucket = PAGI::App::Throttle->info($key);

A hashref of C<tokens> and C<last_time> (epoch seconds), or undef.

=cut
