package PAGITest::Wire;

# A client socket: plain HTTP/1.1 on it, with a deadline on everything, and nothing that tidies up what the server sent.

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use Time::HiRes qw(time);

my $SECONDS = 30;

sub new {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp', Timeout => $SECONDS)
        or die "Cannot connect to 127.0.0.1:$port: $@\n";
    binmode $socket;
    return bless { socket => $socket, buffer => '', eof => 0 }, $class;
}

sub close {
    my ($self) = @_;
    close $self->{socket};
    $self->{eof} = 1;
    return;
}

sub is_eof { return $_[0]{eof} && !length $_[0]{buffer} ? 1 : 0 }

sub write {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $done = 0;
    while ($done < length $bytes) {
        my $wrote = syswrite $self->{socket}, $bytes, length($bytes) - $done, $done;
        return 0 unless defined $wrote;    # the server may answer and close before it has read everything
        $done += $wrote;
    }
    return 1;
}

# Waits for more bytes. False at the end of the stream or when the time is up.
sub fill {
    my ($self, $deadline) = @_;
    return 0 if $self->{eof};
    my $left = $deadline - time;
    return 0 if $left < 0 || !IO::Select->new($self->{socket})->can_read($left);
    my $got = sysread $self->{socket}, $self->{buffer}, 65_536, length $self->{buffer};
    $self->{eof} = 1 unless $got;
    return $got ? 1 : 0;
}

# The bytes up to and including the separator, or undef.
sub read_until {
    my ($self, $separator, $seconds) = @_;
    my $deadline = time + ($seconds // $SECONDS);
    while (1) {
        my $at = index $self->{buffer}, $separator;
        return substr $self->{buffer}, 0, $at + length $separator, '' if $at >= 0;
        return undef unless $self->fill($deadline);
    }
}

sub read_exactly {
    my ($self, $count, $seconds) = @_;
    my $deadline = time + ($seconds // $SECONDS);
    while (length $self->{buffer} < $count) {
        return undef unless $self->fill($deadline);
    }
    return substr $self->{buffer}, 0, $count, '';
}

sub read_to_end {
    my ($self) = @_;
    my $deadline = time + $SECONDS;
    1 while $self->fill($deadline);
    die "The server left the connection open for $SECONDS seconds\n" unless $self->{eof};
    return substr $self->{buffer}, 0, length $self->{buffer}, '';
}

sub write_request {
    my ($self, $request) = @_;
    my $target = length $request->{path} ? $request->{path} : '/';
    utf8::encode($target);
    $target =~ s/([^\x21-\x7e])/sprintf '%%%02X', ord $1/ge;
    $target .= "?$request->{query_string}" if length $request->{query_string};
    $self->write(join "\r\n", "$request->{method} $target HTTP/1.1",
        (map { "$_->[0]: $_->[1]" } @{ $request->{headers} }), '', $request->{body});
    return;
}

# { status, headers } of the final response; interim ones are passed over.
sub read_head {
    my ($self) = @_;
    while (1) {
        my $head = $self->read_until("\r\n\r\n") // die "The server sent no response head, only '$self->{buffer}'\n";
        my ($status_line, @lines) = split /\r\n/, $head;
        my ($status) = $status_line =~ m{\AHTTP/1\.[01] (\d{3})} or die "Not a status line: $status_line\n";
        next if $status >= 100 && $status < 200 && $status != 101;
        return { status => $status, headers => [map { /\A([^:]+):[ \t]*(.*?)[ \t]*\z/ ? [$1, $2] : () } @lines] };
    }
}

# The body that belongs to a head, and whether it was complete.
sub read_body {
    my ($self, $head, $method) = @_;
    return ('', 1) if $method eq 'HEAD' || $head->{status} == 204 || $head->{status} == 304;

    my %header = map { lc $_->[0] => $_->[1] } @{ $head->{headers} };
    return $self->_read_chunks if lc($header{'transfer-encoding'} // '') eq 'chunked';
    return ($self->read_to_end, 1) unless defined $header{'content-length'};
    my $body = $self->read_exactly($header{'content-length'});
    return defined $body ? ($body, 1) : ($self->{buffer}, 0);
}

sub _read_chunks {
    my ($self) = @_;
    my $body = '';
    while (defined(my $chunk = $self->read_chunk)) {
        return ($body, 1) unless length $chunk;
        $body .= $chunk;
    }
    return ($body, 0);
}

# One chunk, '' for the last one (trailers are dropped), undef when the stream ends before it.
sub read_chunk {
    my ($self, $seconds) = @_;
    my $line = $self->read_until("\r\n", $seconds) // return undef;
    my $size = hex(($line =~ /\A([0-9A-Fa-f]+)/)[0] // die "Not a chunk size: $line\n");
    if (!$size) {
        while (defined(my $trailer = $self->read_until("\r\n"))) {
            return '' if $trailer eq "\r\n";
        }
        return undef;
    }
    my $chunk = $self->read_exactly($size) // return undef;
    $self->read_exactly(2);
    return $chunk;
}

1;
