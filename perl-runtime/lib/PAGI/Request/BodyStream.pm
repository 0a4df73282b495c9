package PAGI::Request::BodyStream;

use strict;
use warnings;

use Carp qw(croak);
use Encode ();
use Future::AsyncAwait;
use Scalar::Util qw(blessed);

our @CARP_NOT = qw(PAGI::Request);

sub new {
    my ($class, %args) = @_;
    croak 'receive is required' unless $args{receive};
    my $encoding;
    if (defined $args{decode}) {
        $encoding = Encode::find_encoding($args{decode})
            or croak "Unknown encoding '$args{decode}'";
        # the byte order mark would have to be remembered between chunks
        croak "Encoding '$args{decode}' depends on a byte order mark: name $args{decode}LE or $args{decode}BE instead"
            if $encoding->name =~ /\A(?:UTF-16|UTF-32)\z/;
    }
    return bless {
        receive    => $args{receive},
        max_bytes  => $args{max_bytes},
        limit_name => defined $args{limit_name} ? $args{limit_name} : 'max_bytes',
        encoding   => $encoding,
        strict     => $args{strict} ? 1 : 0,
        pending    => '',
        bytes_read => 0,
        done       => 0,
        error      => undef,
    }, $class;
}

sub bytes_read { $_[0]{bytes_read} }
sub is_done    { $_[0]{done} }
sub error      { $_[0]{error} }

async sub next_chunk {
    my ($self) = @_;
    return undef if $self->{done};

    my $event = await $self->{receive}->();
    my $type = ref $event eq 'HASH' ? $event->{type} : undef;
    if (!defined $type || $type =~ /\.disconnect\z/) {
        $self->{done} = 1;
        # what was held back waiting for the rest of a character
        my $tail = length $self->{pending} ? $self->_decode('', 1) : '';
        return length $tail ? $tail : undef;
    }

    my $chunk = defined $event->{body} ? $event->{body} : '';
    my $total = $self->{bytes_read} + length $chunk;
    $self->_fail("Request body $self->{limit_name} exceeded")
        if defined $self->{max_bytes} && $total > $self->{max_bytes};

    $self->{bytes_read} = $total;
    $self->{done} = 1 unless $event->{more};
    return $chunk unless $self->{encoding};
    return $self->_decode($chunk, $self->{done});
}

sub _fail {
    my ($self, $message) = @_;
    @$self{qw(done error)} = (1, $message);
    croak $message;
}

# STOP_AT_PARTIAL leaves only an incomplete trailing character in the buffer, so an invalid byte is reported (or replaced)
# where it stands and a character split between two chunks is not taken for an invalid one.
sub _decode {
    my ($self, $bytes, $final) = @_;
    my $buffer = $self->{pending} . $bytes;
    my $check = $self->{strict} ? Encode::FB_CROAK : Encode::FB_DEFAULT;
    $check |= Encode::STOP_AT_PARTIAL unless $final;
    my $text = eval { $self->{encoding}->decode($buffer, $check) };
    if (!defined $text) {
        my $error = $@;
        if (!$final && $error =~ /Partial character/) {    # how UTF-16 and UTF-32 report it when strict
            $self->{pending} .= $bytes;
            return '';
        }
        $error =~ s/ at \S+ line \d+\.?\n?\z//;
        $self->_fail("Failed to decode chunk: $error");
    }
    $self->{pending} = $final ? '' : $buffer;
    return $text;
}

async sub stream_to {
    my ($self, $sink) = @_;
    croak 'callback is required' unless $sink;

    my $total = 0;
    while (defined(my $chunk = await $self->next_chunk)) {
        next unless length $chunk;
        $total += length $chunk;
        my $result = $sink->($chunk);
        await $result if blessed $result && $result->can('get');
    }
    return $total;
}

async sub stream_to_file {
    my ($self, $path) = @_;
    croak 'path is required' unless defined $path && length $path;
    croak 'stream_to_file() cannot be used with decode option - use stream_to() instead' if $self->{encoding};

    my ($fh, $total) = (undef, 0);
    while (defined(my $chunk = await $self->next_chunk)) {
        next unless length $chunk;
        if (!$fh) {
            open $fh, '>:raw', $path or croak "Cannot open $path for writing: $!";
        }
        print {$fh} $chunk or croak "Cannot write to $path: $!";
        $total += length $chunk;
    }
    if ($fh) {
        close $fh or croak "Cannot close $path: $!";
    }
    return $total;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::BodyStream - read a request body chunk by chunk

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
        my $stream  = $request->body_stream(max_bytes => 10 * 1024 * 1024);

        my $lines = 0;
        await $stream->stream_to(sub { $lines += $_[0] =~ tr/\n// });

        await PAGI::Response->text("$lines lines\n")->respond($send);
    };

=head1 DESCRIPTION

A pull stream over the body of one request. Nothing is buffered beyond an incomplete trailing character when decoding.
Objects normally come from C<body_stream> in L<PAGI::Request>.

=head1 METHODS

Methods marked I<future> return a L<Future>; their errors are failed Futures.

=head2 new

    my $stream = PAGI::Request::BodyStream->new(receive => $receive, %options);

=over 4

=item receive

The scope's receive coderef. Missing: dies with C<receive is required>.

=item max_bytes

Largest body in bytes; no limit by default.

=item limit_name

What the limit is called in the error, default C<max_bytes>.

=item decode

Name of an encoding (for example C<UTF-8>); chunks are then characters. Default: none, chunks are bytes. An encoding that Perl
does not know dies with C<Unknown encoding 'NAME'>, C<UTF-16> and C<UTF-32> without a byte order die as well.

=item strict

With C<decode>: 1 fails on invalid bytes, 0 (the default) replaces them by U+FFFD. A character that is split between chunks
is not invalid.

=back

=head2 next_chunk

    while (defined(my $chunk = await $stream->next_chunk)) { ... }

I<future>. One C<receive> per call. The next chunk, which may be C<''>, or undef at the end, after a disconnect and after an
error. Fails with C<Request body LIMITNAME exceeded> before a chunk that would pass the limit is delivered, and with
C<Failed to decode chunk: DETAIL>. On the last chunk or a disconnect the held-back bytes are flushed.

=head2 bytes_read

Bytes received so far, before decoding.

=head2 is_done

1 once the last chunk, a disconnect or an error was seen, else 0.

=head2 error

Text of the error that ended the stream, or undef.

=head2 stream_to

    my $length = await $stream->stream_to(sub { my ($chunk) = @_; ... });

I<future>. Gives each non-empty chunk to the callback; a Future it returns is awaited before the next chunk is read. Resolves
to the total length (characters when decoding, else bytes). Fails with C<callback is required>.

=head2 stream_to_file

    my $bytes = await $stream->stream_to_file($path);

I<future>. Writes the body to C<$path>, truncating it; the file is created when the first non-empty chunk arrives. Writing
blocks. Resolves to the number of bytes. Fails with C<path is required>, C<stream_to_file() cannot be used with decode option
- use stream_to() instead>, C<Cannot open PATH for writing: REASON>, C<Cannot write to PATH: REASON> or
C<Cannot close PATH: REASON>.

=head1 SEE ALSO

L<PAGI::Request>, L<PAGI::Request::MultipartStream>

=cut
