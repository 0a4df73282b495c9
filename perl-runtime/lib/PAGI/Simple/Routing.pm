package PAGI::Simple::Routing;

use strict;
use warnings;

use Carp qw(croak);
use File::Spec;
use PAGI::Simple::RouteHandle;
use Scalar::Util qw(blessed weaken);

# --- routes

sub get    { return shift->_route(GET    => @_) }
sub post   { return shift->_route(POST   => @_) }
sub put    { return shift->_route(PUT    => @_) }
sub patch  { return shift->_route(PATCH  => @_) }
sub delete { return shift->_route(DELETE => @_) }
sub del    { return shift->_route(DELETE => @_) }
sub any    { return shift->_route('*'    => @_) }

sub route {
    my ($self, $method, @args) = @_;
    croak 'route needs a method' unless defined $method && length $method;
    return $self->_route(uc $method, @args);
}

sub _route {
    my ($self, $method, $path, @args) = @_;
    return PAGI::Simple::RouteHandle->new($self, $self->_add_route(router => $method, $path, @args));
}

sub websocket {
    my ($self, $path, @args) = @_;
    return $self->_add_route(ws_router => '*', $path, @args);
}

sub sse {
    my ($self, $path, @args) = @_;
    return $self->_add_route(sse_router => '*', $path, @args);
}

# ($path, [\@middleware,] $handler | '#method'..., [\%options])
sub _add_route {
    my ($self, $table, $method, $path, @args) = @_;
    croak 'Invalid route arguments: a path is missing' unless defined $path && !ref $path;
    my %options = ref $args[-1] eq 'HASH' ? %{ pop @args } : ();
    my @middleware = ref $args[0] eq 'ARRAY' ? @{ shift @args } : ();
    my $handler = @args == 1 && ref $args[0] eq 'CODE';
    my $methods = @args && !grep { ref $_ || !defined $_ || !/\A#\w+\z/ } @args;
    croak "Invalid route arguments for '$path': expected ([\\\@middleware,] \$handler) or '#method' names"
        unless $handler || $methods;
    my $instance = $options{handler_instance};
    # an application class can have its handlers as methods of its own
    $instance = $self if $methods && !$instance && ref $self ne 'PAGI::Simple';
    croak "Invalid route arguments for '$path': there is no object to call '$args[0]' on" if $methods && !$instance;

    my $full = $self->{prefix} . $path;
    $full =~ s{\A/{2,}}{/};
    my $route = $self->{$table}->add($method, $full, @args, { middleware => [ @{ $self->{group} }, @middleware ] });
    $route->{handler_instance} = $instance;
    weaken($route->{handler_instance}) if $instance && $instance == $self;
    return $route;
}

sub group {
    my ($self, $prefix, @args) = @_;
    my @middleware = ref $args[0] eq 'ARRAY' ? @{ shift @args } : ();
    croak 'group takes ($prefix, [\@middleware,] $callback)' unless defined $prefix && !ref $prefix && @args == 1 && ref $args[0] eq 'CODE';
    local $self->{prefix} = $self->{prefix} . $prefix;
    local $self->{group}  = [ @{ $self->{group} }, @middleware ];
    $args[0]->($self);
    return $self;
}

sub static {
    my ($self, $prefix, $options) = @_;
    require PAGI::Simple::Static;
    my %options = ref $options eq 'HASH' ? %$options : (root => $options);
    $options{root} = File::Spec->rel2abs($options{root}, $self->{home}) if defined $options{root};
    push @{ $self->{statics} }, PAGI::Simple::Static->new($prefix, \%options);
    return $self;
}

sub named_routes { return $_[0]{router}->named_routes }

sub url_for {
    my ($self, $name, %params) = @_;
    my $url = $self->_local_url_for($name, %params);
    return defined $url ? $self->_mounted_at . $url : undef;
}

sub _local_url_for {
    my ($self, $name, %params) = @_;
    for my $table (qw(router sse_router ws_router)) {
        return $self->{$table}->url_for($name, %params) if $self->{$table}->find_by_name($name);
    }
    return undef;
}

sub _mounted_at {
    my ($self) = @_;
    my $parent = $self->{parent} or return '';
    return $parent->_mounted_at . $self->{parent_prefix};
}

# --- mounts

sub mount {
    my ($self, $prefix, $target, @args) = @_;
    croak 'mount takes ($prefix, $target, [\@middleware,] [\%arguments])' unless defined $prefix && defined $target;
    my @middleware = map { ref $_ eq 'ARRAY' ? @$_ : () } @args;
    my %arguments  = map { ref $_ eq 'HASH' ? %$_ : () } @args;

    $prefix = "/$prefix" unless $prefix =~ m{\A/};
    $prefix =~ s{/\z}{};
    $target = $self->_mount_class($target) unless ref $target;
    if ((blessed $target || !ref $target) && $target->isa('PAGI::Simple::Handler')) {
        return $self->_mount_handler($prefix, $target, \@middleware, \%arguments);
    }
    $target = $target->new(%arguments) unless ref $target;

    require PAGI::Simple::Mount;
    my $full = $self->{prefix} . $prefix;
    my $mount = PAGI::Simple::Mount->new(
        parent => $self, prefix => $full, target => $target, middleware => [ @{ $self->{group} }, @middleware ],
    );
    if (blessed $target && $target->isa('PAGI::Simple')) {
        push @{ $self->{children} }, $target;
        if (!$target->{parent}) {
            @$target{qw(parent parent_prefix)} = ($self, $full);
            weaken($target->{parent});
        }
    }
    # everything that nothing else matched; a prefix '' among the others would hide the routes of this application
    if (!length $full) { $self->{root_mount} ||= $mount }
    else               { push @{ $self->{mounts} }, $mount }
    return $self;
}

sub _mount_class {
    my ($self, $class) = @_;
    $class = ref($self->_root_app) . $class if $class =~ /\A::/;
    if (!$class->can('new')) {
        (my $file = "$class.pm") =~ s{::}{/}g;
        croak "mount(): Can't load $class: $@" unless $class =~ /\A\w+(?:::\w+)*\z/ && eval { require $file; 1 };
    }
    croak "mount(): $class has no new() method" unless $class->can('new');
    return $class;
}

# '::Name' and the app of handlers are relative to the application that has the mounts, all the way up.
sub _root_app {
    my ($self) = @_;
    return $self->{parent} ? $self->{parent}->_root_app : $self;
}

sub _mount_handler {
    my ($self, $prefix, $target, $middleware, $arguments) = @_;
    require PAGI::Simple::Router::Scoped;
    my $handler = ref $target ? $target : $target->new(%$arguments, app => $self->_root_app);
    push @{ $self->{handlers} }, $handler;
    my $router = PAGI::Simple::Router::Scoped->new(app => $self, instance => $handler);
    return $self->group($prefix, $middleware, sub { (ref $handler)->routes($handler->app, $router) });
}

sub _mount_for {
    my ($self, $scope) = @_;
    for my $mount (@{ $self->{mounts} }) {
        return $mount if $mount->covers($scope->{path});
    }
    return undef;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Routing - the methods of an application that declare routes

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Routes');    # has these methods
    $app->get('/' => sub { my ($c) = @_; $c->text('home') })->name('home');
    $app->group('/api' => sub {
        my ($api) = @_;
        $api->get('/time' => sub { my ($c) = @_; $c->json({ time => time }) });
    });
    $app->to_app;

=head1 DESCRIPTION

The part of L<PAGI::Simple> that is about addresses.

=head1 METHODS

=head2 get, post, put, patch, delete, del, any, route

    $app->get($path => $handler);
    $app->get($path => \@middleware => $handler);
    $app->route(PURGE => $path => $handler);

Declare a route and return a L<PAGI::Simple::RouteHandle>, to name it or to go on. The first declared route that matches wins; GET routes
answer HEAD. Paths: C<:name> or C<{name}> is one segment, C<{name:regex}> a constrained one, C<*name> everything; see
L<PAGI::Simple::Pattern>. Wrong arguments die with C<Invalid route arguments ...>.

=head2 websocket, sse

    $app->websocket('/chat/:room' => \@middleware => sub { my ($ws) = @_; ... });
    $app->sse('/events' => sub { my ($sse) = @_; ... });

Return the L<PAGI::Simple::Route>. See L<PAGI::Simple::WebSocket> and L<PAGI::Simple::SSE>.

=head2 group

    $app->group('/api' => ['auth'] => sub { my ($app) = @_; $app->get('/users' => ...) });

Routes, WebSocket, SSE and mounts declared in the callback get the prefix and, first, the middleware. Groups nest.

=head2 mount

    $app->mount('/api' => $other_app, ['auth']);
    $app->mount('/users' => 'MyApp::Users', { per_page => 20 });
    $app->mount('/users' => '::Users');

The target is an object with C<to_app>, a PAGI coderef, or a class, C<::Name> being below the class of the root application. Classes
get the hashref as constructor arguments. A L<PAGI::Simple::Handler> adds its routes; all others are applications of their own
(L<PAGI::Simple::Mount>), tried before the routes, in order, except at C</>: that gets what nothing else matched. Dies with C<mount(): Can't load
CLASS> or C<mount(): CLASS has no new() method>.

=head2 static

    $app->static('/assets' => 'public');

Files of a directory (relative to home), tried after the routes. See L<PAGI::Simple::Static>.

=head2 url_for, named_routes

    my $url = $app->url_for('user', id => 7, query => { tab => 'log' });

The URL of a named route, including the prefix the application is mounted at, or undef; see L<PAGI::Simple::Router/url_for>. HTTP routes come
first, then SSE, then WebSocket. C<named_routes> lists the HTTP names. A name can be used once.

=head1 SEE ALSO

L<PAGI::Simple>, L<PAGI::Simple::Pattern>, L<PAGI::Simple::Handler>

=cut
