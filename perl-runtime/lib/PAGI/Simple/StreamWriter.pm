package PAGI::Simple::StreamWriter;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;

our @CARP_NOT = qw(PAGI::Simple::Context::Response);

my %OPTION = map { $_ => 1 } qw(chunk_size delay);

sub new {
    my ($class, $emit) = @_;
    return bless { emit => $emit, closed => 0, bytes => 0 }, $class;
}

sub is_closed  { return $_[0]{closed} }
sub bytes_sent { return $_[0]{bytes} }

sub write {
    my ($self, $data) = @_;
    return Future->fail("The stream is closed already\n") if $self->{closed};
    $data = '' unless defined $data;
    return Future->fail("A stream takes bytes; encode characters first\n") unless utf8::downgrade($data, 1);
    return Future->done($self) unless length $data;
    $self->{bytes} += length $data;
    my $sent = $self->{emit}->($data, 1);
    return $sent->is_done ? Future->done($self) : $sent->then(sub { Future->done($self) });
}

sub writeln {
    my ($self, $line) = @_;
    return $self->write((defined $line ? $line : '') . "\n");
}

sub close {
    my ($self) = @_;
    return Future->done if $self->{closed}++;
    return $self->{emit}->('', 0);
}

# A callback for stream that sends what a source yields.
sub feeder {
    my ($class, $source, %options) = @_;
    my @unknown = grep { !$OPTION{$_} } sort keys %options;
    croak 'Unknown options to stream_from: ' . join(', ', @unknown) if @unknown;
    my $next = _iterator($source, $options{chunk_size} || 65536);
    my $delay = $options{delay} || 0;
    return async sub {
        my ($writer) = @_;
        my $first = 1;
        while (defined(my $chunk = $next->())) {
            if ($delay && !$first) {
                require Future::IO;
                await Future::IO->sleep($delay);
            }
            $first = 0;
            await $writer->write($chunk);
        }
        return;
    };
}

sub _iterator {
    my ($source, $size) = @_;
    return $source if ref $source eq 'CODE';
    if (ref $source eq 'ARRAY') {
        my @chunks = @$source;
        return sub { shift @chunks };
    }
    my $handle = $source;
    if (defined $source && !ref $source && -f $source) {
        undef $handle;
        open $handle, '<:raw', $source or croak "Cannot read $source: $!";
    }
    croak 'stream_from takes an arrayref, a coderef, the path of a file or a filehandle'
        unless defined $handle && ref $handle && (ref $handle eq 'GLOB' || eval { $handle->can('read') });
    return sub {
        my $got = read $handle, my ($chunk), $size;
        die "Cannot read the source of the stream: $!\n" unless defined $got;
        return $got ? $chunk : undef;
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::StreamWriter - writes a streaming response

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->get('/count' => sub {
        my ($c) = @_;
        $c->stream(async sub {
            my ($writer) = @_;
            for my $i (1 .. 3) { await $writer->writeln($i) }
        }, content_type => 'text/plain');
    });
    $app->get('/parts' => sub { my ($c) = @_; $c->stream_from([ 'a', 'b' ]) });

=head1 DESCRIPTION

C<< $c->stream >> calls a plain or async callback with a writer, closes the stream if the callback did not, and then passes an exception on.
The type is C<text/plain; charset=utf-8> unless C<content_type> says otherwise; there is no Content-Length. Everything written is B<bytes>.

=head1 METHODS

Those marked I<future> return a Future.

=head2 new

    my $writer = PAGI::Simple::StreamWriter->new($emit);

=head2 write, writeln

    await $writer->write($bytes);

I<future>, of the writer. Waiting for it gives the client time to read. Fails with C<The stream is closed already> and C<A stream takes bytes;
encode characters first>.

=head2 close

I<future>. Ends the response; may be called again.

=head2 is_closed, bytes_sent

True after C<close>; bytes written so far.

=head2 feeder

    my $callback = PAGI::Simple::StreamWriter->feeder($source, chunk_size => 65536, delay => 0);

For C<< $c->stream_from >>: an arrayref of chunks, a coderef that returns chunks and then undef, the path of a file, or a filehandle (read
C<chunk_size> bytes at a time). C<delay> seconds pass between chunks (needs L<Future::IO>). Croaks for other sources and options.

=cut
