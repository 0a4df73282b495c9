package PAGI::Context::HTTP;

use strict;
use warnings;

use parent -norequire, 'PAGI::Context';

use Carp qw(croak);
use PAGI::Request;
use PAGI::Response;
use Scalar::Util qw(blessed refaddr weaken);

require PAGI::Context;

sub method { $_[0]{scope}{method} }

sub request {
    my ($self) = @_;
    return $self->{_request} ||= PAGI::Request->new($self->{scope}, $self->{receive});
}

sub response {
    my ($self) = @_;
    return $self->{_response} ||= PAGI::Response->new($self->{scope})->_bind_context($self);
}

sub req  { $_[0]->request }
sub resp { $_[0]->response }

sub text     { shift->response->text(@_) }
sub html     { shift->response->html(@_) }
sub json     { shift->response->json(@_) }
sub redirect { shift->response->redirect(@_) }

# True once a response began: through this context or, as the connection object tells, any other way.
sub _has_responded {
    my ($self) = @_;
    my $connection = $self->connection;
    if ($connection) {
        croak 'pagi.connection lacks response_started (non-conforming server)'
            unless blessed $connection && $connection->can('response_started');
        return 1 if $connection->response_started;
    }
    my $earlier = $self->{_responded} or return 0;
    # SEND-10: a start event the server refused has changed nothing, so an error page may still follow
    return 0 if $connection && blessed $earlier && $earlier->isa('Future') && $earlier->is_failed;
    return 1;
}

sub respond {
    my ($self, $response) = @_;
    croak 'response already sent' if $self->_has_responded;
    croak 'respond() requires an object with a respond method'
        unless blessed $response && $response->can('respond');

    # A stream callback is as a rule a closure over this context, which must not own it in turn. Whoever sends it holds it.
    my $own = $self->{_response};
    weaken($self->{_response}) if $own && refaddr($own) == refaddr($response) && $own->{_stream};

    $self->{_responded} = 1;
    my $future;
    if (!eval { $future = $response->respond($self->{send}); 1 }) {
        my $error = $@;
        delete $self->{_responded};
        die $error;
    }
    $self->{_responded} = $future || 1;
    return $future;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Context::HTTP - context of an http request

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Context;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        my $ctx = PAGI::Context->new($scope, $receive, $send)->assert_http;

        if ($ctx->method eq 'POST') {
            my $data = await $ctx->req->json;
            await $ctx->respond($ctx->json({ got => $data }, status => 201));
        }
        else {
            await $ctx->respond($ctx->text("POST some JSON\n"));
        }
    };

=head1 DESCRIPTION

Made by C<new> of L<PAGI::Context>, which describes the shared methods.

=head1 METHODS

=head2 method

The request method.

=head2 request, req

The L<PAGI::Request>, the same object on every call.

=head2 response, resp

The L<PAGI::Response> to fill in, the same object on every call. Nothing is sent until it is returned from an endpoint's handler
or given to L</respond>.

=head2 text, html, json, redirect

    return $ctx->json($data, status => 201);

The method of that name on the response, which is returned.

=head2 respond

    await $ctx->respond($response);

Sends a response, once per request. Any object with a C<respond> method will do. Returns its Future. Dies at once with
C<response already sent> when the request was answered, through this context or another way, with C<respond() requires an object
with a respond method>, and with C<pagi.connection lacks response_started (non-conforming server)>. After the server refused the start
of a response, another one may be sent.

=head1 SEE ALSO

L<PAGI::Context>, L<PAGI::Endpoint::HTTP>

=cut
