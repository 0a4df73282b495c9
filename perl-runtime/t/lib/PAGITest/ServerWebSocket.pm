package PAGITest::ServerWebSocket;

# The interface of PAGI::Test::WebSocket over a real connection: as much of RFC 6455 as a polite client needs.

use strict;
use warnings;

use Digest::SHA ();
use Encode ();
use MIME::Base64 ();
use PAGI::Test::Response;
use PAGI::Utils::Random qw(secure_random_bytes);
use PAGI::Utils::TextJSON ();
use PAGITest::Wire;

my $SECONDS = 20;
my %OPCODE = (text => 1, bytes => 2, close => 8, ping => 9, pong => 10);

sub connect {
    my ($class, $port, $request, $subprotocols, $decline_ok) = @_;

    my $key = MIME::Base64::encode_base64(secure_random_bytes(16), '');
    my @headers = (
        @{ $request->{headers} },
        ['upgrade', 'websocket'], ['connection', 'Upgrade'], ['sec-websocket-key', $key], ['sec-websocket-version', 13],
        @$subprotocols ? ['sec-websocket-protocol', join ', ', @$subprotocols] : (),
    );
    my $wire = PAGITest::Wire->new($port);
    $wire->write_request({ %$request, method => 'GET', headers => \@headers, body => '' });

    my $head = $wire->read_head;
    my %header = map { lc $_->[0] => $_->[1] } @{ $head->{headers} };
    my $self = bless {
        wire => $wire, queue => [], partial => undef, closed => 0, code => undef, reason => '',
        subprotocol => $header{'sec-websocket-protocol'}, response => undef,
    }, $class;
    if ($head->{status} == 101) {
        my $expected = Digest::SHA::sha1_base64($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
        die "The server answered with a wrong Sec-WebSocket-Accept\n" unless $header{'sec-websocket-accept'} eq $expected;
        return $self;
    }

    my ($body) = $wire->read_body($head, 'GET');
    $self->{response} = PAGI::Test::Response->new(%$head, body => $body);
    $self->{closed} = 1;
    $wire->close;
    return $self if $decline_ok;
    die "WebSocket connection not accepted (the application answered with HTTP $head->{status})\n";
}

sub response     { return $_[0]{response} }
sub subprotocol  { return $_[0]{subprotocol} }
sub is_closed    { return $_[0]{closed} }
sub close_code   { return $_[0]{code} }
sub close_reason { return $_[0]{reason} }

sub send_text {
    my ($self, $text) = @_;
    return $self->_send(text => Encode::encode('UTF-8', $text));
}

sub send_bytes { return $_[0]->_send(bytes => $_[1]) }
sub send_json  { return $_[0]->send_text(PAGI::Utils::TextJSON::encode($_[1])) }

sub receive_text  { return $_[0]->_receive(text  => $_[1]) }
sub receive_bytes { return $_[0]->_receive(bytes => $_[1]) }

sub receive_json {
    my ($self, $timeout) = @_;
    my $text = $self->receive_text($timeout);
    return defined $text ? PAGI::Utils::TextJSON::decode($text) : undef;
}

sub close {
    my ($self, $code, $reason) = @_;
    return $self if $self->{closed};
    my ($own_code, $own_reason) = ($code // 1000, $reason // '');
    $self->_write_frame(close => pack 'n a*', $own_code, Encode::encode('UTF-8', $own_reason));
    # The server echoes the close frame and ends the connection; messages still on their way stay readable.
    1 while !$self->{closed} && $self->_read_frame($SECONDS);
    @$self{qw(closed code reason)} = (1, $own_code, $own_reason);
    $self->{wire}->close;
    return $self;
}

sub _send {
    my ($self, $kind, $payload) = @_;
    die "Cannot send on closed WebSocket\n" if $self->{closed};
    $self->_write_frame($kind => $payload);
    return $self;
}

sub _receive {
    my ($self, $kind, $timeout) = @_;
    while (1) {
        for my $i (0 .. $#{ $self->{queue} }) {
            return splice(@{ $self->{queue} }, $i, 1)->[1] if $self->{queue}[$i][0] eq $kind;
        }
        return undef if $self->{closed};
        next if $self->_read_frame($timeout // $SECONDS) || $self->{closed};
        die "Timeout waiting for WebSocket $kind message\n";
    }
}

sub _write_frame {
    my ($self, $kind, $payload) = @_;
    my $length = length $payload;
    my $head = pack 'C', 0x80 | $OPCODE{$kind};
    $head .= $length < 126     ? pack('C', 0x80 | $length)
           : $length < 65_536  ? pack('C n', 0x80 | 126, $length)
           :                     pack('C Q>', 0x80 | 127, $length);
    my $mask = secure_random_bytes(4);
    my $pad  = substr $mask x (1 + $length / 4), 0, $length;
    $self->{wire}->write($head . $mask . ($payload ^ $pad));
    return;
}

# Takes one frame off the wire. False when none came in time or the connection ended.
sub _read_frame {
    my ($self, $seconds) = @_;

    my $wire = $self->{wire};
    my $start = $wire->read_exactly(2, $seconds);
    if (!defined $start) {
        @$self{qw(closed code)} = (1, 1006) if $wire->is_eof && !$self->{closed};
        return 0;
    }
    my ($first, $length) = unpack 'C C', $start;
    $length = unpack 'n',  $wire->read_exactly(2) // return 0 if $length == 126;
    $length = unpack 'Q>', $wire->read_exactly(8) // return 0 if $length == 127;
    my $payload = $length ? $wire->read_exactly($length) // return 0 : '';
    my ($final, $opcode) = ($first & 0x80, $first & 0x0f);

    if ($opcode == $OPCODE{close}) {
        my ($code, $reason) = length $payload ? unpack 'n a*', $payload : (1005, '');
        $self->_write_frame(close => length $payload ? pack 'n', $code : '') unless $self->{closed};
        @$self{qw(closed code reason)} = (1, $code, Encode::decode('UTF-8', $reason));
        return 1;
    }
    if ($opcode == $OPCODE{ping}) {
        $self->_write_frame(pong => $payload);
        return 1;
    }
    return 1 if $opcode == $OPCODE{pong};

    my $message = $self->{partial} //= [$opcode == $OPCODE{text} ? 'text' : 'bytes', ''];
    $message->[1] .= $payload;
    if ($final) {
        $message->[1] = Encode::decode('UTF-8', $message->[1], Encode::FB_CROAK | Encode::LEAVE_SRC) if $message->[0] eq 'text';
        push @{ $self->{queue} }, $message;
        $self->{partial} = undef;
    }
    return 1;
}

1;
