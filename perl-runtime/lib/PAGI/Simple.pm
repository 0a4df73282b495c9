package PAGI::Simple;

use strict;
use warnings;

our $VERSION = '0.001';

use Carp qw(croak carp);
use Cwd ();
use File::Basename ();
use File::Spec;
use Future::AsyncAwait;
use PAGI::Simple::Callback;
use PAGI::Simple::Dispatcher;
use PAGI::Simple::RouteHandle;
use PAGI::Simple::Router;
use Scalar::Util qw(blessed weaken);

my @OPTIONS = qw(name namespace home lib views share workers service_config quiet session development max_body_size upload);

# --- construction

sub new {
    my ($class, %options) = @_;
    my $file = delete $options{_file} || (caller)[1];
    %options = ($class->init, %options) if $class ne __PACKAGE__ && $class->can('init');

    my %valid = map { $_ => 1 } @OPTIONS;
    my @unknown = grep { !$valid{$_} } sort keys %options;
    croak "Unknown options to $class->new: " . join(', ', @unknown) . '. Valid: ' . join(', ', sort @OPTIONS) if @unknown;

    require PAGI::Simple::Home;
    my $name = defined $options{name} ? $options{name} : __PACKAGE__;
    my $self = bless {
        name           => $name,
        namespace      => defined $options{namespace} ? $options{namespace} : PAGI::Simple::Home::namespace_of($name),
        home           => PAGI::Simple::Home::directory($options{home}, $file),
        quiet          => $options{quiet},
        development    => exists $options{development} ? $options{development} : ($ENV{PAGI_ENV} || '') eq 'development',
        limits         => { map { $_ => $options{$_} } grep { defined $options{$_} } qw(max_body_size upload) },
        service_config => $options{service_config} || {},
        workers        => $options{workers},
        stash          => {},
        router         => PAGI::Simple::Router->new,
        ws_router      => PAGI::Simple::Router->new,
        sse_router     => PAGI::Simple::Router->new,
        prefix         => '',
        group          => [],
        middleware     => {},
        errors         => {},
        hooks          => { startup => [], shutdown => [] },
        enabled        => [],
        children       => [],
    }, $class;
    $self->{lib_dir} = exists $options{lib} ? $options{lib} : "$self->{home}/lib";
    PAGI::Simple::Home::add_lib($self->{lib_dir}) if defined $self->{lib_dir};

    if (exists $options{views}) {
        my $views = $options{views};
        $self->views(!defined $views ? () : ref $views eq 'HASH' ? (delete $views->{directory}, $views) : $views);
    }
    $self->share(ref $options{share} ? @{ $options{share} } : $options{share}) if defined $options{share};
    $self->enable_session(%{ $options{session} }) if $options{session};
    $self->routes($self, $self) if $class ne __PACKAGE__ && $class->can('routes');
    return $self;
}

sub name      { return $_[0]{name} }
sub namespace { return $_[0]{namespace} }
sub home      { return $_[0]{home} }
sub lib_dir   { return $_[0]{lib_dir} }
sub stash     { return $_[0]{stash} }
sub router    { return $_[0]{router} }

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
    $instance = $self if $methods && !$instance && ref $self ne __PACKAGE__;
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
    if (blessed $target && $target->isa(__PACKAGE__)) {
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

# --- hooks, middleware, errors

sub hook {
    my ($self, $type, $code) = @_;
    croak 'Unknown hook type: ' . (defined $type ? $type : 'undef') . ' (expected before or after)'
        unless defined $type && $type =~ /\A(?:before|after)\z/;
    croak "hook '$type' needs a coderef" unless ref $code eq 'CODE';
    push @{ $self->{$type} }, $code;
    return $self;
}

sub before { return $_[0]->hook(before => $_[1]) }
sub after  { return $_[0]->hook(after  => $_[1]) }

sub middleware {
    my ($self, $name, $code) = @_;
    croak 'middleware takes ($name, $coderef)' unless defined $name && ref $code eq 'CODE';
    $self->{middleware}{$name} = $code;
    return $self;
}

sub get_middleware { return $_[0]{middleware}{ $_[1] } }
sub has_middleware { return exists $_[0]{middleware}{ $_[1] } ? 1 : 0 }

sub enable {
    my ($self, $middleware, %config) = @_;
    require PAGI::Middleware::Builder;
    # a check now: a name that does not exist should be reported where it is written
    PAGI::Middleware::Builder->new->add_middleware($middleware, %config);
    push @{ $self->{enabled} }, [ $middleware, %config ];
    return $self;
}

sub use { return shift->enable(@_) }

sub enable_session {
    my ($self, %options) = @_;
    require PAGI::Middleware::Session::Store::Shared;
    $options{store} ||= PAGI::Middleware::Session::Store::Shared->new(max_idle => $options{expire} || 3600);
    return $self->enable(Session => %options);
}

sub error {
    my ($self, $status, $code) = @_;
    croak 'error takes ($status, $coderef)' unless defined $status && $status =~ /\A[1-9][0-9][0-9]\z/ && ref $code eq 'CODE';
    $self->{errors}{$status} = $code;
    return $self;
}

sub get_error_handler { return $_[0]{errors}{ $_[1] } }
sub not_found         { return $_[0]->error(404 => $_[1]) }

sub use_cors {
    my ($self, %options) = @_;
    require PAGI::Simple::CORS;
    $self->{cors} = PAGI::Simple::CORS->new(%options);
    return $self;
}

sub enable_logging {
    my ($self, %options) = @_;
    require PAGI::Simple::Logger;
    $self->{logger} = PAGI::Simple::Logger->new(%options);
    return $self;
}

# --- the world around

sub on {
    my ($self, $event, $code) = @_;
    croak 'Unknown lifecycle event: ' . (defined $event ? $event : 'undef') . ' (expected startup or shutdown)'
        unless defined $event && $self->{hooks}{$event};
    croak "on '$event' needs a coderef" unless ref $code eq 'CODE';
    push @{ $self->{hooks}{$event} }, $code;
    return $self;
}

sub loop {
    my ($self) = @_;
    return eval { require IO::Async::Loop; IO::Async::Loop->new };
}

sub pubsub {
    require PAGI::Simple::PubSub;
    return PAGI::Simple::PubSub->instance;
}

sub views {
    my ($self, $directory, @options) = @_;
    my %options = @options == 1 && ref $options[0] eq 'HASH' ? %{ $options[0] } : @options;
    $directory = defined $options{directory} ? delete $options{directory} : delete $options{template_dir} unless defined $directory;
    $directory = 'templates' unless defined $directory;
    $self->{view_options} = { %options, directory => File::Spec->rel2abs($directory, $self->{home}) };
    delete $self->{view};
    return $self;
}

sub view {
    my ($self) = @_;
    return $self->{view} if $self->{view} || !$self->{view_options};
    require PAGI::Simple::View;
    return $self->{view} = PAGI::Simple::View->new(development => $self->{development}, %{ $self->{view_options} }, app => $self);
}

sub share_dir {
    my ($self, $name) = @_;
    require PAGI::Simple::Home;
    return PAGI::Simple::Home::share_dir($name);
}

sub share {
    my ($self, @names) = @_;
    require PAGI::Simple::Home;
    for my $name (@names) {
        croak "Unknown shared asset '$name'. Available: " . join(', ', PAGI::Simple::Home::shared_assets())
            unless grep { $_ eq $name } PAGI::Simple::Home::shared_assets();
        next if $self->{shared}{$name}++;
        $self->static("/static/$name" => $self->share_dir($name));
    }
    return $self;
}

sub has_shared { return $_[0]{shared} && $_[0]{shared}{ $_[1] } ? 1 : 0 }

sub add_service {
    my ($self, $name, $service) = @_;
    $self->_services->add($name, $service);
    return $self;
}

sub service_registry { return $_[0]->_services->registry }

sub _services {
    my ($self) = @_;
    return $self->{services} ||= do {
        require PAGI::Simple::Services;
        PAGI::Simple::Services->new($self);
    };
}

sub worker_pool {
    my ($self) = @_;
    return $self->{workers} ? $self->_blocking : undef;
}

sub _blocking {
    my ($self) = @_;
    return $self->{blocking} ||= do {
        croak 'run_blocking requires worker configuration: PAGI::Simple->new(workers => { max_workers => 4 })'
            unless $self->{workers};
        require PAGI::Simple::Blocking;
        PAGI::Simple::Blocking->new(ref $self->{workers} ? %{ $self->{workers} } : ());
    };
}

# --- the PAGI application

sub to_app {
    my ($self) = @_;
    $self = $self->new(_file => (caller)[1]) unless ref $self;
    $self->_check_middleware;

    my $dispatcher = $self->{dispatcher} ||= PAGI::Simple::Dispatcher->new($self);
    my $app = sub {
        return $self->_lifespan(@_) if $_[0]{type} eq 'lifespan';
        return $dispatcher->run(@_);
    };
    if (@{ $self->{enabled} }) {
        my $builder = PAGI::Middleware::Builder->new;
        $builder->add_middleware(@$_) for @{ $self->{enabled} };
        $app = $builder->to_app($app);
    }
    return $self->{logger} ? $self->{logger}->wrap($app) : $app;
}

# Names are looked up when a request comes; a misspelt one should not wait that long to be seen.
sub _check_middleware {
    my ($self) = @_;
    my @lists = map { $_->middleware } map { $self->{$_}->routes } qw(router ws_router sse_router);
    push @lists, map { $_->{middleware} } @{ $self->{mounts} || [] };
    my %unknown = map { $_ => 1 } grep { !ref $_ && !$self->has_middleware($_) } map { @$_ } @lists;
    carp "Unknown middleware '$_' in the routes of '$self->{name}'" for sort keys %unknown;
    return;
}

sub _lifespan {
    my ($self, $scope, $receive, $send) = @_;
    require PAGI::Utils;
    return PAGI::Utils::handle_lifespan(
        $scope, $receive, $send,
        startup => sub {
            my ($state) = @_;
            my $pagi = $scope->{pagi} || {};
            my $number = defined $pagi->{worker_num} ? $pagi->{worker_num} : $scope->{'pagi.worker_num'};
            $self->_banner if !$self->{quiet} && (!defined $number || $number <= 1);
            return $self->_startup;
        },
        shutdown => sub { $self->_shutdown },
    );
}

sub _banner {
    my ($self) = @_;
    my @lines = ("Starting '$self->{name}'", "home: $self->{home}", "namespace: $self->{namespace}");
    push @lines, "lib: $self->{lib_dir}" if defined $self->{lib_dir};
    push @lines, 'shared: ' . join(', ', sort keys %{ $self->{shared} }) if $self->{shared};
    push @lines, "templates: $self->{view_options}{directory}" if $self->{view_options};
    my @services = $self->_services->names;
    push @lines, 'services: ' . join(', ', @services) if @services;
    push @lines, 'workers: blocking code runs in child processes' if $self->{workers};
    print STDERR map { "[PAGI::Simple] $_\n" } @lines;
    return;
}

# Once per process, however often an application is mounted.
async sub _startup {
    my ($self) = @_;
    return if $self->{running} && $self->{running} == $$;
    $self->{running} = $$;
    $self->_services->start;
    $self->_blocking if $self->{workers};
    my @hooks = @{ $self->{hooks}{startup} };
    while (my $hook = shift @hooks) {
        my $result = $hook->($self);
        await $result if PAGI::Simple::Callback::is_future($result);
    }
    my @children = @{ $self->{children} };
    while (my $child = shift @children) {
        await $child->_startup;
    }
    return;
}

async sub _shutdown {
    my ($self) = @_;
    return unless delete $self->{running};
    my @children = reverse @{ $self->{children} };
    while (my $child = shift @children) {
        await $child->_shutdown;
    }
    my @hooks = @{ $self->{hooks}{shutdown} };
    while (my $hook = shift @hooks) {
        next if eval {
            my $result = $hook->($self);
            await $result if PAGI::Simple::Callback::is_future($result);
            1;
        };
        warn "PAGI::Simple shutdown hook error: $@";
    }
    $self->{blocking}->stop if $self->{blocking};
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple - a small web framework for PAGI

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo');

    $app->get('/' => sub {
        my ($c) = @_;
        $c->text('Hello, World!');
    });

    $app->get('/hello/:who' => sub {
        my ($c) = @_;
        $c->json({ hello => $c->path_params->{who} });
    })->name('hello');

    $app->post('/echo' => sub {
        my ($c) = @_;
        $c->json($c->json_body);
    });

    $app->websocket('/chat' => sub {
        my ($ws) = @_;
        $ws->on(message => sub { my ($text) = @_; $ws->broadcast($text) });
    });

    $app->to_app;

Save it as F<app.pl> and run C<pagi-server app.pl>.

=head1 DESCRIPTION

Routes, hooks, middleware, forms, uploads, cookies, sessions, WebSocket rooms, event streams and templates, on the classes of the PAGI
toolkit. A handler is a plain or an C<async> sub. What it returns is awaited if it is a L<Future> and ignored otherwise; the response is sent by
calling a method such as C<< $c->text >>, whose Future may be ignored too.

The manual for what handlers see is in L<PAGI::Simple::Context>, L<PAGI::Simple::Request>, L<PAGI::Simple::WebSocket> and
L<PAGI::Simple::SSE>.

=head1 CONSTRUCTION

=head2 new

    my $app = PAGI::Simple->new(name => 'Demo', views => 'templates');

Another option than these dies with C<Unknown options to CLASS-E<gt>new: ...>:

=over 4

=item name

Display name, default C<PAGI::Simple>.

=item namespace

Prefix of the service classes; by default made from the name (C<Live Poll> gives C<LivePoll>).

=item home

The application's directory; relative paths are relative to the detected one: the directory of the calling file, or its parent if
that is a F<lib> directory inside an application.

=item lib

Directory put at the front of C<@INC>, default F<lib> below home; undef for none.

=item views

Directory of templates, or a hashref with C<directory> and the options of L<PAGI::Simple::View>; undef means F<templates>.

=item share

Name, or arrayref of names, for C<share>.

=item session

Hashref for C<enable_session>.

=item workers

True, or a hashref with the options of L<PAGI::Simple::Blocking>.

=item service_config

Hashref of constructor arguments by service name.

=item max_body_size

Largest buffered request body in bytes, default 10 MiB, 0 for no limit. A larger one is a 413.

=item upload

Hashref: C<max_file_size> (10 MiB), C<max_total_size> (50 MiB), C<memory_threshold> (64 KiB), C<temp_dir>.

=item development

Error pages show the exception. Default: C<$ENV{PAGI_ENV}> is C<development>.

=item quiet

No banner on STDERR at the start.

=back

=head2 Subclasses

    package MyApp;
    use parent 'PAGI::Simple';

    sub init { return (name => 'My App') }          # default options
    sub routes {
        my ($class, $app, $r) = @_;                 # called at the end of new
        $r->get('/' => '#index');
    }
    sub index { my ($self, $c) = @_; $c->text('Hi') }

=head1 ROUTES

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

=head1 HOOKS, MIDDLEWARE, ERRORS

=head2 hook, before, after

    $app->hook(before => sub { my ($c) = @_; ... });

C<before> hooks run for every matched route, WebSocket and SSE included, and may answer instead. C<after> hooks run when an HTTP handler is
finished, however it ended. Dies with C<Unknown hook type: ...>.

=head2 middleware, get_middleware, has_middleware

    $app->middleware(auth => async sub { my ($c, $next) = @_; await $next->() });

Named middleware for routes, groups and mounts (L<PAGI::Simple::Middleware>).

=head2 enable, use

    $app->enable('GZip')->enable(SecurityHeaders => %options);

PAGI middleware around the whole application, the first outermost; see L<PAGI::Middleware::Builder/enable>.

=head2 enable_session

    $app->enable_session(secret => $secret, store => $store);

Sessions for C<< $c->session >>. Options and stores in L<PAGI::Middleware::Session>; the store is
L<PAGI::Middleware::Session::Store::Shared> unless another is given, so all workers see the same sessions.

=head2 error, get_error_handler, not_found

    $app->error(404 => sub { my ($c, $message) = @_; ... });
    $app->not_found(sub { my ($c) = @_; ... });

One handler per status. The status is preset. See L<PAGI::Simple::ErrorPage>.

=head2 use_cors

See L<PAGI::Simple::CORS>.

=head2 enable_logging

See L<PAGI::Simple::Logger>.

=head1 LIFE CYCLE

=head2 on

    $app->on(startup => async sub { my ($app) = @_; ... });
    $app->on(shutdown => sub { my ($app) = @_; ... });

Once per worker process, in order, Futures being awaited; for mounted PAGI::Simple applications as well. A startup hook that dies stops the
server. Failing shutdown hooks are warned about. Other names die with C<Unknown lifecycle event: ...>.

=head2 to_app

The PAGI coderef. As a class method makes the application first.

=head1 PARTS

=head2 name, namespace, home, lib_dir, stash, router

Strings (C<lib_dir> may be undef), a hashref that lives as long as the process, the L<PAGI::Simple::Router> of HTTP routes.

=head2 loop

The L<IO::Async::Loop> of the worker, or undef when that module is not installed.

=head2 pubsub

The L<PAGI::Simple::PubSub> of the process.

=head2 views, view

    $app->views('templates', cache => 0);

Set the templates up, again if need be (returns the application); the L<PAGI::Simple::View> or undef.

=head2 share, share_dir, has_shared

    $app->share('htmx');

Serve assets that come with PAGI::Simple: C<htmx> at F</static/htmx>. Dies with C<Unknown shared asset 'NAME'. Available: ...>, C<share_dir> with
C<Shared asset 'NAME' not found>.

=head2 add_service, service_registry

    $app->add_service(Clock => sub { my ($app) = @_; My::Clock->new });

See L<PAGI::Simple::Service::_Base>.

=head2 worker_pool

The L<PAGI::Simple::Blocking> that C<< $c->run_blocking >> uses, or undef without the option C<workers>.

=head1 SEE ALSO

L<PAGI::Simple::Context>, F<docs/tutorial.md> in the distribution, L<PAGI::Test::Client> for testing.

=cut
