package PAGI::Request;

use strict;
use warnings;

use parent qw(PAGI::Request::Body PAGI::ClientConnection PAGI::Transport);

use Carp qw(carp croak);
use PAGI::Request::Query;

# Class-wide defaults, the configuration style of release 0.001.
my %CONFIG = (path_param_strict => 1);

sub configure {
    my ($class, %options) = @_;
    my @unknown = grep { !PAGI::Request::Body::is_limit($_) && $_ ne 'path_param_strict' } sort keys %options;
    croak 'Unknown options to configure: ' . join(', ', @unknown) if @unknown;
    @CONFIG{ keys %options } = values %options;
    return $class;
}

sub config { +{%CONFIG} }

sub new {
    my ($class, $scope, $receive) = @_;
    return bless { scope => $scope, receive => $receive }, $class;
}

# --- properties

sub scope        { $_[0]{scope} }
sub raw          { $_[0]{scope} }
sub method       { $_[0]{scope}{method} }
sub path         { $_[0]{scope}{path} }
sub client       { $_[0]{scope}{client} }
sub raw_path     { my $s = $_[0]{scope}; defined $s->{raw_path}     ? $s->{raw_path}     : $s->{path} }
sub query_string { my $s = $_[0]{scope}; defined $s->{query_string} ? $s->{query_string} : '' }
sub scheme       { my $s = $_[0]{scope}; defined $s->{scheme}       ? $s->{scheme}       : 'http' }
sub http_version { my $s = $_[0]{scope}; defined $s->{http_version} ? $s->{http_version} : '1.1' }
sub state        { $_[0]{scope}{state} || {} }

sub response {
    my ($self) = @_;
    require PAGI::Response;
    return PAGI::Response->new($self->{scope});
}

sub _method_is {
    my ($self, $wanted) = @_;
    my $method = $self->method;
    return defined $method && uc $method eq $wanted ? 1 : 0;
}

sub is_get     { $_[0]->_method_is('GET') }
sub is_post    { $_[0]->_method_is('POST') }
sub is_put     { $_[0]->_method_is('PUT') }
sub is_patch   { $_[0]->_method_is('PATCH') }
sub is_delete  { $_[0]->_method_is('DELETE') }
sub is_head    { $_[0]->_method_is('HEAD') }
sub is_options { $_[0]->_method_is('OPTIONS') }

# --- headers

# Scans the scope's list: most requests look at one or two fields, an index would cost more than it saves. No cache either,
# because middleware may hand on a scope copy with other headers.
sub header {
    my ($self, $name) = @_;
    croak 'header name required' unless defined $name;
    my $wanted = $name =~ tr/A-Z/a-z/r;
    for my $pair (reverse @{ $self->{scope}{headers} || [] }) {
        return $pair->[1] if $pair->[0] =~ tr/A-Z/a-z/r eq $wanted;
    }
    return undef;
}

sub header_all {
    my ($self, $name) = @_;
    croak 'header name required' unless defined $name;
    my $wanted = $name =~ tr/A-Z/a-z/r;
    return map { $_->[1] } grep { $_->[0] =~ tr/A-Z/a-z/r eq $wanted } @{ $self->{scope}{headers} || [] };
}

sub headers {
    my ($self) = @_;
    require PAGI::Headers;
    return PAGI::Headers->new($self->{scope}{headers});
}

sub host           { $_[0]->header('host') }
sub content_length { $_[0]->header('content-length') }

# Media types are case-insensitive (RFC 9110 8.3.1).
sub content_type {
    my ($self) = @_;
    my $value = $self->header('content-type');
    return '' unless defined $value;
    $value =~ s/;.*//s;
    $value =~ s/\A\s+|\s+\z//g;
    return lc $value;
}

sub is_json      { $_[0]->content_type eq 'application/json' ? 1 : 0 }
sub is_multipart { $_[0]->content_type =~ m{\Amultipart/form-data} ? 1 : 0 }

sub is_form {
    my ($self) = @_;
    return $self->content_type eq 'application/x-www-form-urlencoded' || $self->is_multipart ? 1 : 0;
}

sub cookies {
    my ($self) = @_;
    my $scope = $self->{scope};
    return $scope->{'pagi.request.cookies'} ||= do {
        require Cookie::Baker;
        # HTTP/2 may split the field; servers join it (HDR-6), hand-made scopes may not
        Cookie::Baker::crush_cookie(join '; ', $self->header_all('cookie'));
    };
}

sub cookie { $_[0]->cookies->{ $_[1] } }

sub bearer_token {
    my ($self) = @_;
    my $value = $self->header('authorization');
    return defined $value && $value =~ /\ABearer[ ]+(.+)\z/is ? $1 : undef;
}

sub basic_auth {
    my ($self) = @_;
    my $value = $self->header('authorization');
    return (undef, undef) unless defined $value && $value =~ /\ABasic[ ]+(.+)\z/is;
    require MIME::Base64;
    my ($user, $password) = split /:/, MIME::Base64::decode_base64($1), 2;
    return defined $password ? ($user, $password) : (undef, undef);
}

sub _accept {
    my ($self) = @_;
    my @lines = $self->header_all('accept');
    return @lines ? join(', ', @lines) : undef;
}

sub accepts {
    my ($self, $type) = @_;
    require PAGI::Request::Negotiate;
    return PAGI::Request::Negotiate->accepts_type($self->_accept, $type);
}

sub preferred_type {
    my ($self, @types) = @_;
    require PAGI::Request::Negotiate;
    return PAGI::Request::Negotiate->best_match(\@types, $self->_accept);
}

# --- query

sub query_params {
    my ($self, %options) = @_;
    my $mode = %options ? PAGI::Request::Query::mode('query_params', %options) : '';
    return PAGI::Request::Query::of_scope($self->{scope}, 'pagi.request', $mode);
}

sub query_param {
    my ($self, $name, %options) = @_;
    return $self->query_params(%options)->get($name);
}

sub raw_query_params { $_[0]->query_params(raw => 1) }
sub raw_query_param  { $_[0]->query_params(raw => 1)->get($_[1]) }

sub query {
    my ($self, @args) = @_;
    carp 'query() is deprecated; use query_param() instead';
    return $self->query_param(@args);
}

sub raw_query {
    my ($self, @args) = @_;
    carp 'raw_query() is deprecated; use raw_query_param() instead';
    return $self->raw_query_param(@args);
}

# --- path parameters

sub _default_path_param_strict_opt { $CONFIG{path_param_strict} }

sub path_params {
    my ($self, %options) = @_;
    my $strict = delete $options{strict};
    croak 'Unknown options to path_params: ' . join(', ', sort keys %options) if %options;
    my $params = $self->{scope}{path_params};
    croak 'path_params not set in scope (no router configured?). Pass strict => 0 to allow this.'
        if $strict && !$params;
    return $params || {};
}

sub path_param {
    my ($self, $name, %options) = @_;
    my $strict = exists $options{strict} ? delete $options{strict} : $self->_default_path_param_strict_opt;
    croak 'Unknown options to path_param: ' . join(', ', sort keys %options) if %options;
    my $params = $self->path_params;
    return $params->{$name} if !$strict || exists $params->{$name};
    croak "path_param '$name' not found. "
        . (%$params ? 'Available: ' . join(', ', sort keys %$params) : 'No path params set (no router?)');
}

# --- connection state

sub disconnect_future {
    my $connection = $_[0]->connection or return undef;
    return $connection->can('disconnect_future') ? $connection->disconnect_future : undef;
}

sub on_disconnect {
    my ($self, $callback) = @_;
    my $connection = $self->connection;
    $connection->on_disconnect($callback) if $connection;
    return $self;
}

sub on_complete {
    my ($self, $callback) = @_;
    my $connection = $self->connection;
    $connection->on_complete($callback) if $connection && $connection->can('on_complete');
    return $self;
}

# Limits of one call over the class-wide ones.
sub _limits {
    my ($class, %limits) = @_;
    return ((map { $_ => $CONFIG{$_} } grep { PAGI::Request::Body::is_limit($_) } keys %CONFIG), %limits);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request - the request behind an http scope

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Request;
    use PAGI::Response;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        die "Unsupported scope type: $scope->{type}" unless $scope->{type} eq 'http';

        my $request = PAGI::Request->new($scope, $receive);

        my $response;
        if ($request->is_post && $request->is_json) {
            my $data = await $request->json;
            $response = PAGI::Response->json({ you_sent => $data }, status => 201);
        }
        else {
            my $name = $request->query_param('name');
            $response = PAGI::Response->text('Hello, ' . (defined $name ? $name : 'World') . "!\n");
        }
        await $response->respond($send);
    };

=head1 DESCRIPTION

A read-only view of the scope, with the methods to read the body. Nothing is parsed before it is asked for, and what was parsed
is cached in the scope, so several request objects over one scope agree.

Methods marked I<future> return a L<Future>; all their errors, argument errors included, are failed Futures. The others return
at once and die with the location of the caller.

Text from the client is B<characters> where the method says so (decoded as UTF-8) and B<bytes> otherwise. Decoding methods take
C<< strict => 1 >>, to die with Encode's message on invalid bytes instead of putting U+FFFD there, and C<< raw => 1 >>, to get
bytes; C<raw> wins.

=head1 CONSTRUCTOR

=head2 new

    my $request = PAGI::Request->new($scope, $receive);

C<$receive> is needed for the body methods only. Nothing is checked.

=head2 configure

    PAGI::Request->configure(max_file_size => 5 * 1024 * 1024, path_param_strict => 0);

The class-wide settings of release 0.001: the multipart limits of L<PAGI::Request::Body/form_params> and C<path_param_strict> (default 1). Options
of a call come first. An unknown name dies with C<Unknown options to configure: NAME>. Returns the class.

=head2 config

A copy of these settings, as a hashref.

=head1 PROPERTIES

=head2 method, path, client

Straight from the scope: the method (upper case), the decoded path (characters), C<[host, port]> or undef.

=head2 raw_path

The path as on the wire (bytes), else the path.

=head2 query_string

Still encoded (bytes), default C<''>.

=head2 scheme, http_version

Default C<http> and C<1.1>.

=head2 scope, raw

The scope hashref itself.

=head2 state

The application's lifespan state, a hashref; a fresh empty one if the scope has none.

=head2 response

A new L<PAGI::Response> bound to this scope, another one on every call.

=head2 is_get, is_post, is_put, is_patch, is_delete, is_head, is_options

1 or 0; the method is compared upper-cased.

=head1 HEADERS

=head2 header

    my $value = $request->header('User-Agent');

The last value of the field (bytes), or undef. Names are compared without regard to case. An undefined name dies with
C<header name required>.

=head2 header_all

All values in order, as a list.

=head2 headers

A L<PAGI::Headers> copy; changing it never affects later look-ups.

=head2 host

The Host header.

=head2 content_type

Media type of the body in lower case, without parameters and blanks around it; C<''> if there is none.

=head2 content_length

Value of the header, or undef.

=head2 is_json

1 if the content type is exactly C<application/json>.

=head2 is_multipart

1 if the content type begins C<multipart/form-data>.

=head2 is_form

1 for multipart and C<application/x-www-form-urlencoded>.

=head2 cookies

Hashref of all cookies, percent-decoded to bytes; all Cookie fields count, and the first of several cookies with one name.

=head2 cookie

    my $value = $request->cookie('session');

One of them, or undef.

=head2 bearer_token

The token of C<Authorization: Bearer TOKEN>, else undef.

=head2 basic_auth

    my ($user, $password) = $request->basic_auth;

Bytes, split at the first colon; C<(undef, undef)> without valid Basic credentials.

=head2 accepts

    if ($request->accepts('json')) { ... }

1 or 0, from all Accept fields; without any everything is accepted. See L<PAGI::Request::Negotiate> for the shortcuts.

=head2 preferred_type

    my $type = $request->preferred_type('json', 'html');

The one the client likes best, spelled as given, or nothing.

=head1 QUERY

=head2 query_params

    my $params = $request->query_params;
    my @tags   = $params->get_all('tag');

A L<Hash::MultiValue> of characters; options C<strict> and C<raw>. Another option dies with
C<Unknown options to query_params: NAME>. L<PAGI::Request::Query> describes the parsing.

=head2 query_param

    my $value = $request->query_param($name, %options);

The last value, or undef.

=head2 raw_query_params, raw_query_param

The same with C<< raw => 1 >>.

=head2 query, raw_query

Deprecated names of C<query_param> and C<raw_query_param>; they warn.

=head1 PATH PARAMETERS

=head2 path_params

The hashref a router captured, C<{}> if none ran; C<< strict => 1 >> then dies with C<path_params not set in scope (no router
configured?). Pass strict =E<gt> 0 to allow this.> Subclasses may override it; L</path_param> calls it.

=head2 path_param

    my $id   = $request->path_param('id');
    my $page = $request->path_param('page', strict => 0);

Strict by default: a missing name dies with C<path_param 'NAME' not found. Available: a, b> or C<path_param 'NAME' not found. No
path params set (no router?)>. Otherwise undef. Never looks into the query. A subclass may override
C<_default_path_param_strict_opt>, which returns the default of C<strict>.

=head1 CONNECTION STATE

From the server's C<pagi.connection>, which exists for http scopes.

=head2 connection

The object, or undef.

=head2 is_connected, is_disconnected

1 or 0. Without the object: not connected.

=head2 disconnect_reason

Reason of an abnormal end: C<client_closed>, C<client_timeout>, C<idle_timeout>, C<write_error>, C<read_error>,
C<protocol_error>, C<server_shutdown>, C<body_too_large>, ... undef while open and after normal completion.

=head2 disconnect_future

A Future that resolves with the reason on abnormal end, or undef.

=head2 on_disconnect

    $request->on_disconnect(sub { my ($reason) = @_; ... });

=head2 on_complete

    $request->on_complete(sub { ... });

Exactly one kind fires for a request. Both return the request.

=head2 buffered_amount, high_water_mark, low_water_mark, is_writable, on_high_water, on_drain

Flow control, see L<PAGI::Transport>.

=head1 BODY

C<body>, C<text>, C<json>, C<form_params>, C<uploads>, C<body_stream>, C<multipart_stream> and their relatives are described in
L<PAGI::Request::Body>.

=head1 SEE ALSO

L<PAGI::Response>, L<PAGI::Context>

=cut
