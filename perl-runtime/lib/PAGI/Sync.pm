package PAGI::Sync;

use strict;
use warnings;

our $VERSION = '0.001';

use Carp qw(croak);
use Exporter qw(import);
use Hash::Util::FieldHash qw(fieldhash);
use PAGI::WorkerPool;
use Scalar::Util qw(blessed refaddr reftype);

our @EXPORT_OK = qw(sync is_sync);

# By identity and not by class: a handler may have one already. Entries go away with what they are about.
fieldhash my %marked;
fieldhash my %told;

sub sync {
    my ($code) = @_;
    $code = $code->to_app if blessed $code && reftype $code ne 'CODE' && $code->can('to_app');
    croak 'sync takes a coderef, or an object with to_app' unless ref $code && reftype $code eq 'CODE';
    $marked{$code} = 1;
    return $code;
}

sub is_sync {
    my ($code) = @_;
    return 0 unless ref $code && reftype $code eq 'CODE';
    return exists $marked{$code} || (blessed $code && $code->isa(__PACKAGE__)) ? 1 : 0;
}

# The same application; a marked one goes to the pool with all of its request.
sub app {
    my ($app) = @_;
    return $app unless is_sync($app);
    return sub {
        my ($scope, $receive, $send) = @_;
        return hand_over($scope, $app) || $app->($scope, $receive, $send);
    };
}

# A Future for the end of the answer; nothing where the handler has to run in place (WP-22).
sub hand_over {
    my ($scope, $code) = @_;
    my $type = $scope->{type} // '';
    if (PAGI::WorkerPool->is_worker && $type eq 'http') {
        my $connection = $scope->{'pagi.connection'};
        my $answered = $connection && $connection->can('hand_over') && $connection->hand_over;
        return $answered if $answered && !$answered->is_failed;
        _warn_once($code, 'its request was read or answered before it got to it');
    }
    elsif (!PAGI::WorkerPool->is_available) {
        _warn_once($code, 'there is no pool (--pool)');
    }
    elsif (PAGI::WorkerPool->is_worker) {
        _warn_once($code, "a scope of type $type cannot go to the pool");
    }
    return;
}

sub _warn_once {
    my ($code, $reason) = @_;
    return if $told{$code}++;
    print STDERR 'The blocking handler at ' . _place($code) . " runs in the event loop and holds everybody else up: $reason\n";
    return;
}

sub _place {
    my ($code) = @_;
    require B;
    my $start = B::svref_2object($code)->START;
    return $start->isa('B::COP') ? $start->file . ' line ' . $start->line : 'an unknown place';
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Sync - mark handlers that block

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::App::Router;
    use PAGI::Sync qw(sync);

    my $router = PAGI::App::Router->new;
    $router->get('/report' => sync(async sub {
        my ($scope, $receive, $send) = @_;
        sleep 2;    # nobody else has to wait for this
        await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/plain' ] ] });
        await $send->({ type => 'http.response.body', body => "done\n" });
    }));
    my $app = $router->to_app;

=head1 DESCRIPTION

A worker of C<pagi-server> serves many requests at a time, as long as no handler blocks. One that does (a database driver, a long computation, C<sleep>) is
marked with C<sync>, and the server started with C<--pool N>: requests for it then go, as a whole and before anything of them was read, to one of
N processes that may block. Slow clients, keep-alive and TLS stay with the worker.

L<PAGI::App::Router> (routes and mounts), L<PAGI::Endpoint::Router> (handlers that are coderefs) and L<PAGI::Simple> look for the mark when they have found
the route. The pool process has loaded the same application and finds the same route again, with all middleware on the way; there the handler runs.
So middleware around a marked handler runs in both processes, and what it changes in the scope or the response counts in the pool process.

When more waits for the pool than C<--pool-queue-limit> allows, or longer than C<--pool-queue-timeout>, the server answers 503 with C<Retry-After: 5>.

Without a pool, with another server or in a test, a marked handler runs in place. So it does for a WebSocket or an event stream, which would keep a process to
itself, and when something has read the body already. Once for each handler a line on the standard error says so.

A handler that shall do only a part of its work elsewhere uses C<call> or C<run_blocking> of L<PAGI::WorkerPool> instead.

=head1 FUNCTIONS

Nothing is exported by default.

=head2 sync

    my $handler = sync($coderef);

Marks the coderef and returns it: the same one, whatever its class. An object with C<to_app> is replaced by its application. Croaks for anything else. Code
without variables of the surrounding scope is one and the same, however often its C<sub> is evaluated, and so is its mark.

=head2 is_sync

1 for a marked coderef, and for one that is blessed into this class; otherwise 0.

=head2 app

    $app = PAGI::Sync::app($app);

For routers. An application that hands requests over if the given one is marked; otherwise the given one.

=head2 hand_over

    my $answered = PAGI::Sync::hand_over($scope, $handler);
    return $answered if $answered;

For routers, when the handler of a request is marked. A L<Future> for the end of the answer, or nothing when the handler has to run here.

=cut
