package PAGI::Simple::Middleware;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;
use PAGI::Simple::Abort;
use PAGI::Simple::Callback;
use Scalar::Util qw(blessed);

# Where a PAGI middleware in a route's list finds the request that goes through it.
my $FRAME = 'pagi.simple.frame';

# Runs the list around the inner code. $next always returns a Future, whatever the inner code returned.
sub run {
    my ($class, $c, $list, $inner) = @_;
    my $code = sub { PAGI::Simple::Callback::future_of($inner) };
    for my $item (reverse @$list) {
        my $next = $code;
        $code = sub { PAGI::Simple::Callback::future_of(sub { $class->_call($c, $item, $next) }) };
    }
    return $code->();
}

sub _call {
    my ($class, $c, $item, $next) = @_;
    return _through($c, $item, $next) if blessed $item && $item->can('wrap');
    my $middleware = ref $item ? $item : $c->{app}->get_middleware($item);
    die PAGI::Simple::Abort->new(code => 500, message => "Unknown middleware '$item'", context => $c) unless $middleware;
    return $middleware->($c, $next);
}

# A PAGI middleware is wrapped once; what it is wrapped around takes the request from the scope.
async sub _through {
    my ($c, $object, $next) = @_;
    my $wrapped = $c->{app}{wrapped_middleware}{ 0 + $object } ||= [ $object, $object->wrap(\&_inner) ];
    my @saved = @$c{qw(scope receive send)};
    my $send = $c->{send};
    my $watched = sub {
        my ($event) = @_;
        # an answer of the middleware's own is an answer
        $c->{started} = 1 if ref $event eq 'HASH' && ($event->{type} || '') =~ /\.response\.start\z|\Awebsocket\.close\z/;
        return $send->($event);
    };
    my $ok = eval {
        await $wrapped->[1]->({ %{ $c->{scope} }, $FRAME => [ $c, $next ] }, $c->{receive}, $watched);
        1;
    };
    my $error = $@;
    _rebind($c, @saved);
    die $error unless $ok;
    return;
}

async sub _inner {
    my ($scope, $receive, $send) = @_;
    my ($c, $next) = @{ $scope->{$FRAME} };
    my %own = %$scope;
    delete $own{$FRAME};
    _rebind($c, \%own, $receive, $send);
    await $next->();
    # the answers a plain handler did not wait for belong inside the middleware
    while (my $pending = delete $c->{pending}) {
        while (my $future = shift @$pending) {
            await $future;
        }
    }
    return;
}

sub _rebind {
    my ($c, $scope, $receive, $send) = @_;
    @$c{qw(scope receive send)} = ($scope, $receive, $send);
    delete @$c{qw(req session)};
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Middleware - runs the middleware of a route

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Middleware::RequestId;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);

    $app->middleware(members => async sub {
        my ($c, $next) = @_;
        return $c->json({ error => 'sign in first' }, 401) unless $c->req->header('authorization');
        await $next->();
    });

    $app->get('/club' => [ 'members', PAGI::Middleware::RequestId->new, sub { my ($c, $next) = @_; $next->() } ]
        => sub { $_[0]->text('Welcome') });

=head1 DESCRIPTION

The lists of routes, groups and mounts hold names given to C<< $app->middleware >>, subs called with C<($c, $next)>, and objects of
L<PAGI::Middleware>. C<< $next->() >> runs the rest and returns a L<Future>; a middleware that does not call it has to send a response
itself, or the request is refused. WebSocket and SSE requests pass the same middleware before they are accepted, and can be answered
with C<< $c->json >> and the other terminal methods; for them C<< $next->() >> is done when the connection has ended.

=head1 METHODS

=head2 run

    my $future = PAGI::Simple::Middleware->run($c, \@list, sub { ... });

The first of the list is the outermost. An unknown name is a 500 with the text C<Unknown middleware 'NAME'>.

=cut
