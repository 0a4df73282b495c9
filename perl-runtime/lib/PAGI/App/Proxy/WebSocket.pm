package PAGI::App::Proxy::WebSocket;

use strict;
use warnings;

use Digest::SHA qw(sha1_base64);
use Encode ();
use Future;
use Future::AsyncAwait;
use MIME::Base64 qw(encode_base64);
use PAGI::App::Proxy::Failure;
use PAGI::App::Proxy::Frame qw(frame next_frame);
use PAGI::App::Proxy::Request qw(forwarded_headers request_target);
use PAGI::App::Proxy::Response;
use PAGI::App::Support::Answer qw(answer text_answer);
use PAGI::Utils::Random qw(secure_random_bytes);
use Scalar::Util qw(blessed);

my $GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
my ($TEXT, $BINARY, $CLOSE, $PING, $PONG) = (1, 2, 8, 9, 10);

my $DENIAL_LIMIT = 1024 * 1024;    # bytes of a denial's body
my %TEXT_OF = (502 => 'Bad Gateway', 504 => 'Gateway Timeout');

sub new {
    my ($class, %args) = @_;
    return bless { %args, connection => undef, accepted => 0, fragments => undef }, $class;
}

async sub run {
    my ($self) = @_;
    my $ok = eval { await $self->_serve; 1 };
    my $error = $@;
    $self->{connection}->close if $self->{connection};
    return if $ok;
    die $error unless blessed $error && $error->isa('PAGI::App::Proxy::Failure');

    warn 'PAGI::App::Proxy: WebSocket ' . request_target($self->{scope}) . ": $error";
    # 1014 is "bad gateway" in the registry of close codes.
    await($self->{accepted}
        ? $self->{send}->({ type => 'websocket.close', code => 1014, reason => $TEXT_OF{ $error->status } })
        : text_answer(@$self{qw(scope send)}, $error->status, $TEXT_OF{ $error->status }));
    return;
}

async sub _serve {
    my ($self) = @_;
    my ($scope, $receive, $send, $backend) = @$self{qw(scope receive send backend)};
    my $event = await $receive->();
    return if $event->{type} ne 'websocket.connect';

    my $connection = $self->{connection} = await $backend->connect;
    my $key = encode_base64(secure_random_bytes(16), '');
    await $connection->write($self->_handshake($key));
    my $response = await PAGI::App::Proxy::Response->read($connection, 'GET', $self->{max_head});
    return await $self->_deny($response) if $response->status != 101;

    PAGI::App::Proxy::Failure->throw(502, 'bad response from the backend: a wrong sec-websocket-accept')
        if ($response->header('sec-websocket-accept') // '') ne sha1_base64($key . $GUID) . '=';
    my $subprotocol = $response->header('sec-websocket-protocol');
    await $send->({
        type    => 'websocket.accept',
        headers => [grep { $_->[0] !~ /\A(?:sec-websocket-|content-length\z|date\z|server\z)/ } $response->end_to_end_headers],
        (defined $subprotocol ? (subprotocol => $subprotocol) : ()),
    });
    $self->{accepted} = 1;
    $connection->set_idle(0);
    # Either direction ends the session; the loser only waits.
    my $to_backend = $self->_to_backend;
    return await $to_backend if $to_backend->is_ready;
    await Future->wait_any($to_backend, $self->_to_client);
    return;
}

sub _handshake {
    my ($self, $key) = @_;
    my $scope = $self->{scope};
    my @headers = grep { $_->[0] !~ /\Asec-websocket-/ } @{ forwarded_headers($scope, $self->{backend}->authority, $self->{headers}) };
    push @headers, ['upgrade', 'websocket'], ['connection', 'Upgrade'], ['sec-websocket-version', 13], ['sec-websocket-key', $key];
    push @headers, ['sec-websocket-protocol', join ', ', @{ $scope->{subprotocols} }] if @{ $scope->{subprotocols} || [] };
    return join "\r\n", 'GET ' . request_target($scope) . ' HTTP/1.1', (map {"$_->[0]: $_->[1]"} @headers), '', '';
}

# The backend's refusal, as far as the server can pass it on.
async sub _deny {
    my ($self, $response) = @_;
    my $body = '';
    while ($response->has_body && length $body < $DENIAL_LIMIT) {
        $body .= await($response->next_bytes) // last;
    }
    my @headers = grep { $_->[0] ne 'content-length' } $response->end_to_end_headers;
    await answer(@$self{qw(scope send)}, $response->status, [@headers, ['content-length', length $body]], $body);
    return;
}

async sub _to_backend {
    my ($self) = @_;
    my ($receive, $connection) = @$self{qw(receive connection)};
    while (1) {
        my $event = await $receive->();
        if ($event->{type} eq 'websocket.receive') {
            await $connection->write(
                defined $event->{text} ? frame($TEXT, Encode::encode('UTF-8', $event->{text})) : frame($BINARY, $event->{bytes} // ''));
        }
        elsif ($event->{type} eq 'websocket.disconnect') {
            my $code = $event->{code} // 1005;
            # 1005 and 1006 are never on the wire; a client that vanished is "going away" for the backend.
            $code = 1001 if $code == 1006;
            await $connection->write(frame($CLOSE, $code == 1005 ? '' : pack('n', $code) . Encode::encode('UTF-8', $event->{reason} // '')));
            return;
        }
    }
}

async sub _to_client {
    my ($self) = @_;
    my ($send, $connection) = @$self{qw(send connection)};
    my $buffer = $connection->buffer;
    while (1) {
        my $frame = next_frame($buffer, $self->{max_message});
        PAGI::App::Proxy::Failure->throw(502, "bad WebSocket data from the backend: $frame") if defined $frame && !ref $frame;
        if (!$frame) {
            await $connection->fill
                or PAGI::App::Proxy::Failure->throw(502, 'the backend ended the WebSocket without closing it');
            next;
        }
        my ($opcode, $payload) = @$frame{qw(opcode payload)};
        if ($opcode == $PING) {
            await $connection->write(frame($PONG, $payload));
        }
        elsif ($opcode == $CLOSE) {
            await $connection->write(frame($CLOSE, substr $payload, 0, 2));
            my $code = length $payload >= 2 ? unpack 'n', $payload : 1000;
            my $reason = Encode::decode('UTF-8', length $payload > 2 ? substr($payload, 2) : '');
            await $send->({ type => 'websocket.close', code => $code, reason => $reason });
            return;
        }
        elsif ($opcode != $PONG) {
            my $message = $self->_message($frame);
            await $send->({ type => 'websocket.send', %$message }) if $message;
        }
    }
}

# The message that the frame completes, if it does.
sub _message {
    my ($self, $frame) = @_;
    my $pending = $self->{fragments};
    PAGI::App::Proxy::Failure->throw(502, 'bad WebSocket data from the backend: fragments out of order')
        if $frame->{opcode} ? $pending : !$pending;
    $pending ||= $self->{fragments} = { opcode => $frame->{opcode}, bytes => '' };
    $pending->{bytes} .= $frame->{payload};
    PAGI::App::Proxy::Failure->throw(502, "a message of the backend is longer than $self->{max_message} bytes")
        if length $pending->{bytes} > $self->{max_message};
    return undef unless $frame->{fin};

    $self->{fragments} = undef;
    return { bytes => $pending->{bytes} } if $pending->{opcode} == $BINARY;
    my $text = eval { Encode::decode('UTF-8', $pending->{bytes}, Encode::FB_CROAK) };
    PAGI::App::Proxy::Failure->throw(502, 'bad WebSocket data from the backend: text that is not UTF-8') unless defined $text;
    return { text => $text };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy::WebSocket - pass a WebSocket through to the backend

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::App::Proxy::Backend;
    use PAGI::App::Proxy::WebSocket;

    my $backend = PAGI::App::Proxy::Backend->new('http://127.0.0.1:8080', timeout => 5, idle => 60);
    await PAGI::App::Proxy::WebSocket->new(
        scope => $scope, receive => $receive, send => $send,
        backend => $backend, headers => {}, max_head => 65536, max_message => 1024 * 1024,
    )->run;

=head1 DESCRIPTION

Opens a WebSocket to the backend with the client's subprotocols, and accepts the client's when the backend has accepted. A refusal is passed on as
far as the server can (C<websocket.http.response>). Then messages go both ways, each side at the pace of the other; a close goes through
with code and reason. When the backend breaks off, the client's socket is closed with 1014.

=head1 METHODS

=head2 new

Takes C<scope>, C<receive>, C<send>, C<backend> (a L<PAGI::App::Proxy::Backend>), C<headers> (hashref of further request headers), C<max_head> and
C<max_message> (bytes).

=head2 run

A Future that is done when the session has ended.

=cut
