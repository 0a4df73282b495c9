package PAGI::App::Proxy::Frame;

use strict;
use warnings;

use Exporter qw(import);
use PAGI::Utils::Random qw(secure_random_bytes);

our @EXPORT_OK = qw(frame next_frame);

# RFC 6455 5.3: what a client sends is masked.
sub frame {
    my ($opcode, $payload) = @_;
    my $length = length $payload;
    my $head = chr(0x80 | $opcode)
        . ($length < 126 ? chr(0x80 | $length) : $length < 65_536 ? pack('Cn', 0x80 | 126, $length) : pack('CQ>', 0x80 | 127, $length));
    my $mask = secure_random_bytes(4);
    return $head . $mask . ($payload ^ substr($mask x (1 + $length / 4), 0, $length));
}

# Takes one frame from the buffer: { fin, opcode, payload }, undef when it is not complete, or an error in words.
sub next_frame {
    my ($buffer, $max) = @_;
    return undef if length $$buffer < 2;
    my ($first, $second) = unpack 'CC', $$buffer;
    my ($opcode, $length, $offset) = ($first & 0x0f, $second & 0x7f, 2);
    return 'reserved bits are set' if $first & 0x70;
    return 'a masked frame'        if $second & 0x80;
    return "unknown opcode $opcode" unless $opcode <= 2 || ($opcode >= 8 && $opcode <= 10);
    return 'a malformed control frame' if $opcode >= 8 && ($length > 125 || !($first & 0x80));
    if ($length >= 126) {
        my $size = $length == 126 ? 2 : 8;
        return undef if length $$buffer < 2 + $size;
        $length = unpack $size == 2 ? 'n' : 'Q>', substr $$buffer, 2, $size;
        $offset += $size;
    }
    return "a frame of $length bytes" if $length > $max;
    return undef if length $$buffer < $offset + $length;
    my $payload = substr $$buffer, $offset, $length;
    substr $$buffer, 0, $offset + $length, '';
    return { fin => $first & 0x80 ? 1 : 0, opcode => $opcode, payload => $payload };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy::Frame - WebSocket frames, seen from the client

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Proxy::Frame qw(frame next_frame);

    print length frame(1, 'hello'), "\n";    # 11
    my $buffer = "\x81\x05hello";
    print next_frame(\$buffer, 1000)->{payload}, "\n";    # hello

=head1 FUNCTIONS

=head2 frame($opcode, $bytes)

A masked frame with the FIN bit.

=head2 next_frame(\$buffer, $max)

Takes a frame from the beginning of the buffer: a hashref of C<fin>, C<opcode> and C<payload> (bytes). Undef when it is not complete
yet; a string with the reason when it breaks RFC 6455 or has more than C<$max> bytes.

=cut
