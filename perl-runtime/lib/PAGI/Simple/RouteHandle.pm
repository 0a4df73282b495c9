package PAGI::Simple::RouteHandle;

use strict;
use warnings;

use Carp qw(croak);

our $AUTOLOAD;

sub new {
    my ($class, $app, $route) = @_;
    return bless { app => $app, route => $route }, $class;
}

sub name {
    my ($self, $name) = @_;
    $self->{route}->name($name);
    return $self->{app};
}

sub route { my $self = shift; return @_ ? $self->{app}->route(@_) : $self->{route} }

sub can {
    my ($self, $method) = @_;
    return $self->SUPER::can($method) || (ref $self && $self->{app}->can($method) ? sub { shift->{app}->$method(@_) } : undef);
}

# Declarations are chained: everything else is meant for the application.
sub AUTOLOAD {
    my ($self, @args) = @_;
    (my $method = $AUTOLOAD) =~ s/.*:://;
    return if $method eq 'DESTROY';
    croak "Can't locate object method \"$method\" via package \"" . __PACKAGE__ . '"'
        unless ref $self && $self->{app}->can($method);
    return $self->{app}->$method(@args);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::RouteHandle - what declaring a route returns

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->get('/' => sub { $_[0]->text('home') })->name('home')
        ->get('/about' => sub { $_[0]->text('about') })
        ->post('/form' => sub { $_[0]->text('thanks') });

=head1 DESCRIPTION

Names the route, or goes on with the next declaration: every other method is the application's.

=head1 METHODS

=head2 new

Made by L<PAGI::Simple>.

=head2 name

    $handle->name('home');

Names the route and returns the B<application>.

=head2 route

The L<PAGI::Simple::Route>; with arguments, C<route> of the application.

=head2 can

As of any object, the application's methods included.

=cut
