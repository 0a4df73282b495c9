package PAGI::Endpoint::HTTP;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::Context;
use PAGI::Response;
use Scalar::Util qw(blessed);

my @VERBS = qw(get post put patch delete head options);
my %VERB = map { uc $_ => $_ } @VERBS;

sub new {
    my ($class, %args) = @_;
    return bless {%args}, $class;
}

sub context_class { 'PAGI::Context' }

sub to_app {
    my ($class) = @_;
    my $self = ref $class ? $class : $class->new;
    my $context_class = $self->context_class;
    return sub {
        my ($scope, $receive, $send) = @_;
        my $type = defined $scope->{type} ? $scope->{type} : 'http';
        return Future->fail(Carp::shortmess("Expected http scope, got '$type'")) unless $type eq 'http';
        return $self->dispatch($context_class->new($scope, $receive, $send));
    };
}

sub allowed_methods {
    my ($self) = @_;
    my %allowed = map { uc $_ => 1 } 'options', grep { $self->can($_) } @VERBS;
    $allowed{HEAD} = 1 if $allowed{GET};
    return sort keys %allowed;
}

# Only the seven verbs: the method comes from the client and must not name any other method of the class.
sub _verb {
    my ($self, $method) = @_;
    my $verb = defined $method ? $VERB{ uc $method } : undef;
    return undef unless defined $verb;
    return $verb if $self->can($verb);
    return $verb eq 'head' && $self->can('get') ? 'get' : undef;
}

async sub dispatch {
    my ($self, $ctx) = @_;
    my $method = $ctx->method;
    my $verb = $self->_verb($method);

    my $response;
    if (defined $verb) {
        $response = $self->$verb($ctx);
        $response = await $response if blessed $response && $response->isa('Future');
        if (!(blessed $response && $response->can('respond'))) {
            # release 0.001: the handler sent the response itself
            return if $ctx->can('_has_responded') && $ctx->_has_responded;
            croak ref($self) . "->$verb did not return a response";
        }
    }
    else {
        my $allow = join ', ', $self->allowed_methods;
        $response = defined $method && uc $method eq 'OPTIONS'
            ? PAGI::Response->empty
            : PAGI::Response->text('405 Method Not Allowed', status => 405);
        $response->header('allow', $allow);
    }
    await $ctx->respond($response);
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Endpoint::HTTP - a class with a method per HTTP verb

=head1 SYNOPSIS

    package My::Messages;
    use strict;
    use warnings;
    use parent 'PAGI::Endpoint::HTTP';
    use Future::AsyncAwait;

    my @messages = ('hello');

    async sub get {
        my ($self, $ctx) = @_;
        return $ctx->json(\@messages);
    }

    async sub post {
        my ($self, $ctx) = @_;
        my $data = await $ctx->req->json;
        push @messages, $data->{text};
        return $ctx->json({ count => scalar @messages }, status => 201);
    }

    package main;
    my $app = My::Messages->to_app;

=head1 DESCRIPTION

Subclasses define any of C<get post put patch delete head options>. Each is called with a L<PAGI::Context::HTTP> and returns the
response: a L<PAGI::Response> or any object with a C<respond> method, directly or through a Future. It is sent afterwards.

A handler that sent its response itself, as in release 0.001 (C<< await $ctx->response->json(...) >>), need not return one. One that
did neither fails with C<CLASS-E<gt>VERB did not return a response>.

C<OPTIONS> without a method of that name is answered 204, an unknown verb 405, both with C<Allow>. C<HEAD> falls back to C<get>; the
server leaves the body out.

=head1 METHODS

=head2 new

    my $endpoint = My::Messages->new(%args);

The arguments become fields of the object.

=head2 context_class

Class method; the factory of the context, default C<PAGI::Context>.

=head2 to_app

    my $app = My::Messages->to_app;
    my $app = My::Messages->new(limit => 10)->to_app;

An application. One object (made here, or the one it is called on) serves all its requests, concurrent ones included. A scope that
is not http fails with C<Expected http scope, got 'TYPE'>.

=head2 dispatch

    await $endpoint->dispatch($ctx);

Answers one request. Returns a L<Future>.

=head2 allowed_methods

Sorted list of the verbs, with HEAD if there is C<get>, and always OPTIONS.

=head1 SEE ALSO

L<PAGI::Context>, L<PAGI::Endpoint::Router>

=cut
