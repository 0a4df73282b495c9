package PAGI::Context::Dispatcher;

use strict;
use warnings;

use Carp qw(croak);
use Future::AsyncAwait;
use Scalar::Util qw(blessed weaken);

my %TERMINAL = (
    http      => 'http.disconnect',
    websocket => 'websocket.disconnect',
    sse       => 'sse.disconnect',
);

sub on {
    my ($self, $type, $callback) = @_;
    push @{ $self->{_handlers}{$type} }, $callback;
    return $self;
}

sub on_default {
    my ($self, $callback) = @_;
    $self->{_on_default} = $callback;
    return $self;
}

sub on_error {
    my ($self, $callback) = @_;
    push @{ $self->{_on_error} }, $callback;
    return $self;
}

sub stop {
    my ($self) = @_;
    $self->{_stopped} = 1;
    return $self;
}

sub run {
    my ($self) = @_;
    croak 'PAGI::Context run() called while already running' if $self->{_running};
    $self->{_running} = 1;
    $self->{_stopped} = 0;

    my $future = $self->_run_loop;
    # a cancelled loop (the loser of a race) must let go of its handlers too
    if ($future->isa('Future') && !$future->is_ready) {
        weaken(my $weak = $self);
        $future->on_cancel(sub { $weak->_end_run if $weak });
    }
    return $future;
}

sub _end_run {
    my ($self) = @_;
    $self->{_running} = 0;
    delete @$self{qw(_handlers _on_error _on_default)};
    return;
}

async sub _run_loop {
    my ($self) = @_;
    my $type = $self->type;
    my $terminal = $TERMINAL{ defined $type ? $type : 'http' };

    my $outcome;
    until ($outcome) {
        my $event;
        if (!eval { $event = await $self->{receive}->(); 1 }) {
            await $self->_report(my $error = $@, 'receive');
            $outcome = 'error';
            last;
        }
        # a receive that yields nothing has nothing more to say
        my $event_type = ref $event eq 'HASH' && defined $event->{type} ? $event->{type} : undef;
        if (!defined $event_type) {
            $event = {};
            $outcome = 'disconnect';
        }
        else {
            $outcome = 'disconnect' if defined $terminal && $event_type eq $terminal;
            await $self->_deliver($event_type, $event, $outcome);
        }
        if ($outcome) {
            eval { await $self->_sync_terminal_disconnect(@$event{qw(code reason)}); 1 }
                or await $self->_report(my $error = $@, 'handler');
        }
        elsif ($self->{_stopped}) {
            $outcome = 'stop';
        }
    }
    $self->_end_run;
    return $outcome;
}

async sub _deliver {
    my ($self, $type, $event, $is_terminal) = @_;
    # a copy: handlers registered meanwhile are for the next event
    my @handlers = @{ $self->{_handlers}{$type} || [] };
    if (!@handlers && !$is_terminal) {
        if (my $default = $self->{_on_default}) { @handlers = ($default) }
        elsif ($ENV{PAGI_DEBUG})                { warn "PAGI::Context: unhandled event type '$type'\n" }
    }
    for my $handler (@handlers) {
        eval {
            my $result = $handler->($self, $event);
            await $result if blessed $result && $result->isa('Future');
            1;
        } or await $self->_report(my $error = $@, 'handler');
    }
    return;
}

# Callers copy $@: an async sub clears it on entry, and would see its aliased argument vanish.
async sub _report {
    my ($self, $error, $source) = @_;
    my @callbacks = @{ $self->{_on_error} || [] };
    warn "PAGI::Context error ($source): $error" unless @callbacks;
    for my $callback (@callbacks) {
        eval {
            my $result = $callback->($self, $error, $source);
            await $result if blessed $result && $result->isa('Future');
            1;
        } or warn "PAGI::Context on_error callback error: $@";
    }
    return;
}

# Hook: tell the protocol object, if there is one, that the connection is gone.
async sub _sync_terminal_disconnect { return }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Context::Dispatcher - event loop of a context

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Context;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        my $ctx = PAGI::Context->new($scope, $receive, $send)->assert_websocket;

        await $ctx->accept;
        $ctx->on('websocket.receive' => async sub {
            my ($ctx, $event) = @_;
            await $ctx->send_text("you said $event->{text}");
        });
        $ctx->on_error(sub { my ($ctx, $error, $source) = @_; warn "$source: $error" });

        await $ctx->run;
    };

=head1 DESCRIPTION

Parent class of L<PAGI::Context>. Callbacks may be plain or async; a Future they return is awaited.

=head1 METHODS

=head2 on

    $ctx->on('websocket.receive' => sub { my ($ctx, $event) = @_; ... });

Adds a handler for an event type; several are run in order of registration. Returns the context.

=head2 on_default

    $ctx->on_default(sub { my ($ctx, $event) = @_; ... });

One handler (the last one set) for events that have none, never for the disconnect event. Returns the context.

=head2 on_error

    $ctx->on_error(sub { my ($ctx, $error, $source) = @_; ... });

Called when a handler dies (C<$source> is C<handler>) or receiving fails (C<receive>). An exception inside is reported as a
warning, C<PAGI::Context on_error callback error: ...>. Without any such callback the warning is C<PAGI::Context error (SOURCE):
...>. Returns the context.

=head2 stop

Leaves the loop after the handlers of the current event. Has no effect on a loop not yet running. Returns the context.

=head2 run

    my $outcome = await $ctx->run;

Receives events and runs their handlers. Returns a L<Future> that always resolves, to C<disconnect> after the disconnect event
of the scope's type and its handlers, to C<stop>, or to C<error> when receiving failed. A handler that dies does not end the loop.
Afterwards, and when the Future is cancelled, all handlers are forgotten.

Calling it while it runs dies at once with C<PAGI::Context run() called while already running>. With C<$ENV{PAGI_DEBUG}> events
without a handler are reported as warnings.

=head1 SEE ALSO

L<PAGI::Context>

=cut
