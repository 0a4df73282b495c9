package PAGI::Middleware::RateLimit;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Carp qw(croak);
use Scalar::Util qw(looks_like_number);
use PAGI::Middleware::Support::Headers qw(adding_headers);
use PAGI::Middleware::Support::Reply qw(reply);

# One bucket table per instance, so that two limits never share tokens. They hang
# together here only for the class methods.
my %tables;           # instance number => { key => { tokens, time } }
my $instances = 0;
my $clock_offset = 0;

sub _init {
    my ($self, $config) = @_;
    $self->{rate}  = $config->{requests_per_second} // 10;
    $self->{burst} = $config->{burst} // 20;
    croak "RateLimit 'requests_per_second' must be a number above 0, got '$self->{rate}'"
        unless looks_like_number($self->{rate}) && $self->{rate} > 0;
    croak "RateLimit 'burst' must be a number of at least 1, got '$self->{burst}'"
        unless looks_like_number($self->{burst}) && $self->{burst} >= 1;
    $self->{key_generator}    = $config->{key_generator} // \&_client;
    $self->{backend}          = $config->{backend} // 'memory';
    $self->{cleanup_interval} = $config->{cleanup_interval} // 60;
    $self->{max_buckets}      = $config->{max_buckets} // 10000;
    $self->{applies}          = $self->_guarded_scope_types($config, qw(http sse));
    $self->{number}           = ++$instances;
    $self->{last_cleanup}     = 0;
    $tables{ $self->{number} } = {};
    return;
}

sub DESTROY { my ($self) = @_; delete $tables{ $self->{number} } if $self->{number}; return }

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) unless $self->{applies}{ $scope->{type} };

        my $now = time + $clock_offset;
        my ($allowed, $tokens) = $self->_take($self->{key_generator}->($scope) // 'unknown', $now);
        return $self->_refuse($scope, $send, $now, $tokens) unless $allowed;

        my $reset = $now + int(($self->{burst} - $tokens) / $self->{rate});
        return $app->($scope, $receive, adding_headers($send, sub { (
            [ 'X-RateLimit-Limit',     $self->{burst} ],
            [ 'X-RateLimit-Remaining', int $tokens ],
            [ 'X-RateLimit-Reset',     $reset ],
        ) }));
    };
}

# The address a trusted proxy vouches for, not one the client wrote into a header:
# otherwise every request could claim a bucket of its own.
sub _client {
    my ($scope) = @_;
    return $scope->{'pagi.verified_client'}
        // ($scope->{client} ? $scope->{client}[0] : undef) // 'unknown';
}

sub _take {
    my ($self, $key, $now) = @_;
    my $table = $tables{ $self->{number} };
    my $bucket = $table->{$key} //= { tokens => $self->{burst}, time => $now };

    my $elapsed = $now - $bucket->{time};
    if ($elapsed > 0) {
        $bucket->{tokens} += $elapsed * $self->{rate};
        $bucket->{tokens} = $self->{burst} if $bucket->{tokens} > $self->{burst};
    }
    $bucket->{time} = $now;
    my $allowed = $bucket->{tokens} >= 1;
    $bucket->{tokens}-- if $allowed;
    my $tokens = $bucket->{tokens};

    $self->_sweep($table, $now) if $now - $self->{last_cleanup} >= $self->{cleanup_interval};
    $self->_evict($table) if keys %$table > $self->{max_buckets};
    return ($allowed, $tokens);
}

# A bucket untouched for twice the time it takes to fill is as good as new.
sub _sweep {
    my ($self, $table, $now) = @_;
    $self->{last_cleanup} = $now;
    my $stale = $now - 2 * $self->{burst} / $self->{rate};
    delete @$table{ grep { $table->{$_}{time} < $stale } keys %$table };
    return;
}

sub _evict {
    my ($self, $table) = @_;
    my @by_age = sort { $table->{$a}{time} <=> $table->{$b}{time} } keys %$table;
    my $surplus = @by_age - int($self->{max_buckets} / 2);
    delete @$table{ @by_age[ 0 .. $surplus - 1 ] };
    return;
}

sub _refuse {
    my ($self, $scope, $send, $now, $tokens) = @_;
    my $reset = $now + int((1 - $tokens) / $self->{rate}) + 1;
    my $retry = $reset - $now;
    my $text = 'Rate limit exceeded. Try again later.';
    return reply($scope, $send, 429, [
        [ 'Content-Type',          'text/plain' ],
        [ 'Content-Length',        length $text ],
        [ 'Retry-After',           $retry < 1 ? 1 : $retry ],
        [ 'X-RateLimit-Limit',     $self->{burst} ],
        [ 'X-RateLimit-Remaining', 0 ],
        [ 'X-RateLimit-Reset',     $reset ],
    ], $text);
}

sub reset_all { %$_ = () for values %tables; return }

sub _clear_buckets { my ($class) = @_; $class->reset_all; $clock_offset = 0; return }

sub _bucket_count {
    my ($self) = @_;
    return scalar keys %{ $tables{ $self->{number} } } if ref $self;
    my $count = 0;
    $count += keys %$_ for values %tables;
    return $count;
}

sub _advance_time_for_test { my ($class, $seconds) = @_; $clock_offset += $seconds; return }

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::RateLimit - limit requests with token buckets

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'ReverseProxy', trusted_proxies => ['10.0.0.1'];    # if there is one
        enable 'RateLimit', requests_per_second => 5, burst => 10;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> and C<sse> scopes. Every client has a bucket of C<burst> tokens, refilled at
C<requests_per_second>; a request takes one. Allowed responses carry C<X-RateLimit-Limit>,
C<X-RateLimit-Remaining> and C<X-RateLimit-Reset> (epoch seconds at which the bucket is full). Without a token:
429 C<Rate limit exceeded. Try again later.> with C<Retry-After> in seconds.

A client is the address of the connection, or, behind L<PAGI::Middleware::ReverseProxy>, the address a
trusted proxy vouches for (C<pagi.verified_client>). Headers that clients invent do not change it. With a
C<key_generator> of your own take care not to trust headers either.

Buckets are counted in whole seconds and belong to one middleware object in one process: with several workers
a client gets up to that many times the limit.

=head1 OPTIONS

=over 4

=item requests_per_second

Default 10; fractions are allowed (0.1: one in ten seconds).

=item burst

Default 20.

=item key_generator

Coderef, called with the scope; returns the name of the bucket.

=item cleanup_interval

Seconds between sweeps of unused buckets, default 60.

=item max_buckets

Default 10000; above it the buckets not used for longest are dropped, down to half.

=item backend

Accepted and not used; C<memory>.

=item scope_types

See L<PAGI::Middleware/"SCOPE TYPES">.

=back

=head1 METHODS

=head2 reset_all

Class method. Empties all buckets of the process.

=head1 ERRORS

C<RateLimit 'requests_per_second' must be a number above 0, got 'X'>,
C<RateLimit 'burst' must be a number of at least 1, got 'X'>.

=cut
