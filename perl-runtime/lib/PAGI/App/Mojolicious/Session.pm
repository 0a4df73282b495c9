package PAGI::App::Mojolicious::Session;

use strict;
use warnings;

use parent 'PAGI::App::Mojolicious::Exchange';

use Encode ();
use Future::AsyncAwait;
use Mojo::WebSocket qw(WS_BINARY WS_CLOSE WS_CONTINUATION WS_TEXT server_handshake);
use PAGI::App::Mojolicious::Request qw(request_head);
use PAGI::App::Mojolicious::Socket;

# Headers of the handshake that the server writes itself.
my %OF_THE_SERVER = map { $_ => 1 } qw(sec-websocket-accept sec-websocket-protocol sec-websocket-extensions content-length);

async sub run {
    my ($self) = @_;
    my $handshake = $self->begin;
    my $ws = PAGI::App::Mojolicious::Socket->new(handshake => $handshake);
    my $server = $self->{server};
    $handshake->on(request => sub { $server->emit(request => server_handshake($ws)) });
    my $event = await $self->{receive}->();    # websocket.connect
    my $ok = eval {
        if ($event->{type} eq 'websocket.connect') {
            $handshake->server_read(request_head($self->{scope}));
            await $self->_answer($ws);
        }
        1;
    };
    my $error = $@;
    $self->forget_client;
    $ws->closed;
    # It holds the WebSocket, which holds the handshake.
    $handshake->unsubscribe('request');
    die $error unless $ok || $self->{gone};
    return;
}

async sub _answer {
    my ($self, $ws) = @_;
    my $send = $self->{send};
    $self->{watch} = $self->_read_messages($ws);
    await $self->resumed;
    return if $self->{gone};
    my $res = $ws->res;
    return await $self->_refuse if ($res->code // 0) != 101;
    my @headers = grep { !$OF_THE_SERVER{ $_->[0] } } @{ PAGI::App::Mojolicious::Exchange::_headers($res->headers) };
    my $protocol = $ws->protocol;
    await $send->({ type => 'websocket.accept', headers => \@headers, defined $protocol ? (subprotocol => $protocol) : () });
    $ws->handshake->closed;
    $ws->established(1);
    $self->listen_to($ws);
    await $self->_write_frames($ws);
    return;
}

async sub _refuse {
    my ($self) = @_;
    my ($scope, $send) = @$self{qw(scope send)};
    if (!exists $scope->{extensions}{'websocket.http.response'}) {
        await $send->({ type => 'websocket.close' });
        return;
    }
    $self->{family} = 'websocket.http.response';
    $self->wake;
    return await $self->respond;
}

async sub _write_frames {
    my ($self, $ws) = @_;
    my $send = $self->{send};
    my ($partial, $kind);
    while (!$self->{gone}) {
        my $frame = shift @{ $ws->frames };
        if (!$frame) {
            $ws->emit('drain');
            await $self->resumed unless @{ $ws->frames };
            next;
        }
        my ($is_last, $op, $payload) = @$frame[0, 4, 5];
        if ($op == WS_CLOSE) {
            my ($code, $reason) = length $payload >= 2 ? unpack 'n a*', $payload : (1000, '');
            await $send->({ type => 'websocket.close', code => $code, reason => Encode::decode('UTF-8', $reason) });
            last;
        }
        next if $op != WS_TEXT && $op != WS_BINARY && $op != WS_CONTINUATION;    # the server sends its own pings
        $kind = $op if $op != WS_CONTINUATION;
        $partial = ($partial // '') . $payload;
        next unless $is_last;
        my $event = { type => 'websocket.send', $kind == WS_TEXT ? (text => Encode::decode('UTF-8', $partial)) : (bytes => $partial) };
        undef $partial;
        await $send->($event);
    }
    return;
}

async sub _read_messages {
    my ($self, $ws) = @_;
    my $receive = $self->{receive};
    while (1) {
        my $event = await $receive->();
        last if $event->{type} ne 'websocket.receive' && $event->{type} ne 'websocket.disconnect';
        if ($event->{type} eq 'websocket.disconnect') {
            $ws->{close} = [$event->{code} // 1005, $event->{reason}];
            last;
        }
        my $frame = defined $event->{text}
            ? [1, 0, 0, 0, WS_TEXT, Encode::encode('UTF-8', $event->{text})]
            : [1, 0, 0, 0, WS_BINARY, $event->{bytes}];
        # As in Mojolicious's own server: an exception is reported and the connection goes on.
        eval { $ws->parse_message($frame); 1 } or $self->{server}->app->log->error("$@");
    }
    $self->{gone} = 1;
    $self->wake;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Mojolicious::Session - one WebSocket of a Mojolicious application

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use Mojo::Server;
    use PAGI::App::Mojolicious::Session;

    my $server = Mojo::Server->new;
    await PAGI::App::Mojolicious::Session->new(server => $server, scope => $scope, receive => $receive, send => $send)->run;

=head1 METHODS

=head2 new

As L<PAGI::App::Mojolicious::Exchange>, for a websocket scope.

=head2 run

A Future that is done when the WebSocket has been closed, or was refused.

=cut
