package PAGI::Simple::Router;

use strict;
use warnings;

use Carp qw(croak);
use PAGI::Simple::Pattern;
use PAGI::Simple::Route;
use Scalar::Util qw(blessed weaken);

our @CARP_NOT = qw(PAGI::Simple PAGI::Simple::Route PAGI::Simple::Router::Scoped);

sub new {
    my ($class) = @_;
    return bless { routes => [], static => {}, dynamic => [], by_method => {}, names => {} }, $class;
}

sub add {
    my ($self, $method, $path, @args) = @_;
    my %route = (method => uc $method, path => $path, handler_methods => []);
    while (@args) {
        my $item = shift @args;
        if    (ref $item eq 'CODE')  { $route{handler} = $item }
        elsif (ref $item eq 'ARRAY') { $route{middleware} = $item }
        elsif (ref $item eq 'HASH')  { @route{ keys %$item } = values %$item }
        elsif (!ref $item && $item =~ /\A#\w+\z/) { push @{ $route{handler_methods} }, $item }
        elsif (!ref $item && $item =~ /\A(?:name|middleware|handler_instance)\z/ && @args) { $route{$item} = shift @args }
        else { croak "Invalid route arguments for '$path': " . (defined $item ? $item : 'undef') }
    }
    croak "Invalid route arguments for '$path': a handler is missing"
        unless $route{handler} || @{ $route{handler_methods} };

    my $name = delete $route{name};
    my $route = PAGI::Simple::Route->new(%route, router => $self);
    weaken($route->{router});
    $route->{index} = @{ $self->{routes} };
    push @{ $self->{routes} }, $route;
    $self->{by_method} = {};
    if   ($route->pattern->is_static) { $self->{static}{$path}{ $route->method } ||= $route }
    else                              { push @{ $self->{dynamic} }, $route }
    $route->name($name) if defined $name;
    return $route;
}

sub routes { return @{ $_[0]{routes} } }

# The first registered wins, whether static or not.
sub match {
    my ($self, $method, $path) = @_;
    my $found = $self->find($method, $path) or return undef;
    return { route => $found->[0], params => $found->[1] };
}

sub find {
    my ($self, $method, $path) = @_;
    my $found = $self->_find($method, $path);
    return $found if $found || $method ne 'HEAD';
    return $self->_find('GET', $path);
}

sub _find {
    my ($self, $method, $path) = @_;
    my $best;
    if (my $here = $self->{static}{$path}) {
        my ($exact, $any) = @$here{ $method, '*' };
        $best = $exact && $any ? ($exact->{index} < $any->{index} ? $exact : $any) : $exact || $any;
    }
    if (@{ $self->{dynamic} }) {
        for my $route (@{ $self->_dynamic_for($method) }) {
            last if $best && $best->{index} < $route->{index};
            my $captures = $route->{pattern}->match($path) or next;
            return [ $route, $captures ];
        }
    }
    return $best ? [ $best, {} ] : undef;
}

# The list is kept per registered method: a client can make up any number of others.
sub _dynamic_for {
    my ($self, $method) = @_;
    my $lists = $self->{by_method};
    if (!%$lists) {
        for my $known ('*', map { $_->{method} } @{ $self->{dynamic} }) {
            $lists->{$known} ||= [ grep { $_->{method} eq $known || $_->{method} eq '*' } @{ $self->{dynamic} } ];
        }
    }
    return $lists->{$method} || $lists->{'*'};
}

sub find_path_match {
    my ($self, $path) = @_;
    my ($first, %methods);
    for my $route (@{ $self->{routes} }) {
        next unless $route->{pattern}->match($path);
        $first ||= $route;
        $methods{ $route->{method} } = 1 if $route->{method} ne '*';
        $methods{HEAD} = 1 if $route->{method} eq 'GET';
    }
    return unless $first;
    return ($first, [ sort keys %methods ]);
}

sub register_name {
    my ($self, $name, $route) = @_;
    croak 'A route name must be a non-empty string' unless defined $name && length $name && !ref $name;
    my $taken = $self->{names}{$name};
    croak "The route name '$name' is taken by $taken->{method} $taken->{path}" if $taken && $taken != $route;
    $self->{names}{$name} = $route;
    return $self;
}

sub find_by_name { return $_[0]{names}{ $_[1] } }
sub named_routes { return sort keys %{ $_[0]{names} } }

sub url_for {
    my ($self, $name, %params) = @_;
    my $route = $self->{names}{$name} or return undef;
    my $query = ref $params{query} eq 'HASH' ? delete $params{query} : {};
    my $url = $route->pattern->fill(\%params);
    return undef unless defined $url;

    my %all = (%params, %$query);
    my @pairs;
    for my $key (sort keys %all) {
        my $value = $all{$key};
        push @pairs, map { PAGI::Simple::Pattern::escape($key) . '=' . PAGI::Simple::Pattern::escape(defined $_ ? $_ : '') }
            ref $value eq 'ARRAY' ? @$value : $value;
    }
    return @pairs ? $url . '?' . join('&', @pairs) : $url;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Router - a table of routes

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Router;

    my $router = PAGI::Simple::Router->new;
    $router->add(GET => '/users/new', sub { }, name => 'new_user');
    $router->add(GET => '/users/:id', sub { })->name('user');

    print $router->match(GET => '/users/7')->{params}{id}, "\n";               # 7
    print $router->url_for('user', id => 7, page => 2), "\n";                  # /users/7?page=2

=head1 DESCRIPTION

The first registered route that matches wins. C<HEAD> is answered by C<GET> routes when there is no route for it.

=head1 METHODS

=head2 new

No options.

=head2 add

    my $route = $router->add($method, $path, @arguments);

Arguments in any order: a coderef, C<'#method'> strings, an arrayref (middleware), a hashref or pairs of C<name>, C<middleware>,
C<handler_instance>. Returns the L<PAGI::Simple::Route>. The method C<*> means all. Croaks C<Invalid route arguments for ...>.

=head2 routes

All routes, in order.

=head2 match

    my $found = $router->match($method, $path);

C<< { route => $route, params => \%captures } >> or undef.

=head2 find

The same as an arrayref C<[$route, \%captures]>, or undef.

=head2 find_path_match

    my ($route, $methods) = $router->find_path_match($path);

The first route for the path, whatever its method, and the sorted methods that are allowed; an empty list if there is none.

=head2 register_name

    $router->register_name($name, $route);

Croaks C<The route name 'NAME' is taken by METHOD PATH>. Returns the router.

=head2 find_by_name

The route of that name, or undef.

=head2 named_routes

The names, sorted.

=head2 url_for

    my $url = $router->url_for($name, %parameters);

Fills the placeholders from the parameters; the others, and those in the hashref C<query>, make the query string (sorted by key, arrays
repeated, C<query> winning). Percent-encoded UTF-8. Undef for an unknown name or a missing placeholder.

=cut
