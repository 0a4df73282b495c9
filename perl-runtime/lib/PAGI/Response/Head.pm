package PAGI::Response::Head;

use strict;
use warnings;

use Carp qw(croak);
use Scalar::Util qw(blessed);

sub status {
    my ($self, $code) = @_;
    return defined $self->{_status} ? $self->{_status} : 200 if @_ < 2;
    croak 'Status must be a number between 100-599'
        unless defined $code && $code =~ /\A[0-9]+\z/ && $code >= 100 && $code <= 599;
    $self->{_status} = $code + 0;
    return $self;
}

sub status_try {
    my ($self, $code) = @_;
    return defined $self->{_status} ? $self : $self->status($code);
}

sub headers    { $_[0]{_headers} }
sub header_all { $_[0]{_headers}->get_all($_[1]) }
sub scope      { $_[0]{scope} }

sub _header_name {
    my ($name) = @_;
    croak 'Header name is required' unless defined $name && length $name;
}

sub header {
    my ($self, $name, $value) = @_;
    _header_name($name);
    return $self->{_headers}->get($name) if @_ < 3;
    $self->{_headers}->add($name, $value);
    return $self;
}

sub header_try {
    my ($self, $name, $value) = @_;
    _header_name($name);
    $self->{_headers}->set_default($name, $value);
    return $self;
}

sub remove_header {
    my ($self, $name) = @_;
    _header_name($name);
    $self->{_headers}->remove($name);
    return $self;
}

sub content_type {
    my ($self, $type) = @_;
    return $self->{_headers}->get('content-type') if @_ < 2;
    $self->{_headers}->set('content-type', defined $type ? $type : ());
    return $self;
}

sub content_type_try {
    my ($self, $type) = @_;
    $self->{_headers}->set_default('content-type', $type);
    return $self;
}

sub has_status       { defined $_[0]{_status} ? 1 : 0 }
sub has_header       { $_[0]{_headers}->has($_[1]) }
sub has_content_type { $_[0]{_headers}->has('content-type') }

sub has_body_source {
    my ($self) = @_;
    return defined $self->{_body} || $self->{_file} || $self->{_stream} ? 1 : 0;
}

sub is_sent {
    my ($self) = @_;
    my $connection = $self->{scope} && $self->{scope}{'pagi.connection'} or return 0;
    croak 'pagi.connection lacks response_started (non-conforming server)'
        unless blessed $connection && $connection->can('response_started');
    return $connection->response_started ? 1 : 0;
}

sub cookie {
    my ($self, $name, $value, %options) = @_;
    my @parts = "$name=" . (defined $value ? $value : '');
    for my $attribute ([ max_age => 'Max-Age' ], [ expires => 'Expires' ], [ path => 'Path' ], [ domain => 'Domain' ]) {
        my ($option, $label) = @$attribute;
        push @parts, "$label=$options{$option}" if defined $options{$option};
    }
    push @parts, 'Secure'   if $options{secure};
    push @parts, 'HttpOnly' if $options{httponly};
    push @parts, "SameSite=$options{samesite}" if defined $options{samesite};
    $self->{_headers}->add('set-cookie', join '; ', @parts);
    return $self;
}

sub delete_cookie {
    my ($self, $name, %options) = @_;
    return $self->cookie($name, '', max_age => 0, map { $_ => $options{$_} } qw(path domain));
}

sub cors {
    my ($self, %options) = @_;
    my $origin = defined $options{origin} ? $options{origin} : '*';
    my $max_age = defined $options{max_age} ? $options{max_age} : 86400;
    # browsers refuse "*" together with credentials
    $origin = $options{request_origin}
        if $origin eq '*' && $options{credentials} && defined $options{request_origin};

    my $headers = $self->{_headers};
    $headers->add('access-control-allow-origin', $origin)->add('vary', 'Origin');
    $headers->add('access-control-allow-credentials', 'true') if $options{credentials};
    my $expose = $options{expose} || [];
    $headers->add('access-control-expose-headers', join ', ', @$expose) if @$expose;
    if ($options{preflight}) {
        my $methods = $options{methods} || [qw(GET POST PUT DELETE PATCH OPTIONS)];
        my $allowed = $options{headers} || [qw(Content-Type Authorization X-Requested-With)];
        $headers->add('access-control-allow-methods', join ', ', @$methods)
                ->add('access-control-allow-headers', join ', ', @$allowed)
                ->add('access-control-max-age', $max_age);
    }
    return $self;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Response::Head - the methods of a response that are about status and headers

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Response;

    my $response = PAGI::Response->new;    # has these methods
    $response->status(201)->header('X-Answer' => 42)->cookie(seen => 1, path => '/', httponly => 1);
    my $app = $response->text("made\n")->to_app;

=head1 DESCRIPTION

The part of L<PAGI::Response> that is about everything but the body. Header names and values are bytes and stay as given; the server refuses CR, LF and NUL.

=head1 METHODS

=head2 status

    $response->status(404);
    my $code = $response->status;    # 200 unless set

Dies with C<Status must be a number between 100-599>.

=head2 status_try

    $response->status_try(404);

Sets it unless it was set before.

=head2 header

    $response->header('X-Tag' => 'a')->header('X-Tag' => 'b');    # appends
    my $value = $response->header('x-tag');                       # b

With a value appends, else returns the last value or undef. Dies with C<Header name is required> or
C<header value must be defined>.

=head2 header_all

All values, as a list.

=head2 headers

The live L<PAGI::Headers>; changing it changes the response.

=head2 header_try

Appends unless the name is present.

=head2 remove_header

Removes all fields of that name.

=head2 content_type

    $response->content_type('text/csv');
    $response->content_type(undef);

Gets, replaces or removes the type.

=head2 content_type_try

Sets it unless it is set. An undefined type dies.

=head2 has_status, has_header, has_content_type

1 if it was set explicitly, else 0.

=head2 has_body_source

1 if bytes (also empty ones), a file or a stream were set; sending changes nothing.

=head2 scope

The scope given to C<new>, or undef.

=head2 is_sent

1 if the response of this scope's request has started, by whomever; 0 without a scope or C<pagi.connection>. Dies with
C<pagi.connection lacks response_started (non-conforming server)>.

=head2 cookie

    $response->cookie(name => 'value', max_age => 3600, path => '/', secure => 1, httponly => 1, samesite => 'Lax');

Appends a Set-Cookie field. Options: C<max_age> (seconds), C<expires> (HTTP date), C<path>, C<domain>, C<secure>, C<httponly>,
C<samesite>. Nothing is encoded or checked.

=head2 delete_cookie

    $response->delete_cookie('name', path => '/');

Appends one with an empty value and C<Max-Age=0>; C<path> and C<domain> must be those the cookie was set with.

=head2 cors

    $response->cors(origin => 'https://app.example', credentials => 1);

Appends CORS headers: always C<access-control-allow-origin> and C<vary: Origin>. Options: C<origin> (default C<*>), C<credentials>
(0), C<request_origin> (sent in place of C<*> when credentials are allowed), C<expose> (C<[]>), and with C<preflight> (0) also
C<methods> (C<[GET POST PUT DELETE PATCH OPTIONS]>), C<headers> (C<[Content-Type Authorization X-Requested-With]>) and C<max_age>
(seconds, 86400).

=head1 SEE ALSO

L<PAGI::Response>, L<PAGI::Headers>

=cut
