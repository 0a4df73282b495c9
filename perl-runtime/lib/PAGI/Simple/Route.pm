package PAGI::Simple::Route;

use strict;
use warnings;

use PAGI::Simple::Pattern;
use PAGI::Sync ();

sub new {
    my ($class, %args) = @_;
    return bless {
        method           => $args{method},
        path             => $args{path},
        pattern          => PAGI::Simple::Pattern->new($args{path}),
        handler          => $args{handler},
        name             => $args{name},
        middleware       => $args{middleware} || [],
        handler_methods  => $args{handler_methods} || [],
        handler_instance => $args{handler_instance},
        router           => $args{router},
    }, $class;
}

sub method           { return $_[0]{method} }
sub path             { return $_[0]{path} }
sub pattern          { return $_[0]{pattern} }
sub handler          { return $_[0]{handler} }
sub middleware       { return $_[0]{middleware} }
sub handler_methods  { return $_[0]{handler_methods} }
sub handler_instance { return $_[0]{handler_instance} }

sub name {
    my ($self, @name) = @_;
    return $self->{name} unless @name;
    $self->{router}->register_name($name[0], $self) if $self->{router};
    $self->{name} = $name[0];
    return $self;
}

# HEAD is answered by what answers GET.
sub accepts {
    my ($self, $method) = @_;
    my $own = $self->{method};
    return $own eq '*' || $own eq $method || ($method eq 'HEAD' && $own eq 'GET') ? 1 : 0;
}

sub matches {
    my ($self, $method, $path) = @_;
    return $self->accepts(uc $method) ? $self->{pattern}->match($path) : undef;
}

sub matches_path { return $_[0]{pattern}->match($_[1]) }

# What runs for the route, in order: each item is called with the context or connection object.
sub steps {
    my ($self) = @_;
    return $self->{steps} ||= [ $self->{handler} || (), map { $self->_step($_) } @{ $self->{handler_methods} } ];
}

# The handler that was marked as blocking (PAGI::Sync), if one was.
sub blocking_step {
    my ($self) = @_;
    $self->{blocking_step} = [ grep { PAGI::Sync::is_sync($_) } @{ $self->steps } ] unless $self->{blocking_step};
    return $self->{blocking_step}[0];
}

sub _step {
    my ($self, $name) = @_;
    my $instance = $self->{handler_instance};
    my $method = substr $name, 1;
    return sub {
        my ($context) = @_;
        die "Route $self->{path}: there is no object to call '$name' on\n" unless $instance;
        die "Route $self->{path}: " . ref($instance) . " has no method '$method'\n" unless $instance->can($method);
        return $instance->$method($context);
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Route - one route

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Route;

    my $route = PAGI::Simple::Route->new(method => 'GET', path => '/users/:id', handler => sub { });
    print $route->matches(GET => '/users/7')->{id}, "\n";    # 7

=head1 METHODS

=head2 new

    my $route = PAGI::Simple::Route->new(method => $method, path => $path, handler => $code, %options);

Options: C<name>, C<middleware> (arrayref), C<handler_methods> (arrayref of C<#method> names), C<handler_instance> (the object
these are called on), C<router>. The method C<*> stands for all. Croaks what L<PAGI::Simple::Pattern> says about the path.

=head2 method, path, pattern, handler, middleware, handler_methods, handler_instance

What the route was made of. C<pattern> is the L<PAGI::Simple::Pattern>.

=head2 name

    my $name = $route->name;
    $route->name('user');

The name. With an argument sets it, registers it with the router (which croaks when it is taken) and returns the route.

=head2 accepts

1 if the route answers the (upper-case) method. A GET route answers HEAD as well.

=head2 matches, matches_path

    my $captures = $route->matches($method, $path);

The captures, an empty hashref when there are none, or undef.

=head2 steps

Arrayref of the code to run, in order.

=cut
