package PAGI::Context;

use strict;
use warnings;

use parent qw(PAGI::Context::Dispatcher PAGI::ClientConnection PAGI::Transport);

use Carp qw(croak);

my %TYPE = (
    http      => 'PAGI::Context::HTTP',
    websocket => 'PAGI::Context::WebSocket',
    sse       => 'PAGI::Context::SSE',
);

# A copy, so that a subclass may change what it gets.
sub _type_map { +{%TYPE} }

sub _resolve_class {
    my ($class, $scope) = @_;
    my $map = $class->can('_type_map') == \&_type_map ? \%TYPE : $class->_type_map;
    my $type = defined $scope->{type} ? $scope->{type} : 'http';
    return $map->{$type} || $map->{http};
}

sub new {
    my ($class, $scope, $receive, $send) = @_;
    return bless { scope => $scope, receive => $receive, send => $send }, $class->_resolve_class($scope);
}

# --- scope

sub scope        { $_[0]{scope} }
sub type         { $_[0]{scope}{type} }
sub path         { $_[0]{scope}{path} }
sub client       { $_[0]{scope}{client} }
sub server       { $_[0]{scope}{server} }
sub headers      { $_[0]{scope}{headers} }
sub raw_path     { my $s = $_[0]{scope}; defined $s->{raw_path}     ? $s->{raw_path}     : $s->{path} }
sub query_string { my $s = $_[0]{scope}; defined $s->{query_string} ? $s->{query_string} : '' }
sub scheme       { my $s = $_[0]{scope}; defined $s->{scheme}       ? $s->{scheme}       : 'http' }
sub state        { $_[0]{scope}{state} || {} }

sub header {
    my ($self, $name) = @_;
    croak 'header name required' unless defined $name;
    my $wanted = $name =~ tr/A-Z/a-z/r;
    for my $pair (reverse @{ $self->{scope}{headers} || [] }) {
        return $pair->[1] if $pair->[0] =~ tr/A-Z/a-z/r eq $wanted;
    }
    return undef;
}

sub _is_type {
    my ($self, $wanted) = @_;
    my $type = $self->type;
    return defined $type && $type eq $wanted ? 1 : 0;
}

sub is_http      { $_[0]->_is_type('http') }
sub is_websocket { $_[0]->_is_type('websocket') }
sub is_sse       { $_[0]->_is_type('sse') }

sub _assert_type {
    my ($self, $wanted) = @_;
    return $self if $self->_is_type($wanted);
    my $type = $self->type;
    croak "expected a '$wanted' context, got a '" . (defined $type ? $type : '(none)') . "' context";
}

sub assert_http      { $_[0]->_assert_type('http') }
sub assert_websocket { $_[0]->_assert_type('websocket') }
sub assert_sse       { $_[0]->_assert_type('sse') }

sub path_params { $_[0]{scope}{path_params} || {} }

sub path_param {
    my ($self, $name, %options) = @_;
    my $params = $self->path_params;
    my $strict = exists $options{strict} ? $options{strict} : 1;
    return $params->{$name} if !$strict || exists $params->{$name};
    die "path_param '$name' not found. "
        . (%$params ? 'Available: ' . join(', ', sort keys %$params) : 'No path params set') . "\n";
}

# --- raw channels

sub receive  { $_[0]{receive} }
sub send     { $_[0]{send} }
sub raw_send { $_[0]{send} }

# --- per-request data

sub stash {
    my ($self) = @_;
    return $self->{_stash} ||= do {
        require PAGI::Stash;
        PAGI::Stash->new($self->{scope});
    };
}

sub session {
    my ($self) = @_;
    return $self->{_session} ||= do {
        require PAGI::Session;
        PAGI::Session->new($self->{scope});
    };
}

sub has_session { exists $_[0]{scope}{'pagi.session'} ? 1 : 0 }

sub csrf_token { $_[0]{scope}{csrf_token} }

sub csrf_verify {
    my ($self, $submitted) = @_;
    my $expected = $self->csrf_token;
    for my $token ($expected, $submitted) {
        return 0 unless defined $token && length $token;
    }
    require PAGI::Utils::SecureCompare;
    return PAGI::Utils::SecureCompare::secure_compare($expected, $submitted) ? 1 : 0;
}

# --- connection state

sub on_disconnect {
    my ($self, $callback) = @_;
    my $connection = $self->connection or return;
    return $connection->on_disconnect($callback);
}

sub on_complete {
    my ($self, $callback) = @_;
    my $connection = $self->connection or return;
    return $connection->can('on_complete') ? $connection->on_complete($callback) : ();
}

require PAGI::Context::HTTP;
require PAGI::Context::WebSocket;
require PAGI::Context::SSE;

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Context - one object for everything about a request

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Context;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        my $ctx = PAGI::Context->new($scope, $receive, $send);

        if ($ctx->is_websocket) {
            await $ctx->accept;
            await $ctx->send_text('hello');
            await $ctx->close;
        }
        else {
            $ctx->assert_http;
            await $ctx->respond($ctx->json({ path => $ctx->path }));
        }
    };

=head1 DESCRIPTION

Factory and base class. C<new> picks the class that fits the scope's type: L<PAGI::Context::HTTP>, L<PAGI::Context::WebSocket> or
L<PAGI::Context::SSE>. This page lists what they share; the loop with C<on> and C<run> is in L<PAGI::Context::Dispatcher>.

=head1 CONSTRUCTOR

=head2 new

    my $ctx = PAGI::Context->new($scope, $receive, $send);

A subclass may override the class methods C<_type_map>, which returns a hashref of scope type to class, and
C<_resolve_class($scope)>, which returns the class. A type not in the map gets the C<http> entry, as does a scope without a type.

=head1 METHODS

=head2 scope

The scope hashref.

=head2 type, path, client, server

Straight from the scope; the path is characters.

=head2 raw_path, query_string, scheme

With the defaults C<path>, C<''> and C<http>. The first two are bytes.

=head2 headers

The scope's arrayref of C<[name, value]> pairs.

=head2 header

    my $value = $ctx->header('user-agent');

The last value (bytes) or undef, without regard to case.

=head2 is_http, is_websocket, is_sse

1 or 0, by scope type.

=head2 assert_http, assert_websocket, assert_sse

Return the context, or die with C<expected a 'WANT' context, got a 'GOT' context>.

=head2 path_params

Hashref of what a router captured, C<{}> if none ran.

=head2 path_param

    my $id = $ctx->path_param('id');
    my $id = $ctx->path_param('id', strict => 0);

A missing name dies with C<path_param 'NAME' not found. Available: a, b> (or C<No path params set>); not strict gives undef.

=head2 receive

The raw coderef.

=head2 send

The raw coderef, except in L<PAGI::Context::SSE>, where it sends data.

=head2 raw_send

The raw coderef, always.

=head2 stash

The request's L<PAGI::Stash>.

=head2 session

The L<PAGI::Session>; dies without session middleware.

=head2 has_session

1 if there is one.

=head2 state

The application's lifespan state, a hashref; a fresh empty one if the scope has none.

=head2 csrf_token

The token L<PAGI::Middleware::CSRF> put into the scope, or undef.

=head2 csrf_verify

    if ($ctx->csrf_verify($form->get('token'))) { ... }

1 if the submitted token is that one, compared in constant time; 0 if either is missing or empty.

=head2 connection

The server's C<pagi.connection> object (http scopes), or undef.

=head2 is_connected, is_disconnected, disconnect_reason

What that object says; without it: not connected, no reason. WebSocket and SSE contexts answer from the state of their
handshake or stream instead.

=head2 on_disconnect, on_complete

    $ctx->on_disconnect(sub { my ($reason) = @_; ... });

Registered with that object; nothing happens without it. These two do not return the context.

=head2 buffered_amount, high_water_mark, low_water_mark, is_writable, on_high_water, on_drain

Flow control, see L<PAGI::Transport>.

=head1 SEE ALSO

L<PAGI::Request>, L<PAGI::Response>, L<PAGI::Endpoint::HTTP>

=cut
