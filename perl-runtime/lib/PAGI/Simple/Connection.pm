package PAGI::Simple::Connection;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Simple::Callback;
use PAGI::Simple::PubSub;
use Scalar::Util qw(weaken);

our @CARP_NOT = qw(PAGI::Simple::WebSocket PAGI::Simple::SSE);

# Characters: the server encodes text (WS text frames and SSE data are UTF-8 on the wire).
my $JSON = JSON::MaybeXS->new(canonical => 1, allow_nonref => 1, convert_blessed => 1);

# Messages from channels that one connection may have waiting to be written. Whoever is that slow is let go: the others
# must not pay for it with the memory of the worker (defect 29).
our $MAX_PENDING = 256;

# What WebSocket and event stream share: the view on the request, callbacks, membership of channels, the one clean-up.
# A subclass provides _events, _deliver, _open and _is_open.
sub new {
    my ($class, $c, $route) = @_;
    my $self = bless {
        c         => $c,
        route     => $route,
        callbacks => { map { $_ => [] } $class->_events },
        members   => {},    # channel => callback
        sending   => {},    # Futures of deliveries, which nobody else holds
    }, $class;
    return $self;
}

sub c           { return $_[0]{c} }
sub app         { return $_[0]{c}{app} }
sub scope       { return $_[0]{c}{scope} }
sub stash       { return $_[0]{c}->stash }
sub req         { return $_[0]{c}->req }
sub path_params { return $_[0]{c}{path_params} }
sub param       { return $_[0]{c}{path_params}{ $_[1] } }
sub session     { return $_[0]{c}->session }
sub log         { return $_[0]{c}->log }
sub pubsub      { return PAGI::Simple::PubSub->instance }

sub service {
    my ($self, $name, %args) = @_;
    return $self->{c}->service($name, %args);
}

sub run_blocking { my ($self, @args) = @_; return $self->{c}->run_blocking(@args) }
sub url_for      { my ($self, @args) = @_; return $self->{c}->url_for(@args) }

sub on {
    my ($self, $event, $callback) = @_;
    my $opening = $self->_opening;
    my @events = $self->_events;
    croak 'Unknown event: ' . (defined $event ? $event : 'undef') . ' (expected ' . join(', ', @events) . ')'
        unless defined $event && grep { $_ eq $event } @events;
    croak "on '$event' needs a coderef" unless ref $callback eq 'CODE';
    if ($event eq $opening && $self->{opened}) {
        $self->_guard($opening, $callback) unless $self->{cleaned};
        return $self;
    }
    push @{ $self->{callbacks}{$event} }, $callback unless $self->{cleaned};
    return $self;
}

sub _guard {
    my ($self, $event, $callback, @args) = @_;
    my $future = PAGI::Simple::Callback::future_of($callback, @args[0 .. PAGI::Simple::Callback::arity($callback, scalar @args) - 1]);
    return $self->_hold($event, $future);
}

# Keeps a Future that is not waited for and reports its failure.
sub _hold {
    my ($self, $event, $future) = @_;
    return if $future->is_done;
    my $sending = $self->{sending};
    my $address = 0 + $future;
    $sending->{$address} = $future;
    my $name = ref $self;
    $future->on_ready(sub {
        my ($done) = @_;
        delete $sending->{$address};
        warn "$name $event callback error: " . $done->failure . "\n" if $done->is_failed;
    });
    return;
}

# Runs the callbacks of an event in order and waits for each; exceptions are warned about.
async sub _fire {
    my ($self, $event, @args) = @_;
    my @callbacks = @{ $self->{callbacks}{$event} };
    while (my $callback = shift @callbacks) {
        my $fit = PAGI::Simple::Callback::arity($callback, scalar @args);
        next if eval {
            my $result = $callback->(@args[0 .. $fit - 1]);
            await $result if PAGI::Simple::Callback::is_future($result);
            1;
        };
        warn ref($self) . " $event callback error: $@";
    }
    return;
}

async sub _report {
    my ($self, $error) = @_;
    if (!@{ $self->{callbacks}{error} }) {
        my $text = "$error";
        $text .= "\n" unless $text =~ /\n\z/;
        warn ref($self) . " error: $text";
        return;
    }
    await $self->_fire(error => $error);
    return;
}

# What the peer gets: references as JSON.
sub _text { return ref $_[1] ? $JSON->encode($_[1]) : defined $_[1] ? "$_[1]" : '' }

sub _json { return $JSON->encode($_[1]) }

# --- channels

sub _enter {
    my ($self, $channel, $callback) = @_;
    return $self if $self->{cleaned} || $self->{members}{$channel};
    if (!$callback) {
        weaken(my $weak = $self);
        # a failing connection must not fail the publisher
        $callback = sub {
            return unless $weak;
            return $weak->_too_slow if keys %{ $weak->{sending} } >= $MAX_PENDING;
            $weak->_hold(delivery => $weak->_deliver($_[0]));
            return;
        };
    }
    $self->{members}{$channel} = $callback;
    $self->pubsub->subscribe($channel, $callback);
    return $self;
}

sub _too_slow {
    my ($self) = @_;
    return if $self->{too_slow}++;
    warn ref($self) . ": $MAX_PENDING messages are waiting for a client that does not read; it is let go\n";
    $self->_exit_all;
    $self->_hold(close => $self->close(1013, 'Too slow'));
    return;
}

sub _exit {
    my ($self, $channel) = @_;
    my $callback = delete $self->{members}{$channel};
    $self->pubsub->unsubscribe($channel, $callback) if $callback;
    return $self;
}

sub _exit_all {
    my ($self) = @_;
    $self->_exit($_) for keys %{ $self->{members} };
    return $self;
}

# The channels that were joined, without the framework's own.
sub _channels { return grep { !/\A\0/ } sort keys %{ $_[0]{members} } }

sub _publish {
    my ($self, $channel, $message, $without_self) = @_;
    my $own = $without_self ? $self->{members}{$channel} : undef;
    return $self->pubsub->publish($channel, $message, $own ? (except => $own) : ());
}

sub _publish_async {
    my ($self, $channel, $message, $without_self) = @_;
    my $own = $without_self ? $self->{members}{$channel} : undef;
    return $self->pubsub->publish_async($channel, $message, $own ? (except => $own) : ());
}

# --- the end

# Exactly once, however the connection ends (defect 25).
async sub cleanup {
    my ($self) = @_;
    return if $self->{cleaned}++;
    $self->_exit_all;
    await $self->_fire('close');
    $self->{callbacks}{$_} = [] for keys %{ $self->{callbacks} };
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Connection - what WebSocket and event stream have in common

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->websocket('/room/:name' => sub {
        my ($ws) = @_;
        my $name = $ws->param('name');
        $ws->stash->{since} = time;
        $ws->join($name)->on(close => sub { $ws->broadcast($name, 'somebody left') });
    });

=head1 DESCRIPTION

The base class of L<PAGI::Simple::WebSocket> and L<PAGI::Simple::SSE>.

A client that does not read is let go (WebSockets with 1013) when C<$PAGI::Simple::Connection::MAX_PENDING> messages from channels, 256, wait
for it.

=head1 METHODS

=head2 new

Made by the framework.

=head2 c

The L<PAGI::Simple::Context> that hooks and middleware had before the connection was accepted.

=head2 app, scope, stash, req, log

Those of that context.

=head2 path_params, param

    my $room = $ws->param('room');

The captures; one of them, at once.

=head2 session

The L<PAGI::Session>, to read: changes are not saved.

=head2 service, run_blocking, url_for

As in L<PAGI::Simple::Context>.

=head2 pubsub

The L<PAGI::Simple::PubSub> of the process.

=head2 on

    $connection->on(close => sub { ... });

Adds a callback, plain or async; see the subclass for the events. Returns the object. Dies with C<Unknown event: NAME (expected ...)>.

=head2 cleanup

    await $connection->cleanup;

Leaves all channels and runs the C<close> callbacks, the first time it is called. The framework calls it on every way a connection can end.

=cut
