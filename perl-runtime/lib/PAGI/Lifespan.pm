package PAGI::Lifespan;

use strict;
use warnings;

use Carp qw(croak);
use Future::AsyncAwait;
use Scalar::Util qw(blessed);

use PAGI::Utils ();

sub new {
    my ($class, %args) = @_;

    my $self = bless {
        _app      => defined $args{app} ? PAGI::Utils::to_app($args{app}) : undef,
        _handlers => [],      # { startup, shutdown } in registration order
        _state    => undef,   # the state hashref of the last lifespan or request seen
    }, $class;
    return $self->register(startup => $args{startup}, shutdown => $args{shutdown});
}

sub wrap {
    my ($class, $app, %hooks) = @_;
    return $class->new(app => $app, %hooks)->to_app;
}

sub for_scope {
    my ($class, $scope) = @_;
    croak 'scope is required' unless ref $scope eq 'HASH';
    return $scope->{'pagi.lifespan.manager'} ||= $class->new;
}

sub state { return $_[0]{_state} }

sub on_startup {
    my ($self, $hook) = @_;
    return $self->register(startup => $hook);
}

sub on_shutdown {
    my ($self, $hook) = @_;
    return $self->register(shutdown => $hook);
}

sub register {
    my ($self, %hooks) = @_;
    push @{ $self->{_handlers} }, { startup => $hooks{startup}, shutdown => $hooks{shutdown} }
        if $hooks{startup} || $hooks{shutdown};
    return $self;
}

# What the layers of one lifespan call share. A reference, so that it survives the shallow scope copies of middleware,
# which a plain flag in the scope does not.
sub _run_of_scope {
    my ($scope) = @_;
    return $scope->{'pagi.lifespan.run'} ||= { handled => 0, hooks => [] };
}

# Hooks that last for this lifespan call only: an app object that lives through several of them must not collect copies.
sub add_scope_hooks {
    my ($scope, @hooks) = @_;
    push @{ _run_of_scope($scope)->{hooks} }, grep { $_->{startup} || $_->{shutdown} } @hooks;
    return;
}

async sub handle {
    my ($self, $scope, $receive, $send) = @_;

    return 0 if ($scope->{type} // '') ne 'lifespan' || $scope->{'pagi.lifespan.handled'};
    my $run = _run_of_scope($scope);
    return 0 if $run->{handled};
    $run->{handled} = $scope->{'pagi.lifespan.handled'} = 1;

    my @handlers = (@{ $scope->{'pagi.lifespan.handlers'} || [] }, @{ $self->{_handlers} }, @{ $run->{hooks} });
    my @startup  = map { $_->{startup}  || () } @handlers;
    my @shutdown = map { $_->{shutdown} || () } reverse @handlers;
    my $state = $self->{_state} = $scope->{state} //= {};

    while (my $event = await $receive->()) {
        if ($event->{type} eq 'lifespan.startup') {
            my @errors = await _run_hooks(\@startup, $state, 1);
            if (@errors) {
                await $send->({ type => 'lifespan.startup.failed', message => $errors[0] });
                return undef;
            }
            await $send->({ type => 'lifespan.startup.complete' });
        }
        elsif ($event->{type} eq 'lifespan.shutdown') {
            my @errors = await _run_hooks(\@shutdown, $state, 0);
            await $send->(@errors
                ? { type => 'lifespan.shutdown.failed', message => join "\n", @errors }
                : { type => 'lifespan.shutdown.complete' });
            return 1;
        }
    }
    return undef;
}

# Returns the errors as strings; a startup stops at the first, a shutdown gives every hook its chance to clean up.
async sub _run_hooks {
    my ($hooks, $state, $stop_at_first) = @_;

    my @errors;
    my @queue = @$hooks;
    while (my $hook = shift @queue) {
        my $ok = eval {
            my $result = $hook->($state);
            await $result if blessed $result && $result->isa('Future');
            1;
        };
        next if $ok;
        push @errors, "$@";
        last if $stop_at_first;
    }
    return @errors;
}

sub to_app {
    my ($self) = @_;
    my $app = $self->{_app} or croak 'PAGI::Lifespan->to_app requires an app';

    return sub {
        my ($scope, $receive, $send) = @_;
        return $self->_lifespan($app, $scope, $receive, $send) if ($scope->{type} // '') eq 'lifespan';
        if ($scope->{state}) {
            $self->{_state} ||= $scope->{state};
            return $app->($scope, $receive, $send);
        }
        my $state = $self->{_state} ||= {};
        return $app->({ %$scope, state => $state }, $receive, $send);
    };
}

async sub _lifespan {
    my ($self, $app, $scope, $receive, $send) = @_;

    _run_of_scope($scope);
    my $manager = $scope->{'pagi.lifespan.manager'} ||= $self;
    $self->{_state} = $scope->{state} //= {};

    # Inside another wrapper this one's hooks join the outer manager's: the events can be answered only once.
    add_scope_hooks($scope, @{ $self->{_handlers} }) if $manager != $self;

    # An inner app that rejects lifespan (APP-3) must not take the hooks of this wrapper with it. Once an inner layer has
    # answered the events, though, an exception is a real one (LIFE-11).
    my $ok = eval {
        my $result = $app->($scope, $receive, $send);
        await $result if blessed $result && $result->isa('Future');
        1;
    };
    die $@ if !$ok && _run_of_scope($scope)->{handled};
    return await $manager->handle($scope, $receive, $send);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Lifespan - startup and shutdown hooks around an app, with shared state

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Lifespan;

    my $app = PAGI::Lifespan->wrap(
        async sub {
            my ($scope, $receive, $send) = @_;
            die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'http';

            my $body = "Hello from $scope->{state}{name}";
            await $send->({ type => 'http.response.start', status => 200, headers => [['content-type', 'text/plain']] });
            await $send->({ type => 'http.response.body', body => $body });
        },
        startup  => async sub { my ($state) = @_; $state->{name} = 'the pool' },
        shutdown => async sub { my ($state) = @_; delete $state->{name} },
    );

=head1 DESCRIPTION

The server calls an application once per worker with a scope of type C<lifespan>. This class answers that call: it runs
hooks at startup and at shutdown and hands them the C<state> hashref of the scope, a copy of which every later request finds in
C<< $scope->{state} >>.

Wrappers nest. Startup hooks run from the outermost wrapper to the innermost, shutdown hooks the other way round, whichever
layer ends up reading the events. An inner app that does not support lifespan, and dies, does no harm.

A hook is a code reference called with the state hashref. It may return a Future, which is awaited, or anything else.

=head1 CONSTRUCTORS

=head2 new

    my $manager = PAGI::Lifespan->new(app => $app, startup => $code, shutdown => $code);

All arguments are optional. C<app> goes through L<PAGI::Utils/to_app> (whose errors it raises) and is needed only for
C<to_app>. The hooks become the first registered pair.

=head2 wrap

    my $app = PAGI::Lifespan->wrap($app, startup => $code, shutdown => $code);

Short for C<< PAGI::Lifespan->new(app => $app, ...)->to_app >>.

=head2 for_scope

    my $manager = PAGI::Lifespan->for_scope($scope);

The manager stored in C<< $scope->{'pagi.lifespan.manager'} >>, made on first use. Croaks C<scope is required> unless
given a hashref.

=head1 METHODS

=head2 on_startup, on_shutdown

    $manager->on_startup($code)->on_shutdown($code);

Register one hook. They return the manager.

=head2 register

    $manager->register(startup => $code, shutdown => $code);

Registers a pair; without either nothing happens. Returns the manager. Hooks last as long as the manager.

=head2 state

The state hashref, or undef before the first lifespan or request.

=head2 to_app

Returns the wrapper app. Croaks C<PAGI::Lifespan-E<gt>to_app requires an app> when there is none. On a C<lifespan> scope it
calls the inner app first, so that it can register hooks or read the events itself with L<PAGI::Utils/handle_lifespan>, and
then C<handle>. On every other scope without C<state> the inner app gets a copy of the scope with C<state> added.

=head2 handle

    my $result = await $manager->handle($scope, $receive, $send);

Asynchronous. Reads lifespan events and answers them. Resolves to 0 without reading when the scope is of another type
or is handled already, to 1 after a shutdown, to undef after a failed startup.

The hooks are, in this order: the entries of C<< $scope->{'pagi.lifespan.handlers'} >> (an arrayref of
C<< { startup => $code, shutdown => $code } >>), the manager's own, those of inner wrappers and of C<handle_lifespan>.

The first startup hook that fails ends the startup: C<lifespan.startup.failed> is sent with the error as C<message>. A
shutdown runs every hook, then sends C<lifespan.shutdown.complete>, or C<lifespan.shutdown.failed> with the errors joined by
newlines.

=head1 FUNCTIONS

=head2 add_scope_hooks

    PAGI::Lifespan::add_scope_hooks($scope, { startup => $code, shutdown => $code }, ...);

Adds hooks for this one lifespan call, behind all others. Not exported.

=head1 SEE ALSO

L<PAGI::Utils>, L<PAGI::Test::Client>

=cut
