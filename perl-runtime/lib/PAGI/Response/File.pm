package PAGI::Response::File;

use strict;
use warnings;

use Carp qw(croak);
use Encode ();
use File::Spec;

our @CARP_NOT = qw(PAGI::Response);

my %TYPE = (
    html  => 'text/html',
    htm   => 'text/html',
    txt   => 'text/plain',
    css   => 'text/css',
    js    => 'application/javascript',
    json  => 'application/json',
    xml   => 'application/xml',
    pdf   => 'application/pdf',
    zip   => 'application/zip',
    png   => 'image/png',
    jpg   => 'image/jpeg',
    jpeg  => 'image/jpeg',
    gif   => 'image/gif',
    svg   => 'image/svg+xml',
    ico   => 'image/x-icon',
    woff  => 'font/woff',
    woff2 => 'font/woff2',
);

sub new {
    my ($class, $path, %options) = @_;
    croak 'File not found: ' . (defined $path ? $path : '(undef)') unless defined $path && -f $path;
    croak "Cannot read file: $path" unless -r _;
    my $size = -s _;

    my $offset = defined $options{offset} ? $options{offset} : 0;
    croak 'offset must be non-negative' if $offset < 0;
    croak 'offset exceeds file size'    if $offset > $size;

    my $rest = $size - $offset;
    my $length = $options{length};
    croak 'length must be non-negative' if defined $length && $length < 0;
    $length = $rest if !defined $length || $length > $rest;

    # the file of an event is absolute (AMB-14), and what is relative now may mean another file when it is sent
    $path = File::Spec->rel2abs($path);
    return bless { path => $path, offset => $offset, length => $length, rest => $rest }, $class;
}

sub length { $_[0]{length} }

sub content_type {
    my ($self) = @_;
    my ($extension) = $self->{path} =~ /\.([^.\/]+)\z/;
    return defined $extension && $TYPE{ lc $extension } || 'application/octet-stream';
}

sub event {
    my ($self) = @_;
    my %event = (type => 'http.response.body', file => $self->{path});
    $event{offset} = $self->{offset} if $self->{offset} > 0;
    $event{length} = $self->{length} if $self->{length} < $self->{rest};
    return \%event;
}

# Header values are bytes: a name outside ASCII gets the RFC 6266 pair, an ASCII stand-in and filename*.
sub disposition {
    my ($class, $filename) = @_;
    $filename =~ tr/"\r\n//d;
    return qq{attachment; filename="$filename"} unless $filename =~ /[^\x00-\x7f]/;
    my $encoded = Encode::encode('UTF-8', $filename);
    $encoded =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
    $filename =~ s/[^\x20-\x7e]/_/g;
    return qq{attachment; filename="$filename"; filename*=UTF-8''$encoded};
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Response::File - the file, or part of one, that a response sends

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Response::File;

    my $file = PAGI::Response::File->new($0, offset => 0, length => 10);
    print $file->length, ' bytes of ', $file->content_type, "\n";

=head1 DESCRIPTION

What C<send_file> of L<PAGI::Response> keeps. The file is looked at once, at construction; the server opens and streams it.

=head1 METHODS

=head2 new

    my $file = PAGI::Response::File->new($path, offset => $bytes, length => $bytes);

C<offset> defaults to 0, C<length> to the rest of the file and is cut to it. Dies with C<File not found: PATH>,
C<Cannot read file: PATH>, C<offset must be non-negative>, C<offset exceeds file size> or C<length must be non-negative>.

=head2 length

Bytes that will be sent.

=head2 content_type

Media type by file extension, C<application/octet-stream> if unknown.

=head2 event

The C<http.response.body> event.

=head2 disposition

    my $value = PAGI::Response::File->disposition('report.pdf');

Value of a Content-Disposition header for a download, from a name in characters. Quotes, CR and LF are removed; a name
outside ASCII is also given as C<filename*> (RFC 6266).

=head1 SEE ALSO

L<PAGI::Response>

=cut
