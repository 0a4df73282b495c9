package PAGI::Simple;

use strict;
use warnings;

our $VERSION = '0.001';

use parent qw(PAGI::Simple::Routing PAGI::Simple::Lifecycle);

use Carp qw(croak carp);
use File::Spec;
use PAGI::Simple::Dispatcher;
use PAGI::Simple::Router;

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
        $self->views(!defined $views ? () : ref $views eq 'HASH' ? (undef, $views) : $views);
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

C<get>, C<post>, C<any>, C<websocket>, C<sse>, C<group>, C<mount>, C<static>, C<url_for> and their relatives are described in
L<PAGI::Simple::Routing>, C<on> for start and stop in L<PAGI::Simple::Lifecycle>.

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

=head1 THE APPLICATION

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
