package PAGI::Test::Response;

use strict;
use warnings;

use Carp qw(croak);
use Encode ();
use JSON::MaybeXS ();

our $JSON_ERROR_BODY_LIMIT = 1500;

my $JSON = JSON::MaybeXS->new(utf8 => 1, allow_nonref => 1);

sub new {
    my ($class, %args) = @_;
    return bless {
        status    => defined $args{status} ? $args{status} : 200,
        headers   => $args{headers} || [],
        body      => defined $args{body} ? $args{body} : '',
        exception => $args{exception},
    }, $class;
}

sub status    { return $_[0]{status} }
sub content   { return $_[0]{body} }
sub exception { return $_[0]{exception} }

sub text {
    my ($self) = @_;
    return '' unless length $self->{body};
    my $type = $self->content_type;
    my ($charset) = defined $type ? $type =~ /;\s*charset\s*=\s*"?([^\s;"]+)/i : ();
    return Encode::decode(defined $charset ? $charset : 'UTF-8', $self->{body}, Encode::FB_CROAK | Encode::LEAVE_SRC);
}

sub json {
    my ($self) = @_;

    my $data;
    return $data if eval { $data = $JSON->decode($self->{body}); 1 };
    my $error = $@;
    my $type  = $self->content_type;
    $type = '(none)' unless defined $type;
    croak "Response body is not valid JSON (status=$self->{status}, content-type=$type)\n"
        . 'Body: ' . $self->_body_preview . "\nJSON error: $error";
}

sub _body_preview {
    my ($self) = @_;
    my $length = length $self->{body};
    return $self->{body} if $length <= $JSON_ERROR_BODY_LIMIT;
    return substr($self->{body}, 0, $JSON_ERROR_BODY_LIMIT) . "\n... [truncated, $length bytes total]";
}

sub header {
    my ($self, $name) = @_;
    my ($value) = $self->header_all($name);    # one value in list context too
    return $value;
}

sub header_all {
    my ($self, $name) = @_;
    return map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $self->{headers} };
}

sub headers {
    my ($self) = @_;
    return { map { lc $_->[0] => $_->[1] } @{ $self->{headers} } };
}

sub header_pairs {
    my ($self) = @_;
    return map { [@$_] } @{ $self->{headers} };
}

sub is_success  { return $_[0]{status} >= 200 && $_[0]{status} < 300 ? 1 : 0 }
sub is_redirect { return $_[0]{status} >= 300 && $_[0]{status} < 400 ? 1 : 0 }
sub is_error    { return $_[0]{status} >= 400 ? 1 : 0 }

sub content_type   { return $_[0]->header('content-type') }
sub content_length { return $_[0]->header('content-length') }
sub location       { return $_[0]->header('location') }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Test::Response - what an app answered to a test request

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Test::Response;

    my $response = PAGI::Test::Response->new(
        status  => 201,
        headers => [['Content-Type', 'application/json'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']],
        body    => '{"id":7}',
    );
    print $response->status, ' ', $response->json->{id}, "\n";    # 201 7
    print scalar $response->header('SET-COOKIE'), "\n";           # a=1
    print join(' ', $response->header_all('set-cookie')), "\n";   # a=1 b=2

=head1 DESCRIPTION

The value returned by the request methods of L<PAGI::Test::Client>.

=head1 METHODS

=head2 new

    PAGI::Test::Response->new(status => 200, headers => \@pairs, body => $bytes, exception => $error);

All arguments are optional; the defaults are 200, no headers, no bytes and no exception.

=head2 status

The status code.

=head2 content

The body as bytes.

=head2 text

The body as characters: decoded with the charset of the Content-Type, else as UTF-8. Dies with Encode's message when the
bytes do not fit. An empty body gives the empty string.

=head2 json

The decoded JSON body. Croaks C<Response body is not valid JSON (status=S, content-type=T)> otherwise, followed by the
beginning of the body, up to C<$PAGI::Test::Response::JSON_ERROR_BODY_LIMIT> bytes (1500), and the parser's message.

=head2 header

    my $value = $response->header($name);

The B<first> value of a header, or undef. The case of the name does not matter.

=head2 header_all

    my @values = $response->header_all($name);

All values in order.

=head2 headers

A hashref of lower-case names; of repeated headers it has the B<last> value.

=head2 header_pairs

The list of C<[name, value]> pairs as sent.

=head2 is_success, is_redirect, is_error

1 for a status of 200 to 299, of 300 to 399, of 400 and above, else 0.

=head2 content_type, content_length, location

The headers of these names, or undef.

=head2 exception

The exception the app died with, which the client turned into a 500, or undef.

=head1 SEE ALSO

L<PAGI::Test::Client>

=cut
