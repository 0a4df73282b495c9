package PAGI::App::Router::Route;

use strict;
use warnings;

use Carp qw(croak);
use PAGI::App::Router::Pattern;
use Scalar::Util qw(blessed);

our @CARP_NOT = qw(PAGI::App::Router PAGI::App::Router::Pattern);

# `constraints` (written in the path) and `_user_constraints` (chained) are looked at from outside: keep the names.
sub new {
    my ($class, %args) = @_;
    my $pattern = PAGI::App::Router::Pattern->new($args{path});
    return bless {
        methods           => undef,    # undef: every method
        _user_constraints => [],
        %args,
        pattern     => $pattern,
        constraints => $pattern->constraints,
    }, $class;
}

# The same route below a prefix and inside more middleware.
sub below {
    my ($self, $prefix, $middleware) = @_;
    return ref($self)->new(
        %$self,
        path              => $prefix . $self->{path},
        middleware        => [@$middleware, @{ $self->{middleware} }],
        _user_constraints => [@{ $self->{_user_constraints} }],
    );
}

sub constrain {
    my ($self, %constraints) = @_;
    for my $name (sort keys %constraints) {
        my $regex = $constraints{$name};
        croak "Constraint for '$name' must be a Regexp (qr//), got " . (ref($regex) || 'scalar')
            unless ref $regex eq 'Regexp';
    }
    push @{ $self->{_user_constraints} }, map { [$_, $constraints{$_}] } sort keys %constraints;
    return;
}

# What dispatching needs, made once: the app inside its middleware, and constraints that fit the complete value.
sub compiled {
    my ($self) = @_;
    return {
        pattern     => $self->{pattern},
        path        => $self->{path},
        app         => wrapped($self->{app}, $self->{middleware}),
        methods     => $self->{methods} && { map { $_ => 1 } @{ $self->{methods} } },
        constraints => [
            map { my ($name, $regex) = @$_; [$name, qr/\A(?:$regex)\z/] }
                @{ $self->{constraints} }, @{ $self->{_user_constraints} }
        ],
    };
}

sub wrapped {
    my ($app, $middleware) = @_;
    for my $entry (reverse @$middleware) {
        $app = blessed $entry && $entry->can('wrap') ? $entry->wrap($app) : $entry->($app);
    }
    return $app;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Router::Route - one registered route

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Router::Route;

    my $route = PAGI::App::Router::Route->new(
        path => '/users/:id', methods => ['GET'], middleware => [], app => sub { ... },
    );
    $route->constrain(id => qr/\d+/);

=head1 METHODS

=head2 new

Takes C<path>, C<app> (coderef), C<middleware> (arrayref) and C<methods> (arrayref of upper-case names; undef for every method).
Croaks as L<PAGI::App::Router::Pattern/new>.

=head2 below

    my $copy = $route->below($prefix, \@middleware);

A copy with the prefix before the path and the middleware around its own.

=head2 constrain

    $route->constrain(name => qr/.../);

Croaks C<Constraint for 'N' must be a Regexp (qr//), got TYPE>.

=head2 compiled

A hashref with C<pattern>, C<path>, C<app> (inside its middleware), C<methods> (hashref or undef) and C<constraints>.

=head2 wrapped

    my $app = PAGI::App::Router::Route::wrapped($app, \@middleware);

A function: the app inside the middleware, the first entry outermost.

=cut
