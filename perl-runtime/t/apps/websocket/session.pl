use strict;
use warnings;

use Future::AsyncAwait;
use PAGI::Lifespan;
use PAGI::WebSocket;

# What on_close callbacks saw, shown to /log.
my @closed;

my %handlers = (
    '/json' => async sub {
        my ($ws) = @_;
        await $ws->accept;
        await $ws->each_json(async sub {
            my ($data) = @_;
            await $ws->send_json({ got => $data, room => $ws->query('room') });
        });
    },
    '/text' => async sub {
        my ($ws) = @_;
        await $ws->accept(subprotocol => $ws->subprotocols->[0]);
        await $ws->each_text(async sub { await $ws->send_text('<' . $_[0] . '>') });
    },
    '/run' => async sub {
        my ($ws) = @_;
        $ws->on_message(async sub {
            my ($data) = @_;
            return await $ws->close(4002, 'enough') if $data eq 'stop';
            die "bad message\n" if $data eq 'bad';
            await $ws->send_bytes("run:$data");
        });
        $ws->on_error(async sub { await $ws->send_text("error: $_[0]") });
        await $ws->accept;
        await $ws->run;
    },
    '/kinds' => async sub {
        my ($ws) = @_;
        my @sent = await $ws->try_send_text('early');
        await $ws->send_text_if_connected('nobody hears this');
        await $ws->accept(headers => [['x-kinds', 'yes']]);
        await $ws->keepalive(30, 10);
        my $text = await $ws->receive_text;
        my $bytes = await $ws->receive_bytes;
        my $json = await $ws->receive_json;
        push @sent, await $ws->try_send_json({ text => $text, bytes => length $bytes, json => $json });
        await $ws->send_bytes_if_connected($bytes);
        await $ws->close(4003, 'done');
        push @sent, await $ws->try_send_text('late');
        await $ws->send_json_if_connected({ late => 1 });
        push @closed, ['/kinds', "@sent", $ws->is_closed];
    },
    '/deny' => async sub {
        my ($ws) = @_;
        await $ws->deny(status => 402, headers => [['content-type', 'text/plain']], body => 'pay first');
    },
    '/log' => async sub {
        my ($ws) = @_;
        await $ws->accept;
        await $ws->send_json(\@closed);
        await $ws->close;
    },
);

async sub websocket {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'websocket';
    my $ws = PAGI::WebSocket->new($scope, $receive, $send);
    my $path = $ws->path;
    $ws->on_close(sub { push @closed, [$path, @_] }) unless $path eq '/log';
    await $handlers{$path}->($ws);
}

PAGI::Lifespan->wrap(\&websocket);
