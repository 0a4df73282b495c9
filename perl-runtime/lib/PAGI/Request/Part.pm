package PAGI::Request::Part;

use strict;
use warnings;

use Carp qw(croak);
use Fcntl qw(O_WRONLY O_CREAT O_EXCL O_NOFOLLOW);
use Future::AsyncAwait;
use PAGI::Request::PartialFile;
use PAGI::Request::Query;
use Scalar::Util qw(blessed);

# Made by PAGI::Request::MultipartStream. The serial number tells whether the stream still is at this part.
sub new {
    my ($class, $stream, $serial, $part) = @_;
    return bless {
        stream => $stream,
        serial => $serial,
        %$part,
        map { $_ => defined $part->{$_} ? PAGI::Request::Query::decode($part->{$_}, '') : undef } qw(name filename),
    }, $class;
}

sub name         { $_[0]{name} }
sub filename     { $_[0]{filename} }
sub content_type { $_[0]{content_type} }
sub encoding     { $_[0]{encoding} }
sub headers      { $_[0]{headers} }
sub is_file      { defined $_[0]{filename} ? 1 : 0 }
sub type         { defined $_[0]{filename} ? 'file' : 'field' }

sub next_chunk {
    my ($self) = @_;
    return $self->{stream}->_chunk($self->{serial});
}

async sub value {
    my ($self) = @_;
    my $value = '';
    while (defined(my $chunk = await $self->next_chunk)) {
        $value .= $chunk;
    }
    return $value;
}

async sub skip {
    my ($self) = @_;
    while (defined(await $self->next_chunk)) { }
    return;
}

async sub stream_to {
    my ($self, $sink) = @_;
    croak 'callback is required' unless $sink;

    my $total = 0;
    while (defined(my $chunk = await $self->next_chunk)) {
        $total += length $chunk;
        my $fed = eval {
            my $result = $sink->($chunk);
            await $result if blessed $result && $result->can('get');
            1;
        };
        if (!$fed) {
            my $error = $@;
            # what follows would be read by nobody: do not go on as if the part had been stored
            $self->{stream}->_fail("sink error: $error");
            die $error;
        }
    }
    return $total;
}

async sub stream_to_file {
    my ($self, $path) = @_;
    croak 'path is required' unless defined $path && length $path;

    # a new file only: the name may come from the client, and a planted symlink must not be followed
    sysopen my $fh, $path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600
        or croak "Cannot create $path: $!";
    binmode $fh;
    my $partial = PAGI::Request::PartialFile->new($path);
    my $total = await $self->stream_to(sub {
        print {$fh} $_[0] or die "Cannot write to $path: $!\n";
        return;
    });
    close $fh or croak "Cannot close $path: $!";
    $partial->keep;
    return $total;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::Part - one part of a streamed multipart body

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Request;
    use PAGI::Response;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        my $stream = PAGI::Request->new($scope, $receive)->multipart_stream;

        my %sizes;
        while (my $part = await $stream->next) {
            if ($part->is_file) {
                $sizes{ $part->name } = await $part->stream_to(sub { my ($bytes) = @_; });
            }
            else {
                $sizes{ $part->name } = length(await $part->value);
            }
        }
        await PAGI::Response->json(\%sizes)->respond($send);
    };

=head1 DESCRIPTION

Objects come from C<next> of L<PAGI::Request::MultipartStream>. A part can be read until the next one is asked for; its content is
read once.

=head1 METHODS

=head2 name, filename

Characters (UTF-8, invalid bytes replaced by U+FFFD). The name is undef if the client gave none, the file name undef for fields.
Never use a file name as a path.

=head2 content_type

What the client claims, default C<text/plain>.

=head2 encoding

The Content-Transfer-Encoding, or undef. Nothing is decoded.

=head2 headers

Hashref of all part headers: lower-cased names, the last of several wins, bytes.

=head2 is_file, type

1 and C<file>, or 0 and C<field>.

The following return Futures. They fail with the errors of L<PAGI::Request::MultipartStream/next>.

=head2 next_chunk

    while (defined(my $bytes = await $part->next_chunk)) { ... }

The next bytes, or undef at the end of the part.

=head2 value

    my $bytes = await $part->value;

The rest of the part, C<''> if there is none.

=head2 stream_to

    my $bytes = await $part->stream_to(sub { my ($chunk) = @_; ... });

Gives each chunk to the callback; a Future it returns is awaited before more is read. Resolves to the number of bytes. When the
callback dies its error is passed on and the whole stream has failed. Fails with C<callback is required>.

=head2 stream_to_file

    my $bytes = await $part->stream_to_file($path);

Writes the part to a B<new> file of mode 0600; an existing path or a symbolic link is refused. Writing blocks. On any error, and when
the Future is cancelled, the partial file is removed. Fails with C<path is required>, C<Cannot create PATH: REASON>, C<Cannot write
to PATH: REASON> or C<Cannot close PATH: REASON>.

=head2 skip

Reads the rest and discards it.

=head1 SEE ALSO

L<PAGI::Request::MultipartStream>

=cut
