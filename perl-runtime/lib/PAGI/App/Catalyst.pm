package PAGI::App::Catalyst;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::App::Catalyst::Async;
use PAGI::App::Support::Answer qw(text_answer unsupported);
use PAGI::App::Support::Plain qw(plain_http);
use PAGI::App::WrapPSGI;
use PAGI::App::WrapPSGI::Environment qw(environment pool_size);
use PAGI::Utils qw(handle_lifespan);

sub new {
    my ($class, %args) = @_;
    delete $args{_caller_file};
    my ($name, $pool) = delete @args{qw(class pool)};
    croak 'Unknown options to PAGI::App::Catalyst->new: ' . join ', ', sort keys %args if %args;
    croak 'PAGI::App::Catalyst needs class, the name of a Catalyst application' unless defined $name && $name =~ /\A[A-Za-z_]\w*(?:::\w+)*\z/;
    if (!$name->can('psgi_app')) {
        (my $file = "$name.pm") =~ s{::}{/}g;
        require $file;
    }
    croak "PAGI::App::Catalyst: $name is not a Catalyst application" unless $name->can('psgi_app') && $name->can('dispatcher');
    # As Catalyst's own server does: a class that can change makes every request three times as dear.
    $name->_make_immutable_if_needed if $name->can('_make_immutable_if_needed');
    my @async = _async_actions($name);
    # CB-21
    $name->log->info('Asynchronous actions: ' . join ', ', map {"/$_"} @async) if @async;
    $name->log->_flush if $name->log->can('_flush');
    return bless { class => $name, pool => $pool // 1, has_async => scalar @async, pid => $$ }, $class;
}

sub to_app {
    my ($self) = @_;
    my ($class, $has_async, $pid) = @$self{qw(class has_async pid)};
    my $psgi = $class->psgi_app;
    my $async = PAGI::App::Catalyst::Async->psgi_app($class);
    my $blocking = PAGI::App::WrapPSGI->new(psgi_app => $psgi, pool => $self->{pool})->to_app;
    my $app = sub {
        # CB-18: the same file under a PSGI server.
        goto &$psgi if @_ == 1;
        my ($scope, $receive, $send) = @_;
        my $type = $scope->{type} // '';
        if ($type eq 'lifespan') {
            _report_handles($class) if $$ != $pid;
            return _lifespan($class, $has_async, $scope, $receive, $send);
        }
        return unsupported($scope) unless $type =~ /\A(?:http|sse|websocket)\z/;
        my $action = $has_async || $type eq 'websocket' ? _action($class, $scope) : undef;
        return PAGI::App::Catalyst::Async->new(class => $class, psgi => $async, scope => $scope, receive => $receive, send => $send)->run
            if $action && _is_async($action);
        return _refuse($class, $scope, $send, $action) if $type eq 'websocket' || ($type eq 'sse' && pool_size());
        return $blocking->(plain_http($scope, $receive, $send));
    };
    # Where nothing is asynchronous, requests go to the pool without a look at them.
    return $has_async || !$self->{pool} ? $app : bless $app, 'PAGI::Blocking';
}

# An event stream cannot be handed to the pool (CONN-2), and must not block here.
sub _refuse {
    my ($class, $scope, $send, $action) = @_;
    return text_answer($scope, $send, 404, 'Not Found') if !$action || $action->name eq 'default';
    $class->log->warn("A request of type $scope->{type} was refused: /$action is no :Async action");
    $class->log->_flush if $class->log->can('_flush');
    return $scope->{type} eq 'sse' ? text_answer($scope, $send, 406, 'Not Acceptable') : text_answer($scope, $send, 403, 'Forbidden');
}

# CB-16: after the fork, in every process.
sub _lifespan {
    my ($class, $has_async, @call) = @_;
    my %hooks;
    # CB-1
    if ($has_async && defined &PAGI::Native::pool_size && !defined pool_size() && ($call[0]{pagi}{worker_num} // 1) == 1) {
        $class->log->warn("$class: without --pool, each ordinary action stops everything else in its worker, WebSockets too");
        $class->log->_flush if $class->log->can('_flush');
    }
    for my $hook (qw(startup shutdown)) {
        my $method = "pagi_$hook";
        $hooks{$hook} = sub { my ($state) = @_; return $class->$method($state) } if $class->can($method);
    }
    return handle_lifespan(@call, %hooks);
}

# CB-15: what was connected while the application was loaded, and is used by several processes now.
sub _report_handles {
    my ($class) = @_;
    return unless $INC{'DBI.pm'} && DBI->can('visit_handles');
    my @names;
    DBI->visit_handles(sub {
        my ($handle) = @_;
        if ($handle->{Type} eq 'db' && $handle->{Active}) {
            push @names, "dbi:$handle->{Driver}{Name}:" . ($handle->{Name} // '');
            # The end of this process is not the end of the connection.
            $handle->{InactiveDestroy} = 1;
        }
        return 1;
    });
    return unless @names;
    $class->log->error("$class has connected to a database before its processes were forked (" . join(', ', @names)
        . '): they would use one connection. Connect in pagi_startup, or with the first request');
    $class->log->_flush if $class->log->can('_flush');
    return;
}

# The action that a request would be dispatched to, by the dispatcher alone: no plugin, no body, no session.
sub _action {
    my ($class, $scope) = @_;
    # In a pool process there is nothing to decide any more.
    return undef if defined pool_size() && !pool_size();
    my $action = eval {
        open my $empty, '<', \'' or die "Cannot open a handle in memory: $!\n";
        my $env = environment({ %$scope, method => $scope->{method} // 'GET', scheme => 'http' }, $empty, 0);
        $class->context_class($class) unless $class->context_class;
        my $c = $class->context_class->new({});
        $c->response->_context($c);
        $c->engine->prepare_request($c, env => $env, response_cb => sub { });
        $c->prepare_path;
        $class->dispatcher->prepare_action($c);
        $c->action;
    };
    return $action;
}

sub _is_async {
    my ($action) = @_;
    $action = $action->chain->[-1] if $action && $action->can('chain');
    return $action && $action->can('does') && $action->does('Catalyst::ActionRole::Async');
}

sub _async_actions {
    my ($class) = @_;
    return $class->pagi_async_actions if $class->can('pagi_async_actions');
    my $actions = $class->dispatcher->_action_hash;
    my @async = grep { $actions->{$_}->attributes->{Async} } sort keys %$actions;
    croak "PAGI::App::Catalyst: /$async[0] is :Async, but $class does not use the plugin: `use Catalyst qw(PAGI)`" if @async;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Catalyst - run a Catalyst application, with WebSockets beside it

=head1 SYNOPSIS

    use PAGI::App::Catalyst;

    $app = PAGI::App::Catalyst->new(class => 'MyApp')->to_app;

=head1 DESCRIPTION

Existing Catalyst applications run as they are; single actions can be asynchronous, answer over a WebSocket or as a stream of events.

    pagi-server --workers 2 --pool 8 PAGI::App::Catalyst class=MyApp

=over

=item Ordinary actions

run through Catalyst's own PSGI application (L<PAGI::App::WrapPSGI>): in a process of the pool when the server has one (C<--pool N>), where they may
block as they like, otherwise in the worker, where they block everything else that the worker does. C<$c-E<gt>res-E<gt>write>, delayed responses,
sessions, uploads, error pages and statistics are Catalyst's.

=item C<:Async> actions

need C<use Catalyst qw(PAGI)> (L<Catalyst::Plugin::PAGI>) and run in the worker, on its loop, many at a time. Such an action returns a Future, usually as an
C<async sub>. C<begin> and C<auto> run before it, synchronously, and can refuse: for a WebSocket the status of C<$c-E<gt>res>, or 403, is the answer. Actions
that chain to it run before it, too. C<end> runs, and Catalyst's response is sent, for an http request for which nothing was sent by way of C<$c-E<gt>pagi>.

After the first C<await>, C<$c-E<gt>req>, C<$c-E<gt>stash>, C<$c-E<gt>action> and components can be relied on; C<forward>, C<detach>, C<go> and C<visit> die. An
exception is reported as one of an ordinary action is; the WebSocket is then closed with 1011. When the client of an http or event stream request goes,
the Future is cancelled. The end of a WebSocket is an event.

=item WebSockets

reach C<:Async> actions only: 404 where there is no action, 403 (and a warning in the application's log) where there is another one.

=item Event streams

(requests that accept C<text/event-stream>) may be answered by C<:Async> actions with C<$c-E<gt>pagi-E<gt>sse>. To others they are ordinary requests, except with a pool and C<:Async> actions elsewhere in the application: then they
are answered 406 (and a warning), because they cannot be handed over and must not block the worker.

=back

Which action a request belongs to is found with the application's dispatcher in the worker, before anything is read; applications without C<:Async>
actions save this.

Class methods C<pagi_startup> and C<pagi_shutdown> of the application, if it has them, are called with the lifespan state in every process before
it serves and after it has served; they may return Futures, and when C<pagi_startup> dies the process does not start. Connect databases there or in the
first request: the application is loaded before the processes are forked. A handle of L<DBI> that was connected before is an error in the log of each process.

Called with one argument, the app is the application's PSGI application: one file serves both kinds of servers.

=head1 METHODS

=head2 new

=over

=item class

Name of the application, loaded if necessary. Croaks C<PAGI::App::Catalyst needs class, the name of a Catalyst application>,
C<PAGI::App::Catalyst: NAME is not a Catalyst application>, and C<PAGI::App::Catalyst: /ACTION is :Async, but NAME does not use the plugin...>.

=item pool

True by default. False keeps ordinary actions in the worker also when there is a pool.

=back

=head2 to_app

The app.

=cut
