package PAGI::Endpoint::Router;

use strict;
use warnings;

use PAGI::App::Router;
use PAGI::Context;
use PAGI::Endpoint::Router::Builder;

sub new {
    my ($class) = @_;
    return bless { state => {} }, $class;
}

sub context_class { 'PAGI::Context' }

sub state { $_[0]{state} }

# Hook: subclasses register their routes here.
sub routes { return }

sub to_app {
    my ($class) = @_;
    my $self = ref $class ? $class : $class->new;
    $self->{state} ||= {};    # a subclass may bless a hash of its own

    my $router = PAGI::App::Router->new;
    $self->routes(PAGI::Endpoint::Router::Builder->new($self, $router));
    my $app = $router->to_app;
    return sub {
        my ($scope, $receive, $send) = @_;
        # lifespan state, where there is one, comes first; the scope is the caller's, so a copy carries ours
        $scope = { %$scope, state => $self->{state} } unless $scope->{state};
        return $app->($scope, $receive, $send);
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Endpoint::Router - a class with routes to its methods

=head1 SYNOPSIS

    package My::API;
    use strict;
    use warnings;
    use parent 'PAGI::Endpoint::Router';
    use Future::AsyncAwait;

    my %users = (1 => { name => 'Ada' });

    sub routes {
        my ($self, $r) = @_;
        $r->get('/users/:id' => 'show_user')->name('user');
        $r->post('/users' => ['require_json'] => 'add_user');
        $r->websocket('/echo' => 'echo');
    }

    async sub require_json {
        my ($self, $ctx, $next) = @_;
        return $ctx->json({ error => 'JSON please' }, status => 415) unless $ctx->req->is_json;
        return await $next->();
    }

    async sub show_user {
        my ($self, $ctx) = @_;
        my $user = $users{ $ctx->path_param('id') } or return $ctx->json({ error => 'not found' }, status => 404);
        return $ctx->json($user);
    }

    async sub add_user {
        my ($self, $ctx) = @_;
        my $id = 1 + keys %users;
        $users{$id} = await $ctx->req->json;
        return $ctx->json({ id => $id }, status => 201);
    }

    async sub echo {
        my ($self, $ctx) = @_;
        await $ctx->accept;
        await $ctx->each_text(sub { $ctx->send_text($_[0]) });
    }

    package main;
    my $app = My::API->to_app;

=head1 DESCRIPTION

A subclass registers routes in C<routes>, by names of its own methods or by coderefs. Paths, matching, 404 and 405 answers, mounts and
names are those of L<PAGI::App::Router>.

=head2 Handlers

A method is called with the object and a L<PAGI::Context>, a coderef with the context alone; both may be async. A coderef for HTTP that is marked as
blocking (L<PAGI::Sync>) runs in a process of the server's pool.

An B<HTTP> handler returns the response, any object with a C<respond> method; it is sent once, afterwards. A handler that sent its
response itself, as in release 0.001 (C<< await $ctx->response->json(...) >>), need not return one. One that did neither fails with
C<handler did not return a response>. B<WebSocket> and B<SSE> handlers drive the connection themselves; what they return is ignored.

=head2 Route middleware

An HTTP route may name methods to run before its handler, the first one outermost:

    async sub timed {
        my ($self, $ctx, $next) = @_;
        my $start = time;
        my $response = await $next->();
        return $response->header('X-Seconds' => time - $start);
    }

C<< $next->() >> gives a Future of the inner response. The method returns that one, changed or not, or a response of its own, else it
fails with C<route middleware 'NAME' did not return a response>. All share one context. Middleware for applications (coderefs and
objects) belongs to a mount.

=head1 METHODS

=head2 new

    my $router = My::API->new;

Arguments are ignored.

=head2 routes

    sub routes { my ($self, $r) = @_; ... }

Called once, by L</to_app>, with a L<PAGI::Endpoint::Router::Builder>.

=head2 context_class

Class method; the factory of the context, default C<PAGI::Context>.

=head2 state

A hashref that belongs to this object (and so to one worker). Requests see it as C<< $ctx->state >> when no lifespan manager has put
its own state into the scope.

=head2 to_app

    my $app = My::API->to_app;
    my $app = My::API->new->to_app;

The application. Mistakes in routes die here, see L<PAGI::Endpoint::Router::Builder>. Lifespan events are left unanswered.

=head1 SEE ALSO

L<PAGI::App::Router>, L<PAGI::Endpoint::HTTP>

=cut
