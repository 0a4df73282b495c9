package ChatApp::WebSocket;

use strict;
use warnings;
use Future;
use Future::AsyncAwait;
use Future::IO;
use JSON::MaybeXS ();
use ChatApp::Conversation;
use PAGI::Request::Query;

# The chat over raw WebSocket events. Text frames are characters.

my $JSON = JSON::MaybeXS->new(utf8 => 0, canonical => 1);

async sub ping {
    my ($send) = @_;
    while (1) {
        await Future::IO->sleep(25);
        await $send->({ type => 'ping', ts => time });
    }
}

async sub listen_to {
    my ($receive, $conversation) = @_;
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'websocket.disconnect';
        next if $event->{type} ne 'websocket.receive' || !defined $event->{text};
        my $message = eval { $JSON->decode($event->{text}) };
        $conversation->take($message) if $message;
    }
}

async sub app {
    my ($scope, $receive, $send) = @_;
    my $query = PAGI::Request::Query::of_scope($scope, 'pagi.websocket', '');
    my $tell = sub { $send->({ type => 'websocket.send', text => $JSON->encode($_[0]) }) };
    await $send->({ type => 'websocket.accept' });
    my $conversation = ChatApp::Conversation->begin(
        send => $tell, name => $query->get('name'), session => $query->get('session'), last_message => $query->get('lastMsgId'),
    );
    my $ok = eval { await Future->wait_any(listen_to($receive, $conversation), ping($tell)); 1 };
    my $error = $@;
    $conversation->end;
    die $error unless $ok;
}

1;
