package PAGI::Simple::SSE;

use strict;
use warnings;

use parent 'PAGI::Simple::Connection';

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::SSE;
use Scalar::Util qw(weaken);

sub _events  { return qw(connect close error) }
sub _opening { return 'connect' }

sub new {
    my ($class, $c, $route) = @_;
    my $self = $class->SUPER::new($c, $route);
    my $stream = $self->{stream} = PAGI::SSE->new(@$c{qw(scope receive send)});
    weaken(my $weak = $self);
    $stream->on_close(sub { $weak ? $weak->cleanup : () });
    return $self;
}

sub is_closed     { return $_[0]{stream}->is_closed }
sub last_event_id { return $_[0]{stream}->last_event_id }

# Starting waits, as accepting a WebSocket does, so that the route's callback can still decline.
sub start {
    my ($self) = @_;
    return $self->{starting} ||= $self->_start;
}

async sub _start {
    my ($self) = @_;
    return if $self->is_closed;
    await $self->{stream}->start(headers => [
        [ 'content-type', 'text/event-stream' ], [ 'cache-control', 'no-cache' ], @{ $self->{c}{headers} },
    ]);
    return if $self->is_closed;
    $self->{opened} = 1;
    await $self->_fire('connect');
    $self->{callbacks}{connect} = [];
    return;
}

async sub deny {
    my ($self, %options) = @_;
    croak 'The stream has started already; use close' if $self->{starting};
    $self->{starting} = Future->done;
    $self->{denied} = 1;
    my $c = $self->{c};
    $c->{status} = defined $options{status} ? $options{status} : 403;
    push @{ $c->{headers} }, @{ $options{headers} || [] };
    await $c->send_response(defined $options{body} ? $options{body} : '');
    return $self;
}

sub send_event {
    my ($self, %event) = @_;
    my @unknown = grep { !/\A(?:data|event|id|retry)\z/ } sort keys %event;
    croak 'Unknown options to send_event: ' . join(', ', @unknown) if @unknown;
    return Future->done($self) if $self->is_closed || $self->{denied};
    $event{data} = $self->_text($event{data});
    $event{id} = "$event{id}" if defined $event{id};
    return $self->{stream}->send_event(%event) if $self->{opened};
    my $sent = $self->start->then(sub { $self->is_closed ? Future->done($self) : $self->{stream}->send_event(%event) });
    $self->_hold(send => $sent);
    return $sent;
}

sub send {
    my ($self, $data, %options) = @_;
    return $self->send_event(data => $data, %options);
}

sub _deliver { return $_[0]->send($_[1]) }

sub keepalive {
    my ($self, @args) = @_;
    return $self->{stream}->keepalive(@args);
}

sub close {
    my ($self) = @_;
    return $self->{closing} if $self->{closing};
    return Future->done($self) if $self->is_closed || $self->{denied};
    return $self->{closing} = $self->_close;
}

async sub _close {
    my ($self) = @_;
    await $self->start;
    await $self->{stream}->close;
    return;
}

sub subscribe {
    my ($self, $channel, $callback) = @_;
    return $self->_enter($channel, $callback);
}

sub unsubscribe { return $_[0]->_exit($_[1]) }

sub unsubscribe_all {
    my ($self) = @_;
    return $self->_exit_all;
}

sub channels   { return $_[0]->_channels }
sub in_channel { return exists $_[0]{members}{ $_[1] } ? 1 : 0 }

sub publish        { return $_[0]->_publish(@_[1, 2]) }
sub publish_others { return $_[0]->_publish(@_[1, 2], 1) }

sub publish_async        { return $_[0]->_publish_async(@_[1, 2]) }
sub publish_others_async { return $_[0]->_publish_async(@_[1, 2], 1) }

async sub serve {
    my ($self) = @_;
    return if $self->{denied};
    await $self->start;
    await $self->{stream}->run unless $self->is_closed;
    return;
}

async sub failed {
    my ($self, $error) = @_;
    if (!$self->{starting} && !$self->is_closed) {
        require PAGI::Simple::ErrorPage;
        await PAGI::Simple::ErrorPage->for_exception($self->{c}, $error);
        return;
    }
    await $self->_report($error);
    return if $self->is_closed || $self->{denied};
    eval { await $self->{stream}->close(reason => 'error'); 1 } or warn "PAGI::Simple::SSE close failed: $@";
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::SSE - a stream of server-sent events

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Dashboard', quiet => 1);
    $app->sse('/events' => sub {
        my ($sse) = @_;
        $sse->on(connect => sub { $sse->send({ hello => 'there' }, event => 'welcome', id => 1) });
        $sse->subscribe('metrics');
    });
    $app->post('/metrics' => sub {
        my ($c) = @_;
        $c->json({ told => $c->app->pubsub->publish(metrics => $c->json_body) });
    });

=head1 DESCRIPTION

The callback of the route says what to send and returns; the stream stays open until the client leaves or C<close>. It starts when the callback returns,
or earlier when something is sent. Hooks and middleware run before, and headers they set are sent with the stream. An exception before the start is
answered like that of an HTTP handler; later ones go to the C<error> callbacks and end the stream.

Text is characters, references are sent as JSON. What L<PAGI::Simple::Connection> offers works here.

=head1 METHODS

=head2 new

Made by the framework.

=head2 start

Starts the stream now. Optional. A Future.

=head2 deny

    return $sse->deny(status => 403, body => $bytes);

Answers with a plain HTTP response. A Future; it fails when the stream has started.

=head2 on

Events: C<connect> (no arguments; at once if the stream has started), C<close> (no arguments), C<error> (the exception).

=head2 send_event, send

    $sse->send_event(data => $data, event => 'tick', id => 7, retry => 3000);
    $sse->send($data, event => 'tick');

Futures, which may be ignored. C<retry> is in milliseconds. Do nothing after the end. Die with C<Unknown options to send_event: ...>.

=head2 last_event_id

Of a client that reconnects, or undef.

=head2 keepalive

    $sse->keepalive(25, 'ping');

A Future. A comment every so many seconds; see L<PAGI::SSE/keepalive>.

=head2 close, is_closed

    $sse->close;

A Future. Ends the stream.

=head2 subscribe, unsubscribe, unsubscribe_all, channels, in_channel

    $sse->subscribe('news');
    $sse->subscribe('news' => sub { my ($message) = @_; ... });

Channels, left by themselves at the end. Without a callback each message is sent as C<data>. A second subscription of the same channel is ignored. The
first three return the object.

=head2 publish, publish_others

    my $count = $sse->publish('news', $message);

To everybody on a channel, C<_others> except this stream. Return the number of recipients in this process.

=head2 publish_async, publish_others_async

The same, as a Future of the number of recipients in all processes.

=head2 serve, failed

What the framework calls after the callback, and after an exception.

=cut
