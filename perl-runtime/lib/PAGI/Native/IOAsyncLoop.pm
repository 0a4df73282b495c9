package PAGI::Native::IOAsyncLoop;
use strict;
use warnings;

our $VERSION = '0.001';

use parent 'IO::Async::Loop';

use PAGI::Native::Children;
use PAGI::Native::Signals;

use constant API_VERSION => '0.76';

use constant _CAN_WATCH_ALL_PIDS => 1;
use constant _CAN_ON_HANGUP => 1;
use constant _CAN_SUBSECOND_ACCURATELY => 1;

sub new {
    my $class = shift;
    return $class->__new(@_);
}

sub loop_once {
    my ($self, $timeout) = @_;
    $self->pre_wait if $self->can('pre_wait');
    PAGI::Native::turn($timeout);
    $self->post_wait if $self->can('post_wait');
    return 1;
}

sub is_running {
    my ($self) = @_;
    return $self->{running};
}

sub post_fork {
    my ($self) = @_;
    PAGI::Native::post_fork();
    return $self->SUPER::post_fork;
}

# The three things that can be watched, as [ parameter, direction, slot in the base class's record ].
my @WATCHES = ([on_read_ready => 0, 1], [on_write_ready => 1, 2], [on_hangup => 2, 3]);

sub watch_io {
    my ($self, %params) = @_;
    $self->__watch_io(%params);
    my $fd = $params{handle}->fileno;
    my $watches = $self->{iowatches};
    my $numbers = $self->{pagi_watches}{$fd} ||= [];
    for my $watch (@WATCHES) {
        my ($name, $direction, $slot) = @$watch;
        next unless $params{$name};
        PAGI::Native::unwatch($numbers->[$direction]);
        $numbers->[$direction] = PAGI::Native::watch($fd, $direction, sub {
            my $record = $watches->{$fd} or return;
            my $code = $record->[$slot] or return;
            $code->();
        });
    }
    return;
}

sub unwatch_io {
    my ($self, %params) = @_;
    $self->__unwatch_io(%params);
    my $fd = $params{handle}->fileno;
    return unless defined $fd;
    my $numbers = $self->{pagi_watches}{$fd} or return;
    for my $watch (@WATCHES) {
        my ($name, $direction) = @$watch;
        next unless $params{$name};
        PAGI::Native::unwatch($numbers->[$direction]);
        $numbers->[$direction] = undef;
    }
    delete $self->{pagi_watches}{$fd} unless grep { defined } @$numbers;
    return;
}

sub watch_signal {
    my ($self, $name, $code) = @_;
    ref $code or die "Expected \$code as a reference\n";
    my $watch = PAGI::Native::Signals::watch($name, $code);
    $self->unwatch_signal($name);
    $self->{pagi_signals}{$name} = $watch;
    return;
}

sub unwatch_signal {
    my ($self, $name) = @_;
    my $watch = delete $self->{pagi_signals}{$name} or return;
    PAGI::Native::Signals::unwatch($watch);
    return;
}

sub watch_process {
    my ($self, $pid, $code) = @_;
    my $children = $self->{pagi_children} ||= {};
    die "Already have a handler for $pid\n" if exists $children->{$pid};
    $children->{$pid} = PAGI::Native::Children::watch($pid, sub {
        delete $children->{$pid} if $pid;
        $code->(@_);
    });
    return;
}

sub unwatch_process {
    my ($self, $pid) = @_;
    my $watch = delete $self->{pagi_children}{$pid} or return;
    PAGI::Native::Children::unwatch($watch);
    return;
}

sub watch_time {
    my ($self, %params) = @_;
    my $code = $params{code} or die "Expected 'code' as CODE ref\n";
    my $delay = $params{after};
    if (!defined $delay) {
        defined $params{at} or die "Expected either of 'at' or 'after'\n";
        my $now = exists $params{now} ? $params{now} : $self->time;
        $delay = $params{at} - $now;
    }
    return PAGI::Native::timer($delay, $code);
}

# An older form, which IO::Async's own test suite uses.
sub watch_timer {
    my ($self, %params) = @_;
    return $self->watch_time(after => $params{delay}, code => $params{code});
}

sub unwatch_time {
    my ($self, $id) = @_;
    PAGI::Native::cancel_timer($id);
    return;
}

sub watch_idle {
    my ($self, %params) = @_;
    my $code = delete $params{code} or die "Expected 'code' as CODE ref\n";
    my $when = delete $params{when} or die "Expected 'when'\n";
    $when eq 'later' or die "Expected 'when' to be 'later'\n";
    my $idle = \$code;
    PAGI::Native::later(sub {
        my $todo = $$idle or return;
        undef $$idle;
        $todo->();
    });
    return $idle;
}

sub unwatch_idle {
    my ($self, $idle) = @_;
    undef $$idle;
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::IOAsyncLoop - IO::Async on the worker's own loop

=head1 SYNOPSIS

    use IO::Async::Loop;
    use IO::Async::Timer::Countdown;

    # Inside pagi-server this is the loop that turns.
    my $loop = IO::Async::Loop->new;
    my $timer = IO::Async::Timer::Countdown->new(delay => 1, on_expire => sub { print "a second later\n" });
    $loop->add($timer->start);

=head1 DESCRIPTION

The class of what C<< IO::Async::Loop->new >> returns inside the server: timers, handles, streams, C<Net::Async::*>
clients, signals, child processes and nested C<< ->get >> run on the loop that serves requests. The environment variable C<IO_ASYNC_LOOP> is
removed from the server's environment, because two loops in one process would mean that one of them never turns (IOA-2).

=cut
