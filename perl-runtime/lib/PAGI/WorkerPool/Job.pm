package PAGI::WorkerPool::Job;

use strict;
use warnings;

our $VERSION = '0.001';

use IO::Handle ();
use Socket qw(AF_UNIX MSG_NOSIGNAL PF_UNSPEC SOCK_STREAM);

use PAGI::WorkerPool::Error;
use PAGI::WorkerPool::Message qw(decode);

# A job is queued (no process has taken it), running, or over. One that is overdue is over, and its process is being ended.
sub start {
    my ($class, %args) = @_;
    my $self = bless { %args, state => 'queued', in => '', sent => 0, timers => {}, watches => {} }, $class;
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or return $self->_refused(Unavailable => "no socket for the job: $!");
    $ours->blocking(0);
    my $put = eval { PAGI::Native::put_job(fileno $theirs) };
    return $self->_refused(Unavailable => _line($@)) unless defined $put;
    if (!$put) {
        my ($depth, $limit) = (PAGI::Native::jobs_wait(0), PAGI::Native::pool_limit());
        return $self->_refused(Backpressure => "$depth jobs and requests wait already (limit $limit)", depth => $depth, limit => $limit);
    }
    close $theirs;
    PAGI::Native::jobs_wait(1);
    $self->{pool}->count('calls');
    $self->{stream} = $ours;
    my $future = $self->{future} = PAGI::Native::Future->new;
    $future->on_cancel(sub { $self->_cancelled });
    $self->{watches}{read} = PAGI::Native::watch(fileno $ours, 0, sub { $self->_readable });
    $self->_timer(queue => $args{queue_timeout}, sub { $self->_fail(Timeout => "no pool process took '$self->{name}' within $args{queue_timeout} seconds") });
    $self->_write;
    return $future;
}

sub _refused {
    my ($self, @what) = @_;
    $self->{pool}->count('rejected');
    return PAGI::WorkerPool::Error->new(@what)->future;
}

sub _timer {
    my ($self, $name, $seconds, $code) = @_;
    return unless $seconds;
    $self->{timers}{$name} = PAGI::Native::timer($seconds, sub { delete $self->{timers}{$name}; $code->() });
    return;
}

sub _write {
    my ($self) = @_;
    while ($self->{sent} < length $self->{out}) {
        my $sent = send $self->{stream}, substr($self->{out}, $self->{sent}, 262_144), MSG_NOSIGNAL;
        if (!defined $sent) {
            next if $!{EINTR};
            if ($!{EAGAIN}) {
                $self->{watches}{write} ||= PAGI::Native::watch(fileno $self->{stream}, 1, sub { $self->_write });
                return;
            }
            # It has gone: reading tells.
            last;
        }
        $self->{sent} += $sent;
    }
    PAGI::Native::unwatch(delete $self->{watches}{write}) if $self->{watches}{write};
    delete $self->{out};
    $self->{sent} = 0;
    return;
}

sub _readable {
    my ($self) = @_;
    my $read = sysread $self->{stream}, $self->{in}, 262_144, length $self->{in};
    return if !defined $read && ($!{EAGAIN} || $!{EINTR});
    return $self->_ended unless $read;
    if ($self->{state} eq 'queued') {
        # The byte '+': taken.
        substr $self->{in}, 0, 1, '';
        $self->_taken;
    }
    while (length $self->{in} >= 5) {
        my ($type, $length) = unpack 'a N', $self->{in};
        return if length $self->{in} < 5 + $length;
        my $payload = substr $self->{in}, 5, $length;
        substr $self->{in}, 0, 5 + $length, '';
        if ($type eq 'P') {
            $self->{pid} = $payload;
            next;
        }
        return $self->_answered($payload);
    }
    return;
}

sub _taken {
    my ($self) = @_;
    $self->{state} = 'running';
    PAGI::Native::jobs_wait(-1);
    $self->{pool}->count(busy => 1);
    my $queue = delete $self->{timers}{queue};
    PAGI::Native::cancel_timer($queue) if $queue;
    my $seconds = $self->{timeout};
    $self->_timer(run => $seconds, sub { $self->_overdue(Timeout => "'$self->{name}' took longer than $seconds seconds") });
    return;
}

sub _answered {
    my ($self, $payload) = @_;
    my $answer = eval { decode($payload) };
    return $self->_fail(WorkerDied => "the answer to '$self->{name}' is unreadable") unless ref $answer eq 'ARRAY';
    my ($ok, @results) = @$answer;
    if ($ok) {
        $self->_over('done', sub { $_[0]->done(@results) });
    }
    elsif (ref $results[0] && eval { $results[0]->isa('PAGI::WorkerPool::Error') }) {
        my $error = $results[0];
        $self->_over('failed', sub { $_[0]->fail($error, worker_pool => $error->code) });
    }
    else {
        my $exception = $results[0];
        # A Future cannot fail with nothing.
        $exception = "Died\n" if !ref $exception && (!defined $exception || $exception eq '');
        $self->_over('failed', sub { $_[0]->fail($exception) });
    }
    return;
}

sub _ended {
    my ($self) = @_;
    my $who = $self->{pid} ? "pool process $self->{pid}" : 'the pool process';
    return $self->_fail(WorkerDied => $self->{state} eq 'queued'
        ? "the pool ended before '$self->{name}' was begun"
        : "$who ended before '$self->{name}' did; the log of the server says why");
}

sub _fail {
    my ($self, $code, $message) = @_;
    my $error = PAGI::WorkerPool::Error->new($code, $message);
    $self->_over($code eq 'Timeout' ? 'timed_out' : 'crashed', sub { $_[0]->fail($error, worker_pool => $code) });
    return;
}

# WP-8: the caller hears at once; the process is asked to end, then made to.
sub _overdue {
    my ($self, @what) = @_;
    my ($stream, $in, $pid, $grace) = (@{$self}{qw(stream in pid)}, $self->{pool}->kill_grace);
    # The end of the stream is the end of the process, or of the job at least: its number may not be used after that.
    my ($watch, $timer);
    my $end = sub {
        PAGI::Native::unwatch($watch);
        PAGI::Native::cancel_timer($timer) if $timer;
        close $stream;
    };
    my $kill = sub {
        kill TERM => $pid;
        $timer = PAGI::Native::timer($grace, sub { kill KILL => $pid; $end->() });
    };
    my $readable = sub {
        my $read = sysread $stream, $in, 262_144, length $in;
        return if !defined $read && ($!{EAGAIN} || $!{EINTR});
        return $end->() unless $read;
        if (!$pid && length $in >= 5 + unpack 'x N', "$in\0\0\0\0\0") {
            # It had just begun, and now says who it is.
            $pid = unpack 'x N/a*', $in;
            $kill->();
        }
        $in = '' if $pid;
    };
    $self->_unwatch;
    # One that has not begun sees that nobody waits.
    shutdown $stream, 1;
    $watch = PAGI::Native::watch(fileno $stream, 0, $readable);
    $kill->() if $pid;
    $self->{keep_open} = 1;
    return @what ? $self->_fail(@what) : $self->_over('cancelled');
}

sub _cancelled {
    my ($self) = @_;
    return if $self->{state} eq 'over';
    return $self->_overdue if $self->{state} eq 'running' && $self->{kill_on_cancel};
    return $self->_over('cancelled');
}

sub _unwatch {
    my ($self) = @_;
    PAGI::Native::unwatch($_) for values %{ $self->{watches} };
    $self->{watches} = {};
    return;
}

sub _over {
    my ($self, $how, $settle) = @_;
    my $was = $self->{state};
    return if $was eq 'over';
    $self->{state} = 'over';
    $self->_unwatch;
    PAGI::Native::cancel_timer($_) for values %{ $self->{timers} };
    $self->{timers} = {};
    close $self->{stream} unless $self->{keep_open};
    delete @{$self}{qw(in out stream)};
    PAGI::Native::jobs_wait(-1) if $was eq 'queued';
    $self->{pool}->count(busy => -1) if $was eq 'running';
    $self->{pool}->count($how);
    my $future = delete $self->{future};
    $settle->($future) if $settle && !$future->is_ready;
    return;
}

sub _line { my ($text) = @_; $text =~ s/(?: at \S+ line \d+\.?)?\s+\z//; return $text }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Job - one job, as the worker that waits for it sees it

=head1 SYNOPSIS

    # what PAGI::WorkerPool does for a call
    my $future = PAGI::WorkerPool::Job->start(
        pool => $self, name => 'report.make', out => $request,
        timeout => 30, queue_timeout => undef, kill_on_cancel => 0,
    );

=head1 DESCRIPTION

Puts one end of a stream into the queue of the pool and waits at the other for the process that takes it. Works inside a worker of C<pagi-server> only.

=head1 METHODS

=head2 start

Returns a L<Future> of the handler's results. See L<PAGI::WorkerPool> for the options and the ways it fails; C<out> is the frame of the job.

=cut
