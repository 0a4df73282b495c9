package Notes::Controller::Live;

use Moose;
use namespace::autoclean;
use Future::AsyncAwait;
use Future::IO;

BEGIN { extends 'Catalyst::Controller' }

__PACKAGE__->config(namespace => '');

# These run in the workers, on the event loop, thousands at a time.

# Who is not logged in cannot shout.
async sub shout :Local :Args(0) :Async {
    my ($self, $c) = @_;
    my $name = $c->session->{name} // 'guest';
    my $ws   = $c->pagi->websocket;
    await $ws->accept;
    while (defined(my $text = await $ws->receive_text)) {
        await $ws->send_text("$name: " . uc $text);
    }
}

async sub ticks :Local :Args(0) :Async {
    my ($self, $c) = @_;
    my $sse = $c->pagi->sse;
    for my $n (1 .. 1000) {
        await $sse->send_event(event => 'tick', data => $n, id => $n);
        await Future::IO->sleep(0.1);
    }
}

# An ordinary response that takes its time without holding anybody up.
async sub patient :Local :Args(0) :Async {
    my ($self, $c) = @_;
    await Future::IO->sleep($c->req->query_parameters->{seconds} // 0.5);
    $c->res->content_type('text/plain');
    $c->res->body('waited');
}

__PACKAGE__->meta->make_immutable;

1;
