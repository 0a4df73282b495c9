package PAGI::Simple::Router::Scoped;

use strict;
use warnings;

our @CARP_NOT = qw(PAGI::Simple);

# The router a handler class gets: the application's tables, with the prefix, middleware and object of its mount.
sub new {
    my ($class, %args) = @_;
    return bless { app => $args{app}, instance => $args{instance} }, $class;
}

sub get    { return shift->_add(GET    => @_) }
sub post   { return shift->_add(POST   => @_) }
sub put    { return shift->_add(PUT    => @_) }
sub patch  { return shift->_add(PATCH  => @_) }
sub delete { return shift->_add(DELETE => @_) }
sub del    { return shift->_add(DELETE => @_) }
sub any    { return shift->_add('*'    => @_) }

sub _add {
    my ($self, $method, $path, @args) = @_;
    return $self->{app}->_add_route(router => $method, $path, @args, { handler_instance => $self->{instance} });
}

sub websocket {
    my ($self, $path, @args) = @_;
    return $self->{app}->_add_route(ws_router => '*', $path, @args, { handler_instance => $self->{instance} });
}

sub sse {
    my ($self, $path, @args) = @_;
    return $self->{app}->_add_route(sse_router => '*', $path, @args, { handler_instance => $self->{instance} });
}

sub mount {
    my ($self, @args) = @_;
    $self->{app}->mount(@args);
    return $self;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Router::Scoped - the router that a handler class gets

=head1 SYNOPSIS

    package MyApp::Todos;
    use parent 'PAGI::Simple::Handler';

    sub routes {
        my ($class, $app, $r) = @_;
        $r->get('/' => '#index')->name('todos');
        $r->get('/:id' => '#load' => '#show');
        $r->mount('/bulk' => '::Todos::Bulk');
    }

=head1 DESCRIPTION

Paths are relative to where the handler is mounted, middleware of the mount comes first, and C<#method> names are called on the
handler object.

=head1 METHODS

=head2 new

Made by C<mount> of L<PAGI::Simple>; C<app> and C<instance>.

=head2 get, post, put, patch, delete, del, any, websocket, sse

    my $route = $r->get($path => [\@middleware =>] @targets);

Targets are C<#method> names or a coderef. Return the L<PAGI::Simple::Route>, to call C<name> on. Croak C<Invalid route arguments ...>.

=head2 mount

As in L<PAGI::Simple>, below the prefix. Returns the router.

=cut
