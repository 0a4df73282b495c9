package PAGI::Request::Body;

use strict;
use warnings;

use Carp qw(carp croak);
use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Request::Query;

my $JSON = JSON::MaybeXS->new(utf8 => 1, allow_nonref => 1);

my %LIMIT = map { $_ => 1 } qw(max_field_size max_file_size spool_threshold max_files max_fields temp_dir);

sub is_limit { return $LIMIT{ $_[0] } }

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

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::Body - the methods of a request that read its body

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Request;
    use PAGI::Response;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        die "Unsupported scope type: $scope->{type}" unless $scope->{type} eq 'http';

        my $request = PAGI::Request->new($scope, $receive);    # has these methods
        my $form = await $request->form_params;
        my $name = $form->get('name');
        await PAGI::Response->text(defined $name ? "Hello, $name!\n" : "Who are you?\n")->respond($send);
    };

=head1 DESCRIPTION

The part of L<PAGI::Request> that is about the body. A body is read once. The buffered methods cache it and exclude the streams, and the other way round.

=head1 METHODS

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

=head2 is_limit

    PAGI::Request::Body::is_limit('max_files');

A function for subclasses: whether that is an option of L</form_params> which limits multipart bodies.

=head1 SEE ALSO

L<PAGI::Request>, L<PAGI::Request::BodyStream>, L<PAGI::Request::MultipartStream>

=cut
