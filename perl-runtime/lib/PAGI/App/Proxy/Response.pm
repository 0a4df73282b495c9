package PAGI::App::Proxy::Response;

use strict;
use warnings;

use Future::AsyncAwait;
use PAGI::App::Proxy::Failure;
use PAGI::App::Proxy::Request qw(without_hop_by_hop);

my $LINE = 8192;    # bytes of a chunk size line

# Reads the head of the response to a request with that method. Interim responses (1xx) are passed over, but for 101.
async sub read {
    my ($class, $connection, $method, $max_head) = @_;
    my $buffer = $connection->buffer;
    while (1) {
        my $block;
        until (defined($block = _take_head($buffer))) {
            _bad("more than $max_head bytes of header") if length $$buffer > $max_head;
            await $connection->fill or _bad(length $$buffer ? 'the connection ended in the header' : 'no response');
        }
        _bad("more than $max_head bytes of header") if length $block > $max_head;
        my ($status, $minor, $headers) = _parse($block);
        next if $status < 200 && $status != 101;
        my $self = bless { connection => $connection, status => $status, headers => $headers, left => undef, chunked => 0 }, $class;
        $self->_frame($method, $minor);
        return $self;
    }
}

# The lines before the first empty one, taken from the buffer with it; undef as long as that has not come.
sub _take_head {
    my ($buffer) = @_;
    return undef unless $$buffer =~ /\r?\n\r?\n/;
    my $block = substr $$buffer, 0, $-[0];
    substr $$buffer, 0, $+[0], '';
    return $block;
}

sub status        { $_[0]{status} }
sub headers       { $_[0]{headers} }
sub has_body      { $_[0]{framing} ne 'none' }
sub is_reusable   { $_[0]{reusable} && $_[0]{framing} eq 'none' }

sub header {
    my ($self, $name) = @_;
    my @values = map { $_->[1] } grep { $_->[0] eq $name } @{ $self->{headers} };
    return @values ? join ', ', @values : undef;
}

# For the client: hop-by-hop headers are about the connection to the backend, and framing is the server's.
sub end_to_end_headers {
    my ($self) = @_;
    return grep { $_->[0] ne 'content-length' || !$self->{chunked} } without_hop_by_hop($self->{headers});
}

sub _parse {
    my ($block) = @_;
    my ($first, @lines) = split /\r?\n/, $block;
    my ($minor, $status) = ($first // '') =~ m{\AHTTP/1\.([01]) ([1-9][0-9][0-9])(?: |\z)} or _bad('no HTTP/1 status line');
    my @headers;
    for my $line (@lines) {
        if ($line =~ /\A[ \t]+(.*)/ && @headers) {    # a folded line (RFC 9112 5.2)
            $headers[-1][1] .= " $1";
            next;
        }
        my ($name, $value) = $line =~ /\A([!#\$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*\z/s or _bad('a malformed header line');
        _bad('a control character in a header') if $value =~ /[\0\r]/;
        push @headers, [lc $name, $value];
    }
    return ($status, $minor, \@headers);
}

# RFC 9112 6.3
sub _frame {
    my ($self, $method, $minor) = @_;
    my $connection = lc($self->header('connection') // '');
    $self->{reusable} = $minor ? $connection !~ /\bclose\b/ : $connection =~ /\bkeep-alive\b/;
    my $coding = $self->header('transfer-encoding');
    my $length = $self->header('content-length');

    $self->{framing} = 'none';
    return if $method eq 'HEAD' || $self->{status} == 204 || $self->{status} == 304 || $self->{status} == 101;
    if (defined $coding) {
        _bad("transfer-encoding '$coding'") if lc $coding ne 'chunked';
        $self->{reusable} = 0 if defined $length;    # somebody in between may have read it the other way
        @$self{qw(framing chunked left)} = ('chunked', 1, undef);
    }
    elsif (defined $length) {
        my %values = map { $_ => 1 } split /\s*,\s*/, $length;
        ($length) = keys %values;
        _bad('a bad content-length') if keys %values != 1 || $length !~ /\A[0-9]{1,18}\z/;
        # Of several equal fields one is passed on.
        my $seen;
        @{ $self->{headers} } = grep { $_->[0] ne 'content-length' || !$seen++ } @{ $self->{headers} };
        $_->[1] = $length for grep { $_->[0] eq 'content-length' } @{ $self->{headers} };
        @$self{qw(framing left)} = ('length', $length) if $length > 0;
    }
    else {
        @$self{qw(framing reusable)} = ('close', 0);
    }
    return;
}

# The next bytes of the body, or undef at its end.
async sub next_bytes {
    my ($self) = @_;
    my ($connection, $framing) = @$self{qw(connection framing)};
    return undef if $framing eq 'none';
    if ($framing eq 'chunked' && !$self->{left} && !await $self->_next_chunk) {
        $self->{framing} = 'none';
        return undef;
    }
    my $buffer = $connection->buffer;
    if (!length $$buffer && !await $connection->fill) {
        _bad('the connection ended in the body') if $framing ne 'close';
        $self->{framing} = 'none';
        return undef;
    }
    return substr $$buffer, 0, length $$buffer, '' if $framing eq 'close';

    my $bytes = substr $$buffer, 0, $self->{left}, '';
    $self->{left} -= length $bytes;
    $self->{framing} = 'none' if $framing eq 'length' && !$self->{left};
    return $bytes;
}

# Reads up to the bytes of the next chunk; false when that was the last one.
async sub _next_chunk {
    my ($self) = @_;
    if (defined $self->{left}) {
        my $line = await $self->_line;
        _bad('a chunk that is longer than it said') if length $line;
    }
    my $line = await $self->_line;
    my ($size) = $line =~ /\A([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\z/s or _bad('a malformed chunk size');
    $self->{left} = hex $size;
    return 1 if $self->{left};
    my $trailers = 0;    # they are dropped
    while (length await $self->_line) {
        _bad('more than 100 trailers') if ++$trailers > 100;
    }
    return 0;
}

async sub _line {
    my ($self) = @_;
    my $buffer = $self->{connection}->buffer;
    my $end;
    while (($end = index $$buffer, "\n") < 0) {
        _bad('a line without end in the chunked body') if length $$buffer > $LINE;
        await $self->{connection}->fill or _bad('the connection ended in the body');
    }
    my $line = substr $$buffer, 0, $end + 1, '';
    return $line =~ s/\r?\n\z//r;
}

sub _bad {
    my ($what) = @_;
    PAGI::App::Proxy::Failure->throw(502, "bad response from the backend: $what");
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy::Response - the backend's response

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::App::Proxy::Backend;
    use PAGI::App::Proxy::Response;

    my $connection = await PAGI::App::Proxy::Backend->new('http://127.0.0.1:8080', timeout => 5)->connect;
    await $connection->write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    my $answer = await PAGI::App::Proxy::Response->read($connection, 'GET', 65536);
    while (defined(my $bytes = await $answer->next_bytes)) {
        print $bytes;
    }

=head1 DESCRIPTION

Reads strictly by RFC 9112. Whatever is wrong is a L<PAGI::App::Proxy::Failure>.

=head1 METHODS

=head2 read($connection, $method, $max_head)

A Future of the response, when its head is there. C<$max_head> limits that in bytes.

=head2 status, headers

The status and an arrayref of C<[name, value]> pairs, names in lower case.

=head2 header($name)

The values of that header joined with C<, >, or undef.

=head2 end_to_end_headers

The list of headers for the client.

=head2 has_body

Whether there is more to read.

=head2 next_bytes

A Future of the next bytes of the body, chunked coding removed, or of undef at its end.

=head2 is_reusable

Whether the response has been read to its end, and the connection can take another request.

=cut
