package PAGI::Endpoint::Router::Builder;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::Sync ();
use Scalar::Util qw(blessed);

sub new {
    my ($class, $endpoint, $router) = @_;
    return bless { endpoint => $endpoint, router => $router, context_class => $endpoint->context_class }, $class;
}

for my $verb (qw(get post put patch delete head options)) {
    no strict 'refs';
    *$verb = sub {
        my ($self, $path, @route) = @_;
        my ($middleware, $handler) = _route_arguments(@route);
        $self->{router}->$verb($path => $self->_http_app($middleware, $handler));
        return $self;
    };
}

for my $kind ([ websocket => 'WebSocket' ], [ sse => 'SSE' ]) {
    my ($method, $label) = @$kind;
    no strict 'refs';
    *$method = sub {
        my ($self, $path, @route) = @_;
        my ($middleware, $handler) = _route_arguments(@route);
        croak "$label routes do not support route-level middleware; apply event middleware at the mount or group level"
            if @$middleware;
        $self->{router}->$method($path => $self->_channel_app($handler));
        return $self;
    };
}

# ($handler) or (\@middleware, $handler); a handler is a method name or a coderef
sub _route_arguments {
    my @route = @_;
    my $middleware = @route == 2 && ref $route[0] eq 'ARRAY' ? shift @route : [];
    croak 'Invalid route arguments'
        unless @route == 1 && defined $route[0] && (!ref $route[0] || ref $route[0] eq 'CODE');
    return ($middleware, $route[0]);
}

sub mount {
    my ($self, @args) = @_;
    $self->{router}->mount(@args);
    return $self;
}

sub name {
    my ($self, $name) = @_;
    $self->{router}->name($name);
    return $self;
}

sub as {
    my ($self, $namespace) = @_;
    $self->{router}->as($namespace);
    return $self;
}

sub uri_for      { my ($self, @args) = @_; return $self->{router}->uri_for(@args) }
sub named_routes { $_[0]{router}->named_routes }

# --- applications for the routes

# Code called with the context alone.
sub _handler {
    my ($self, $handler, $where) = @_;
    return $handler if ref $handler;
    my $endpoint = $self->{endpoint};
    croak "No such method: $handler$where" unless $endpoint->can($handler);
    return sub { $endpoint->$handler($_[0]) };
}

sub _channel_app {
    my ($self, $handler) = @_;
    my $code = $self->_handler($handler, '');
    my $context_class = $self->{context_class};
    return async sub {
        my ($scope, $receive, $send) = @_;
        await Future->wrap($code->($context_class->new($scope, $receive, $send)));
        return;
    };
}

sub _http_app {
    my ($self, $middleware, $handler) = @_;
    my $code = _checked($self->_handler($handler, ' in ' . ref $self->{endpoint}), 'handler did not return a response');
    for my $name (reverse @$middleware) {
        $code = $self->_around($name, $code);
    }
    my $context_class = $self->{context_class};
    my $is_sync = PAGI::Sync::is_sync($handler);
    return async sub {
        my ($scope, $receive, $send) = @_;
        my $answered = $is_sync ? PAGI::Sync::hand_over($scope, $handler) : undef;
        return await $answered if $answered;
        my $ctx = $context_class->new($scope, $receive, $send);
        my $response = await $code->($ctx);
        await $ctx->respond($response) if $response;
        return $response;
    };
}

# A step yields a response, or nothing when it was sent already as handlers of release 0.001 do.
sub _checked {
    my ($code, $message) = @_;
    return async sub {
        my ($ctx) = @_;
        my $response = $code->($ctx);
        $response = await $response if blessed $response && $response->isa('Future');
        return $response if blessed $response && $response->can('respond');
        return undef if $ctx->can('_has_responded') && $ctx->_has_responded;
        croak $message;
    };
}

sub _around {
    my ($self, $name, $inner) = @_;
    croak 'Standard middleware (coderef/object) belong at the mount or group level, not in an Endpoint route\'s middleware list; '
        . 'name a method of the endpoint class here' if !defined $name || ref $name;
    my $endpoint = $self->{endpoint};
    croak "No such middleware method: $name" unless $endpoint->can($name);
    return _checked(
        sub {
            my ($ctx) = @_;
            return $endpoint->$name($ctx, sub { $inner->($ctx) });
        },
        "route middleware '$name' did not return a response",
    );
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Endpoint::Router::Builder - what registers the routes of an endpoint class

=head1 SYNOPSIS

    package My::Site;
    use strict;
    use warnings;
    use parent 'PAGI::Endpoint::Router';
    use Future::AsyncAwait;

    sub routes {
        my ($self, $r) = @_;
        $r->get('/' => 'home')->name('home');
        $r->get('/about' => async sub { my ($ctx) = @_; return $ctx->text('about') });
    }

    async sub home {
        my ($self, $ctx) = @_;
        return $ctx->text('home');
    }

    package main;
    my $app = My::Site->to_app;

=head1 DESCRIPTION

The object C<routes> of L<PAGI::Endpoint::Router> gets. All methods but the last two return it. A mistake dies with a message and
the location of the caller.

=head1 METHODS

=head2 new

    my $r = PAGI::Endpoint::Router::Builder->new($endpoint, $router);

Made by L<PAGI::Endpoint::Router>, over a L<PAGI::App::Router>.

=head2 get, post, put, patch, delete, head, options

    $r->get($path => $handler);
    $r->post($path => [ 'first_middleware', 'second_middleware' ] => $handler);

The handler is the name of a method or a coderef, middleware are names of methods. Die with C<Invalid route arguments>, C<No such
method: NAME in CLASS>, C<No such middleware method: NAME>, or C<Standard middleware (coderef/object) belong at the mount or group
level, ...>.

=head2 websocket, sse

    $r->websocket($path => $handler);

Die with C<Invalid route arguments>, C<No such method: NAME>, or C<WebSocket routes do not support route-level middleware; apply event
middleware at the mount or group level> (C<SSE routes ...>).

=head2 mount

    $r->mount('/api' => 'My::API');
    $r->mount('/static' => [$middleware] => $app);

As in L<PAGI::App::Router>.

=head2 name, as

Name the route before, or give a namespace to the names of the mount before, as in L<PAGI::App::Router>.

=head2 uri_for

    my $path = $r->uri_for('user', { id => 1 }, { page => 2 });

The path of a named route.

=head2 named_routes

Hashref of the named routes.

=head1 SEE ALSO

L<PAGI::Endpoint::Router>

=cut
