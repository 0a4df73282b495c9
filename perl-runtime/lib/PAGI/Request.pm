package PAGI::Request;

use strict;
use warnings;

use parent 'PAGI::Transport';

use Carp qw(carp croak);
use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Request::Query;

my $JSON = JSON::MaybeXS->new(utf8 => 1, allow_nonref => 1);

# Class-wide defaults, the configuration style of release 0.001.
my %CONFIG = (path_param_strict => 1);

my %LIMIT = map { $_ => 1 } qw(max_field_size max_file_size spool_threshold max_files max_fields temp_dir);

sub configure {
    my ($class, %options) = @_;
    my @unknown = grep { !$LIMIT{$_} && $_ ne 'path_param_strict' } sort keys %options;
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

sub connection { $_[0]{scope}{'pagi.connection'} }

sub is_connected {
    my $connection = $_[0]->connection or return 0;
    return $connection->is_connected ? 1 : 0;
}

sub is_disconnected { $_[0]->is_connected ? 0 : 1 }

sub disconnect_reason {
    my $connection = $_[0]->connection or return undef;
    return $connection->disconnect_reason;
}

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

# --- body

sub body {
    my ($self) = @_;
    my $scope = $self->{scope};
    return Future->done($scope->{'pagi.request.body'}) if $scope->{'pagi.request.body.read'};
    return $self->_read_body;
}

async sub _read_body {
    my ($self) = @_;
    my $scope = $self->{scope};
    croak 'Body streaming already started; buffered helpers unavailable'
        if $scope->{'pagi.request.body.stream.created'};
    my $receive = $self->{receive} or die "No receive callback provided\n";

    my $body = '';
    while (1) {
        my $event = await $receive->();
        my $type = ref $event eq 'HASH' ? $event->{type} : undef;
        last if !defined $type || $type =~ /\.disconnect\z/;
        $body .= $event->{body} if defined $event->{body};
        last unless $event->{more};
    }
    $scope->{'pagi.request.body'} = $body;
    $scope->{'pagi.request.body.read'} = 1;
    return $body;
}

async sub text {
    my ($self, %options) = @_;
    my $strict = delete $options{strict};
    croak 'Unknown options to text: ' . join(', ', sort keys %options) if %options;
    my $body = await $self->body;
    return defined $body ? PAGI::Request::Query::decode($body, $strict ? 'strict' : '') : '';
}

async sub json {
    my ($self) = @_;
    my $body = await $self->body;
    return $JSON->decode(defined $body ? $body : '');
}

sub body_stream {
    my ($self, %options) = @_;
    my $scope = $self->{scope};
    croak 'Body already consumed; streaming not available' if $scope->{'pagi.request.body.read'};
    croak 'Body streaming already started' if $scope->{'pagi.request.body.stream.created'};

    my %stream = map { $_ => delete $options{$_} } qw(max_bytes limit_name decode strict);
    croak 'Unknown options to body_stream: ' . join(', ', sort keys %options) if %options;
    if (!defined $stream{max_bytes}) {
        my $length = $self->content_length;
        @stream{qw(max_bytes limit_name)} = ($length, 'content-length') if defined $length && $length =~ /\A[0-9]+\z/;
    }
    require PAGI::Request::BodyStream;
    my $stream = PAGI::Request::BodyStream->new(receive => $self->{receive}, %stream);
    $scope->{'pagi.request.body.stream.created'} = 1;
    return $stream;
}

sub multipart_stream {
    my ($self, %limits) = @_;
    my $scope = $self->{scope};
    croak 'Body already consumed; multipart_stream() not available'
        if $scope->{'pagi.request.body.read'} || $scope->{'pagi.request.body.stream.created'};
    croak 'multipart_stream() requires a multipart/form-data request' unless $self->is_multipart;
    my $boundary = $self->_multipart_boundary;
    croak 'No boundary found in Content-Type' unless defined $boundary;

    require PAGI::Request::MultipartStream;
    my $stream = PAGI::Request::MultipartStream->new(
        receive  => $self->{receive},
        boundary => $boundary,
        %limits,
    );
    $scope->{'pagi.request.body.stream.created'} = 1;
    return $stream;
}

# Parameter names are case-insensitive; a quoted boundary may contain blanks (RFC 2046 5.1.1).
sub _multipart_boundary {
    my ($self) = @_;
    my $value = $self->header('content-type');
    return undef unless defined $value && $value =~ /;\s*boundary=(?:"([^"]+)"|'([^';\s]+)'|([^";\s]+))/i;
    return defined $1 ? $1 : defined $2 ? $2 : $3;
}

# --- forms and uploads

async sub form_params {
    my ($self, %options) = @_;
    my %limits = map { $_ => delete $options{$_} } grep { exists $options{$_} } keys %LIMIT;
    my $mode = PAGI::Request::Query::mode('form_params', %options);
    require PAGI::Request::Form;
    return await PAGI::Request::Form->params($self, $mode, %limits);
}

async sub form_param {
    my ($self, $name, %options) = @_;
    my $form = await $self->form_params(%options);
    return $form->get($name);
}

sub raw_form_params {
    my ($self, %options) = @_;
    return $self->form_params(%options, raw => 1);
}

sub raw_form_param {
    my ($self, $name, %options) = @_;
    return $self->form_param($name, %options, raw => 1);
}

sub form {
    my ($self, %options) = @_;
    carp 'form() is deprecated; use form_params() instead';
    return $self->form_params(%options);
}

sub raw_form {
    my ($self, %options) = @_;
    carp 'raw_form() is deprecated; use raw_form_params() instead';
    return $self->raw_form_params(%options);
}

async sub uploads {
    my ($self, %limits) = @_;
    my @unknown = grep { !$LIMIT{$_} } sort keys %limits;
    croak 'Unknown options to uploads: ' . join(', ', @unknown) if @unknown;
    require PAGI::Request::Form;
    return await PAGI::Request::Form->uploads($self, %limits);
}

async sub upload {
    my ($self, $name, %limits) = @_;
    my $uploads = await $self->uploads(%limits);
    return $uploads->get($name);
}

async sub upload_all {
    my ($self, $name, %limits) = @_;
    my $uploads = await $self->uploads(%limits);
    return $uploads->get_all($name);
}

# Limits of one call over the class-wide ones.
sub _limits {
    my ($class, %limits) = @_;
    return ((map { $_ => $CONFIG{$_} } grep { $LIMIT{$_} } keys %CONFIG), %limits);
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

The class-wide settings of release 0.001: the multipart limits of L</form_params> and C<path_param_strict> (default 1). Options
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

A body is read once. The buffered methods cache it and exclude the streams, and the other way round.

=head2 body

    my $bytes = await $request->body;

I<future>. The whole body (bytes). When the client leaves half-way it is what arrived until then. After a multipart form was
parsed it is undef. Fails with C<Body streaming already started; buffered helpers unavailable> or C<No receive callback
provided>.

=head2 text

    my $text = await $request->text;

I<future>. The body as characters; option C<strict>. Another option fails with C<Unknown options to text: NAME>.

=head2 json

    my $data = await $request->json;

I<future>. The decoded body; the JSON module's error otherwise.

=head2 form_params

    my $form = await $request->form_params;

I<future>. A L<Hash::MultiValue> of characters. A multipart body is parsed as such, any other as urlencoded. Options: C<strict>,
C<raw>, and for multipart, at the first call, C<max_field_size> (bytes, default 1 MiB), C<max_file_size> (bytes, 10 MiB),
C<spool_threshold> (bytes, 64 KiB), C<max_files> (20), C<max_fields> (1000) and C<temp_dir>. Other options fail with
C<Unknown options to form_params: NAME>. For errors of the body itself see L<PAGI::Request::MultiPartHandler>.

=head2 form_param

    my $value = await $request->form_param($name, %options);

I<future>. The last value, or undef.

=head2 raw_form_params, raw_form_param

The same with C<< raw => 1 >>.

=head2 form, raw_form

Deprecated names of C<form_params> and C<raw_form_params>; they warn.

=head2 uploads

    my $uploads = await $request->uploads(max_file_size => 1024 * 1024);

I<future>. A L<Hash::MultiValue> of L<PAGI::Request::Upload>, empty unless the request is multipart. Field and file names are
characters. Takes the limits of L</form_params>.

=head2 upload

    my $upload = await $request->upload($name, %limits);

I<future>. The last upload of the field, or undef.

=head2 upload_all

I<future>. All of them, as a list.

=head2 body_stream

    my $stream = $request->body_stream(max_bytes => 1024 * 1024);

A L<PAGI::Request::BodyStream>; options C<max_bytes>, C<limit_name>, C<decode>, C<strict>. Without C<max_bytes> the Content-Length is
the limit. Dies with C<Body already consumed; streaming not available>, C<Body streaming already started> or C<Unknown options to
body_stream: NAME>.

=head2 multipart_stream

    my $stream = $request->multipart_stream(max_file_size => 1024 ** 3);

A L<PAGI::Request::MultipartStream>, for uploads that must not be spooled; its limits are the options. Dies with C<Body already
consumed; multipart_stream() not available>, C<multipart_stream() requires a multipart/form-data request> or C<No boundary found
in Content-Type>.

=head1 SEE ALSO

L<PAGI::Response>, L<PAGI::Context>

=cut
