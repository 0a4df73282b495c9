package PAGI::Simple::BodyStream;

use strict;
use warnings;

use parent 'PAGI::Request::BodyStream';

use Carp qw(croak);
use Future::AsyncAwait;
use PAGI::Simple::Callback;
use Scalar::Util qw(blessed reftype);

our @CARP_NOT = qw(PAGI::Simple::Request PAGI::Simple::Context);

sub new {
    my ($class, %args) = @_;
    my $receive = $args{receive};
    my %last;
    my $self = $class->SUPER::new(%args, receive => $receive && sub {
        my $future = PAGI::Simple::Callback::waitable($receive->());
        return $future->on_done(sub { $last{chunk} = $_[0]{body} if ref $_[0] eq 'HASH' });
    });
    $self->{last} = \%last;
    return $self;
}

# As it came, before decoding.
sub last_raw_chunk { return $_[0]{last}{chunk} }

async sub _raw_chunk {
    my ($self) = @_;
    return undef if $self->{done};
    my $encoding = delete $self->{encoding};
    my $chunk;
    my $ok = eval { $chunk = await $self->next_chunk; 1 };
    my $error = $@;
    $self->{encoding} = $encoding;
    die $error unless $ok;
    return $chunk;
}

async sub stream_to {
    my ($self, $sink, %options) = @_;
    my $write = _sink($sink, %options);
    my $total = 0;
    while (defined(my $chunk = await $self->_raw_chunk)) {
        next unless length $chunk;
        $total += length $chunk;
        my $result = $write->($chunk);
        await $result if PAGI::Simple::Callback::is_future($result);
    }
    return $total;
}

sub _sink {
    my ($sink, %options) = @_;
    return $sink if ref $sink eq 'CODE';
    if (ref $sink && (reftype $sink eq 'GLOB' || (blessed $sink && $sink->isa('IO::Handle')))) {
        binmode $sink, $options{binmode} if defined $options{binmode};
        return sub { print {$sink} $_[0] or die "Cannot write the request body: $!\n"; return };
    }
    return sub { $sink->write($_[0]) } if blessed $sink && $sink->can('write');
    croak 'stream_to takes a filehandle, a coderef or an object with a write method';
}

async sub stream_to_file {
    my ($self, $path, %options) = @_;
    croak 'stream_to_file needs a path' unless defined $path && length $path;
    my $mode = defined $options{mode} ? $options{mode} : 'truncate';
    croak "stream_to_file: mode is truncate or append, not '$mode'" unless $mode =~ /\A(?:truncate|append)\z/;
    open my $handle, $mode eq 'append' ? '>>:raw' : '>:raw', $path or croak "Cannot open $path for writing: $!";
    my $total = await $self->stream_to($handle);
    close $handle or croak "Cannot write $path: $!";
    return $total;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::BodyStream - reads a request body chunk by chunk

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->post('/store' => async sub {
        my ($c) = @_;
        my $bytes = await $c->body_stream(max_bytes => 100 * 1024 * 1024)->stream_to_file('/dev/null');
        await $c->json({ bytes => $bytes });
    });

=head1 DESCRIPTION

What C<< $c->body_stream >> returns: L<PAGI::Request::BodyStream>, whose C<next_chunk>, C<bytes_read>, C<is_done> and C<error> are unchanged. Options of
C<body_stream>: C<max_bytes> (default: the Content-Length), C<decode> (an encoding) and C<strict>. Exceeding the limit fails with C<Request body max_bytes
exceeded> or C<Request body content-length exceeded>.

=head1 METHODS

=head2 new

See L<PAGI::Request::BodyStream/new>.

=head2 last_raw_chunk

The bytes of the last chunk, before decoding; undef before the first.

=head2 stream_to

    my $bytes = await $stream->stream_to($sink, binmode => ':raw');

A Future of the number of bytes. The sink is a filehandle, a coderef or an object with C<write>; Futures they return are awaited. It always gets
bytes.

=head2 stream_to_file

    my $bytes = await $stream->stream_to_file($path, mode => 'append');

A Future of the number of bytes. C<truncate> (default) empties the file first, and it stays so when the limit trips. Croaks C<Cannot open PATH for
writing: REASON>.

=cut
