package PAGI::Simple::Dispatcher;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;
use PAGI::Simple::Callback;
use PAGI::Simple::Context;
use PAGI::Simple::ErrorPage;
use PAGI::Simple::Middleware;
use PAGI::Simple::Preread;

# The life of a request, top to bottom: run -> mounts -> CORS -> match -> _begin -> _conclude.

my %TABLE = (http => 'router', websocket => 'ws_router', sse => 'sse_router');
my $DONE = Future->done;

sub new {
    my ($class, $app) = @_;
    my $self = bless { app => $app }, $class;
    return $self;
}

sub run {
    my ($self, $scope, $receive, $send) = @_;
    my $app = $self->{app};
    my $type = $scope->{type};
    my $table = $TABLE{$type} or return Future->fail("Unsupported scope type: $type\n");

    if ($app->{mounts}) {
        my $mount = $app->_mount_for($scope);
        return $mount->run($scope, $receive, $send) if $mount;
    }
    if ($app->{cors} && $type eq 'http' && $scope->{method} eq 'OPTIONS' && $app->{cors}->is_allowed($scope)) {
        my $c = $self->_context($scope, $receive, $send, {});
        push @{ $c->{headers} }, $app->{cors}->preflight_headers($scope);
        return $c->status(204)->send_response('');
    }
    my $method = $scope->{method};
    my $found = $app->{$table}->find($type eq 'http' ? $method : '*', $scope->{path});
    if ($found) {
        my $c = $self->_context($scope, $receive, $send, $found->[1]);
        push @{ $c->{headers} }, $app->{cors}->response_headers($scope) if $app->{cors} && $type ne 'websocket';
        return $self->_connection($c, $found->[0]) if $type ne 'http';
        return $self->_http($c, $found->[0]);
    }
    # SSE-37: an Accept header makes any request an sse scope; the routes of the page are still there
    if ($type eq 'sse' && ($found = $app->{router}->find(defined $method ? $method : 'GET', $scope->{path}))) {
        return $self->_http($self->_context($scope, $receive, $send, $found->[1]), $found->[0]);
    }
    return $self->_unmatched($scope, $receive, $send);
}

sub _context {
    my ($self, $scope, $receive, $send, $captures) = @_;
    return PAGI::Simple::Context->new(
        app => $self->{app}, scope => $scope, receive => $receive, send => $send, path_params => $captures,
    );
}

sub _unmatched {
    my ($self, $scope, $receive, $send) = @_;
    my $app = $self->{app};
    if ($scope->{type} eq 'http' && $app->{statics}) {
        for my $static (@{ $app->{statics} }) {
            return $static->run($scope, $receive, $send) if $static->covers($scope->{path});
        }
    }
    if ($app->{root_mount}) {
        return $app->{root_mount}->run($scope, $receive, $send);
    }
    my $c = $self->_context($scope, $receive, $send, {});
    my ($route, $methods) = $scope->{type} eq 'http' ? $app->{router}->find_path_match($scope->{path}) : ();
    if ($route) {
        $c->res_header('allow', join ', ', @$methods);
        return $self->_finish_error($c, 405);
    }
    return $self->_finish_error($c, 404);
}

async sub _finish_error {
    my ($self, $c, $code) = @_;
    await PAGI::Simple::ErrorPage->send($c, $code);
    await $self->_settle($c);
    return;
}

# --- HTTP

sub _http {
    my ($self, $c, $route) = @_;
    my $app = $self->{app};
    # before anything is read or begun: all of this happens again in the pool
    if (my $blocking = $route->blocking_step) {
        my $answered = PAGI::Sync::hand_over($c->{scope}, $blocking);
        return $answered if $answered;
    }
    my $method = $c->{scope}{method};
    # small bodies are complete before the handler runs, so that $c->json_body need not run the event loop
    my $early = $method ne 'GET' && $method ne 'HEAD' ? PAGI::Simple::Preread->of($c) : undef;
    return $self->_conclude($c, $early->then(sub { $self->_begin($c, $route) || $DONE })) if $early;

    my $begun = $self->_begin($c, $route);
    # the usual case: a plain handler that has answered
    return $DONE
        if !defined $begun && $c->{started} && !$c->{pending} && !$app->{after} && !$c->{request_services};
    return $self->_conclude($c, defined $begun ? $begun : $DONE);
}

# Hooks, middleware and handler: undef when they are through already, else a Future.
sub _begin {
    my ($self, $c, $route) = @_;
    my $app = $self->{app};
    my $result;
    if (!$app->{before} && !@{ $route->{middleware} }) {
        my $steps = $route->steps;
        my $ok = eval { $result = @$steps == 1 ? $steps->[0]->($c) : $self->_chain($c, $steps); 1 };
        return Future->fail(_error($@)) unless $ok;
        return PAGI::Simple::Callback::is_future($result) && !$result->is_done ? $result : undef;
    }
    return $self->_guarded($c, $route->{middleware}, sub { $self->_chain($c, $route->steps) });
}

# Future->fail wants a true exception.
sub _error { return ref $_[0] || length $_[0] ? $_[0] : "Died\n" }

async sub _chain {
    my ($self, $c, $steps, @args) = @_;
    for my $i (0 .. $#$steps) {
        my $result = $steps->[$i]->(@args ? @args : $c);
        await $result if PAGI::Simple::Callback::is_future($result);
        last if $c->{started};
    }
    return;
}

# before hooks, then the middleware of the route from the outside in, then the inner code.
async sub _guarded {
    my ($self, $c, $middleware, $inner) = @_;
    my @hooks = @{ $self->{app}{before} || [] };
    while (my $hook = shift @hooks) {
        my $result = $hook->($c);
        await $result if PAGI::Simple::Callback::is_future($result);
        return if $c->{started};
    }
    return await PAGI::Simple::Middleware->run($c, $middleware, $inner);
}

async sub _conclude {
    my ($self, $c, $work) = @_;
    my $ok = eval { await $work; 1 };
    my $error = $@;
    if ($ok) {
        $ok = eval { await $self->_settle($c); 1 };
        $error = $@;
    }
    if ($ok && !$c->{started}) {
        ($ok, $error) = (0, "The handler of $c->{scope}{method} $c->{scope}{path} ended without a response."
            . " Call \$c->text, \$c->json or another method that sends one, and return or await its Future.\n");
    }
    await PAGI::Simple::ErrorPage->for_exception($c, $error) unless $ok;
    my @hooks = @{ $self->{app}{after} || [] };
    while (my $hook = shift @hooks) {
        next if eval {
            my $result = $hook->($c);
            await $result if PAGI::Simple::Callback::is_future($result);
            1;
        };
        warn "PAGI::Simple after hook error: $@";
    }
    if (my $services = delete $c->{request_services}) {
        await $self->{app}->_services->end_request($c, $services);
    }
    return if eval { await $self->_settle($c); 1 };
    # a Future that the handler returned has failed already
    warn "PAGI application error: $@" if $ok || "$@" ne "$error";
    return;
}

# Waits for the Futures that handlers did not wait for.
async sub _settle {
    my ($self, $c) = @_;
    while (my $pending = delete $c->{pending}) {
        while (my $future = shift @$pending) {
            await $future;
        }
    }
    return;
}

# --- WebSocket and SSE

async sub _connection {
    my ($self, $c, $route) = @_;
    my $scope = $c->{scope};
    my $class = $scope->{type} eq 'websocket' ? 'PAGI::Simple::WebSocket' : 'PAGI::Simple::SSE';
    (my $file = "$class.pm") =~ s{::}{/}g;
    require $file;

    my $connection;
    # Made when hooks and middleware let the request through: they may have put other things into the context. All of its
    # life is inside them, as a PAGI middleware around a WebSocket expects.
    my $inner = async sub {
        $connection = $class->new($c, $route);
        await $self->_chain($c, $route->steps, $connection);
        await $self->_settle($c);
        await $connection->serve;
        return;
    };
    my $ok = eval {
        await $self->_guarded($c, $route->{middleware}, $inner);
        await $self->_settle($c);
        1;
    };
    my $error = $@;
    if (!$connection) {
        if (!$ok) {
            await PAGI::Simple::ErrorPage->for_exception($c, $error);
        }
        elsif (!$c->{started}) {
            await PAGI::Simple::ErrorPage->send($c, 403);
        }
        await $self->_settle($c);
        return;
    }
    await $connection->failed($error) unless $ok;
    await $connection->cleanup;
    if (my $services = delete $c->{request_services}) {
        await $self->{app}->_services->end_request($c, $services);
    }
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Dispatcher - takes a request through an application

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;
    use PAGI::Simple::Dispatcher;
    use PAGI::Test::Client;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->get('/' => sub { $_[0]->text('Hello') });

    my $dispatcher = PAGI::Simple::Dispatcher->new($app);
    my $client = PAGI::Test::Client->new(app => sub { $dispatcher->run(@_) });
    print $client->get('/')->text, "\n";    # Hello

=head1 DESCRIPTION

What the coderef of C<to_app> runs inside the PAGI middleware, for every scope but C<lifespan>. An HTTP request goes through mounted
applications, the CORS preflight, the route table (then static files), C<before> hooks, middleware, the handler, C<after> hooks. A WebSocket
or SSE request goes through mounts, its table, C<before> hooks and middleware, any of which may answer with an HTTP response instead of
letting the connection through, and then its handler. An C<sse> scope for which there is no SSE route is answered by the HTTP
route, if there is one.

=head1 METHODS

=head2 new

    my $dispatcher = PAGI::Simple::Dispatcher->new($app);

=head2 run

    my $future = $dispatcher->run($scope, $receive, $send);

A Future that is done when the request is over. Fails with C<Unsupported scope type: TYPE>.

=cut
