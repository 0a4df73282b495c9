package PAGI::App::Router;

use strict;
use warnings;

use Carp qw(croak);
use PAGI::App::Router::Dispatcher;
use PAGI::App::Router::Pattern;
use PAGI::App::Router::Route;
use PAGI::Sync ();
use PAGI::Utils ();
use Scalar::Util qw(blessed reftype);

our @CARP_NOT = qw(PAGI::Utils PAGI::App::Router::Pattern PAGI::App::Router::Route);

my $SHAPE = 'Invalid route arguments: expected ($app) or (\@middleware => $app)';

sub new {
    my ($class, %args) = @_;
    return bless {
        not_found        => defined $args{not_found} ? PAGI::Utils::to_app($args{not_found}) : undef,
        routes           => [],
        websocket_routes => [],
        sse_routes       => [],
        mounts           => [],
        _names           => {},
        _group           => { prefix => '', middleware => [] },
        _last_route      => undef,    # what name() and constraints() apply to
        _last_names      => undef,    # what as() applies to
    }, $class;
}

# --- routes

for my $verb (qw(get post put patch delete head options)) {
    no strict 'refs';
    *$verb = sub {
        my ($self, $path, @target) = @_;
        return $self->_add_http([uc $verb], $path, @target);
    };
}

sub route {
    my ($self, $method, $path, @target) = @_;
    return $self->_add_http(_methods($method), $path, @target);
}

sub any {
    my ($self, $path, @target) = @_;
    my @options = splice @target, ref $target[0] eq 'ARRAY' ? 2 : 1;
    croak $SHAPE if @options % 2;
    my %options = @options;
    my $method = delete $options{method};
    croak "$SHAPE, then (method => \$name_or_arrayref); unknown: " . join ', ', sort keys %options if %options;
    return $self->_add_http(_methods($method // '*'), $path, @target);
}

sub websocket { my ($self, @route) = @_; return $self->_add(websocket_routes => undef, @route) }
sub sse       { my ($self, @route) = @_; return $self->_add(sse_routes       => undef, @route) }

sub _methods {
    my ($method) = @_;
    croak 'A route needs a method: a name, an arrayref of names, or *' unless defined $method;
    my @methods = map { uc } ref $method eq 'ARRAY' ? @$method : $method;
    return (grep { $_ eq '*' } @methods) ? undef : \@methods;
}

sub _add_http { my ($self, $methods, @route) = @_; return $self->_add(routes => $methods, @route) }

sub _add {
    my ($self, $list, $methods, $path, @target) = @_;
    my ($middleware, $target) = _target(@target);
    my $group = $self->{_group};
    my $route = PAGI::App::Router::Route->new(
        path       => $group->{prefix} . ($path // croak 'A route needs a path'),
        methods    => $methods,
        middleware => [@{ $group->{middleware} }, @$middleware],
        app        => PAGI::Sync::app(PAGI::Utils::to_app($target)),
    );
    push @{ $self->{$list} }, $route;
    $self->_latest(route => $route);
    return $self;
}

sub constraints {
    my ($self, %constraints) = @_;
    my $route = $self->{_last_route} or croak 'constraints() called without a preceding route';
    $route->constrain(%constraints);
    return $self;
}

# The latest registration decides what name(), constraints() and as() mean.
sub _latest {
    my ($self, %latest) = @_;
    $self->{_last_route} = $latest{route};
    $self->{_last_names} = $latest{names};
    return;
}

# ($app) or (\@middleware, $app)
sub _target {
    my (@target) = @_;
    my $middleware = @target == 2 && ref $target[0] eq 'ARRAY' ? shift @target : [];
    croak $SHAPE unless @target == 1;
    for my $entry (@$middleware) {
        next if blessed $entry && $entry->can('wrap');
        next if ref $entry && reftype $entry eq 'CODE';
        croak 'Invalid middleware: expected coderef factory or object with ->wrap method, got ' . (ref($entry) || 'scalar');
    }
    return ($middleware, $target[0]);
}

# --- mounts and groups

sub mount {
    my ($self, $prefix, @target) = @_;
    my ($middleware, $target) = _target(@target);
    my $group = $self->{_group};
    $prefix = _without_slash($prefix);
    push @{ $self->{mounts} }, {
        group_prefix => $group->{prefix},
        prefix       => $prefix,
        middleware   => [@{ $group->{middleware} }, @$middleware],
        app          => PAGI::Sync::app(PAGI::Utils::to_app($target)),
    };
    my $router = blessed $target && $target->isa(__PACKAGE__) ? $target : undef;
    $self->_latest(names => { mounted => $router, prefix => $group->{prefix} . $prefix });
    return $self;
}

sub group {
    my ($self, $prefix, @target) = @_;
    my ($middleware, $target) = _target(@target);
    my $outer = $self->{_group};
    my %before = %{ $self->{_names} };
    {
        local $self->{_group} = {
            prefix     => $outer->{prefix} . _without_slash($prefix),
            middleware => [@{ $outer->{middleware} }, @$middleware],
        };
        if (ref $target eq 'CODE') { $target->($self) }
        else                       { $self->_include(_router_of($target)) }
    }
    my @names = grep { !exists $before{$_} } sort keys %{ $self->{_names} };
    $self->_latest(names => @names ? { grouped => \@names } : undef);
    return $self;
}

sub _without_slash {
    my ($prefix) = @_;
    croak 'A mount or group needs a prefix' if !defined $prefix || ref $prefix;
    return $prefix =~ s{/\z}{}r;
}

sub _router_of {
    my ($target) = @_;
    return $target if blessed $target && $target->isa(__PACKAGE__);
    croak 'group() target must be a coderef, PAGI::App::Router, or package name, got ' . (ref($target) || 'undef')
        if !defined $target || ref $target;

    my $error = _load($target);
    croak "Failed to load '$target': $error" if defined $error;
    croak "'$target' does not have a router() method" unless $target->can('router');
    my $router = $target->router;
    croak "'$target->router()' must return a PAGI::App::Router, got " . (ref($router) || (defined $router ? 'scalar' : 'undef'))
        unless blessed $router && $router->isa(__PACKAGE__);
    return $router;
}

sub _load {
    my ($class) = @_;
    return 'it is no package name' unless $class =~ /\A\w+(?:::\w+)*\z/;
    return undef if $class->can('router');
    (my $file = "$class.pm") =~ s{::}{/}g;
    local $@;
    return eval { require $file; 1 } ? undef : $@;
}

# Copies what the router has now; what is added to it later stays its own.
sub _include {
    my ($self, $router) = @_;
    my ($prefix, $middleware) = @{ $self->{_group} }{qw(prefix middleware)};
    for my $list (qw(routes websocket_routes sse_routes)) {
        push @{ $self->{$list} }, map { $_->below($prefix, $middleware) } @{ $router->{$list} };
    }
    push @{ $self->{mounts} }, map {
        +{
            %$_,
            group_prefix => $prefix . $_->{group_prefix},
            middleware   => [@$middleware, @{ $_->{middleware} }],
        }
    } @{ $router->{mounts} };
    $self->_import_names($router, $prefix, '');
    return;
}

# --- names

sub name {
    my ($self, $name) = @_;
    my $route = $self->{_last_route} or croak 'name() called without a preceding route';
    croak 'Route name required' unless defined $name && length $name;
    $self->_add_name($name, { name => $name, path => $route->{path}, prefix => '' });
    return $self;
}

sub as {
    my ($self, $namespace) = @_;
    croak 'Namespace required' unless defined $namespace && length $namespace;
    my $latest = $self->{_last_names} or croak 'as() called without a preceding mount or group';
    if (my $names = $latest->{grouped}) {
        my @moved = map { delete $self->{_names}{$_} } @$names;
        $self->_add_name("$namespace.$_->{name}", { %$_, name => "$namespace.$_->{name}" }) for @moved;
    }
    else {
        my $router = $latest->{mounted} or croak 'as() requires mounting a router object, not an app coderef';
        $self->_import_names($router, $latest->{prefix}, "$namespace.");
    }
    $self->{_last_names} = undef;
    return $self;
}

sub _import_names {
    my ($self, $router, $prefix, $namespace) = @_;
    for my $name (sort keys %{ $router->{_names} }) {
        my $entry = $router->{_names}{$name};
        $self->_add_name("$namespace$name", { %$entry, name => "$namespace$name", prefix => $prefix . $entry->{prefix} });
    }
    return;
}

sub _add_name {
    my ($self, $name, $entry) = @_;
    croak "Named route '$name' already exists" if exists $self->{_names}{$name};
    $self->{_names}{$name} = $entry;
    return;
}

sub named_routes {
    my ($self) = @_;
    return { map { $_ => { %{ $self->{_names}{$_} } } } keys %{ $self->{_names} } };
}

sub uri_for {
    my ($self, $name, $values, $query) = @_;
    my $entry = defined $name ? $self->{_names}{$name} : undef;
    croak "Unknown route name: '" . ($name // '') . q{'} unless $entry;
    my $pattern = $entry->{pattern} ||= PAGI::App::Router::Pattern->new($entry->{prefix} . $entry->{path});
    my $uri = $pattern->uri($name, $values || {});
    my @pairs;
    for my $key (sort keys %{ $query || {} }) {
        push @pairs, map { _query_encode($key) . '=' . _query_encode($_ // '') }
            ref $query->{$key} eq 'ARRAY' ? @{ $query->{$key} } : $query->{$key};
    }
    return @pairs ? "$uri?" . join('&', @pairs) : $uri;
}

sub _query_encode {
    my ($text) = @_;
    utf8::encode($text = "$text");
    return $text =~ s/([^A-Za-z0-9\-_.~])/sprintf '%%%02X', ord $1/ger;
}

# --- the app

sub to_app {
    my ($self) = @_;
    return PAGI::App::Router::Dispatcher->new(
        http      => $self->{routes},
        websocket => $self->{websocket_routes},
        sse       => $self->{sse_routes},
        mounts    => $self->{mounts},
        not_found => $self->{not_found},
    )->to_app;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Router - routing for HTTP, WebSocket and server-sent events

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::App::Router;
    use PAGI::Response;

    my $router = PAGI::App::Router->new;

    $router->get('/users/:id' => async sub {
        my ($scope, $receive, $send) = @_;
        await PAGI::Response->json({ id => $scope->{path_params}{id} })->respond($send);
    })->name('user')->constraints(id => qr/\d+/);

    $router->websocket('/echo' => 'PAGI::App::WebSocket::Echo');
    $router->mount('/static'   => 'PAGI::App::NotFound');

    print $router->uri_for('user', { id => 42 }, { tab => 'mail' }), "\n";    # /users/42?tab=mail

    my $app = $router->to_app;

=head1 DESCRIPTION

Routes are tried in the order in which they were registered. HTTP routes match by method and path, WebSocket and SSE routes
by path. Then come mounts, the longest prefix first, then C<not_found> or a 404.

=head2 Path patterns

    /users/:id         one or more characters that are no slash
    /users/{id}        the same
    /users/{id:\d+}    the same, and the whole value has to match the regular expression
    /files/*path       one or more characters of any kind

Everything else is literal, and the whole path has to match. The scope of the handler, a copy, has the values in C<path_params> (a
hashref; the last of equal names counts) and the pattern as C<< $scope->{'pagi.router'}{route} >>. Paths are characters.

=head2 Answers of its own

When a path is known, but for other methods only: 405 C<Method Not Allowed> with C<allow>; mounts are not asked. HEAD uses GET
routes too; the server keeps the body to itself. When nothing fits: 404 C<Not Found> in the event family of the scope; a WebSocket
is closed before accept where the server does not advertise C<websocket.http.response>. A lifespan scope returns at once,
and the Future fails for other types. The Future resolves to what an HTTP handler's did, otherwise to nothing.

=head2 Middleware

An arrayref before the target of a route, mount or group:

    $router->get('/admin' => [$auth, sub { my ($app) = @_; return sub { ... } }] => $admin);

Entries are objects with C<wrap($app)>, or coderefs called with the app that return an app. The first one is outermost. They
are put together once for each L</to_app>. Others croak
C<Invalid middleware: expected coderef factory or object with -E<gt>wrap method, got TYPE>.

=head1 METHODS

Registration methods return the router. Targets are whatever L<PAGI::Utils/to_app> takes: a coderef, an object with C<to_app> or a class
name. Wrong arguments croak C<Invalid route arguments: expected ($app) or (\@middleware =E<gt> $app)>.

=head2 new

    my $router = PAGI::App::Router->new(not_found => $app);

C<not_found> is optional; it is called instead of the 404, for all three scope types.

=head2 get, post, put, patch, delete, head, options

    $router->get($path => $app);
    $router->get($path => \@middleware => $app);

=head2 route

    $router->route($method, $path => $app);

C<$method> is a name in any case, an arrayref of names, or C<*>.

=head2 any

    $router->any($path => $app, method => ['GET', 'POST']);

Every method, unless C<method> says otherwise.

=head2 websocket, sse

    $router->websocket($path => $app);

=head2 constraints

    $router->get('/users/:id' => $app)->constraints(id => qr/\d+/);

For the route before: the complete value has to match, else the route is passed over. So is a route whose path has no such
parameter. Croaks C<constraints() called without a preceding route> and C<Constraint for 'N' must be a Regexp (qr//), got TYPE>.

=head2 mount

    $router->mount('/admin' => $app);

The app gets everything below the prefix, with C<path> being the rest (or C</>) and C<root_path> longer by the prefix. One slash
at the end of the prefix is dropped. What is added to a mounted router later is not seen.

Here and for routes, an app that is marked as blocking (L<PAGI::Sync>) runs in a process of the server's pool.

=head2 group

    $router->group('/api' => \@middleware => sub { my ($router) = @_; $router->get('/users' => $app) });
    $router->group('/api' => $other_router);
    $router->group('/api' => 'My::Routes');      # My::Routes->router

Prefix and middleware for all that is registered inside, mounts included; groups nest. Handlers see the whole path. Routes of another
router are copied at once. Croaks C<Failed to load 'P': E>, C<'P' does not have a router() method>,
C<'P-E<gt>router()' must return a PAGI::App::Router, got T> and
C<group() target must be a coderef, PAGI::App::Router, or package name, got T>.

=head2 name

    $router->get('/users/:id' => $app)->name('user');

Croaks C<name() called without a preceding route>, C<Route name required> and C<Named route 'N' already exists>.

=head2 as

    $router->group('/users' => sub { ... })->as('users');
    $router->mount('/users' => $other_router)->as('users');

Puts a namespace before the names registered by the group, or imports those of the mounted router: C<users.NAME>. Croaks
C<Namespace required>, C<as() called without a preceding mount or group>,
C<as() requires mounting a router object, not an app coderef> and C<Named route 'X' already exists>.

=head2 named_routes

A hashref, by name, of copies of the entries (C<name>, C<path>, C<prefix>).

=head2 uri_for

    my $uri = $router->uri_for($name, \%path, \%query);

The path with values and mount prefix, and the query sorted by key. Values are characters, percent-encoded as UTF-8; slashes are kept
in C<*name> values. A query value may be an arrayref. Croaks C<Unknown route name: 'N'> and
C<Missing required path parameter 'P' for route 'N'>.

=head2 to_app

The app, with the routes there are now.

=head1 SEE ALSO

L<PAGI::Endpoint::Router>, L<PAGI::App::URLMap>

=cut
