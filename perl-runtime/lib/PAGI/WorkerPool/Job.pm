package PAGI::WorkerPool::Job;

use strict;
use warnings;

our $VERSION = '0.001';

use IO::Handle ();
use Socket qw(AF_UNIX MSG_NOSIGNAL PF_UNSPEC SOCK_STREAM);

use PAGI::WorkerPool::Ending;
use PAGI::WorkerPool::Error;
use PAGI::WorkerPool::Line;
use PAGI::WorkerPool::Message qw(decode);

# Seconds between looks whether there is room for a job that waits outside.
my $AGAIN = 0.02;

# A job is outside (there is no room for it), held (in the line of this worker), queued (no process has taken it),
# running, or over. One that is overdue is over, and its process is being ended.
sub start {
    my ($class, %args) = @_;
    my $self = bless { %args, state => 'held', timers => {}, watches => {}, since => PAGI::Native::now() }, $class;
    my $future = $self->{future} = PAGI::Native::Future->new;
    my $entered = eval { PAGI::WorkerPool::Line->of_this_worker->enter($self) };
    return $self->_refused(Unavailable => _line($@)) unless defined $entered;
    return $self->_refused(_no_room()) unless $entered || $args{wait_for_space};
    $self->_count('calls');
    $self->_wait_for_space(PAGI::Native::now() + $args{wait_for_space}) unless $entered;
    return $future if $future->is_ready;
    $future->on_cancel(sub { $self->_cancelled });
    $self->_wait_at_most($args{queue_timeout});
    return $future;
}

sub _refused {
    my ($self, @what) = @_;
    $self->{state} = 'over';
    $self->_count('rejected');
    return PAGI::WorkerPool::Error->new(@what)->future;
}

sub _no_room {
    my ($depth, $limit) = (PAGI::Native::jobs_wait(0), PAGI::Native::pool_limit());
    return (Backpressure => "$depth jobs and requests wait already (limit $limit)", depth => $depth, limit => $limit);
}

# WP-7. Nobody says when there is room again: other workers take and leave it, too.
sub _wait_for_space {
    my ($self, $until) = @_;
    $self->{state} = 'outside';
    $self->_timer(space => $AGAIN, sub {
        $self->{state} = 'held';
        my $entered = eval { PAGI::WorkerPool::Line->of_this_worker->enter($self) };
        return $self->unavailable($@) unless defined $entered;
        return if $entered;
        return $self->_wait_for_space($until) if PAGI::Native::now() < $until;
        $self->{state} = 'outside';
        my $error = PAGI::WorkerPool::Error->new(_no_room());
        $self->_over('rejected', sub { $_[0]->fail($error, worker_pool => 'Backpressure') });
    });
    return;
}

sub _count { my ($self, @what) = @_; return $self->{pool}->count($self->{name}, @what) }

sub is_held { return $_[0]{state} eq 'held' }

# Whether it goes into the server's queue at once, where it outlives this worker (WP-9). Not in a pool that has its own limit.
sub is_direct { my ($self) = @_; return $self->{forgotten} && !$self->{pool}->workers }

# Jobs of one lane run one after the other.
sub lane { my ($self) = @_; return join "\0", $self->{pool}->name, $self->{key} }

# Into the server's queue: false when it is full; dies when there is no way to it.
sub put {
    my ($self) = @_;
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "no socket for the job: $!\n";
    $ours->blocking(0);
    PAGI::Native::put_job(fileno $theirs) or return 0;
    close $theirs;
    @{$self}{qw(state stream in sent)} = ('queued', $ours, '', 0);
    $self->{watches}{read} = PAGI::Native::watch(fileno $ours, 0, sub { $self->_readable });
    $self->_write;
    return 1;
}

sub unavailable {
    my ($self, $reason) = @_;
    my $error = PAGI::WorkerPool::Error->new(Unavailable => _line($reason));
    return $self->_over('rejected', sub { $_[0]->fail($error, worker_pool => 'Unavailable') });
}

sub _wait_at_most {
    my ($self, $seconds) = @_;
    $self->_timer(queue => $seconds, sub {
        # A process may have taken it while this worker was busy.
        $self->_look;
        $self->_fail(Timeout => "no pool process took '$self->{name}' within $self->{queue_timeout} seconds")
            if $self->{state} eq 'outside' || $self->{state} eq 'held' || $self->{state} eq 'queued';
    });
    return;
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
    return;
}

# What a process has said and this worker has not read yet.
sub _look {
    my ($self) = @_;
    $self->_readable if $self->{state} eq 'queued' || $self->{state} eq 'running';
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
    while ($self->{state} eq 'running' && length $self->{in} >= 5) {
        my ($type, $length) = unpack 'a N', $self->{in};
        return if length $self->{in} < 5 + $length;
        my $payload = substr $self->{in}, 5, $length;
        substr $self->{in}, 0, 5 + $length, '';
        if    ($type eq 'P') { $self->_begun($payload) }
        elsif ($type eq 'S') { $self->_progressed($payload) }
        elsif ($type eq 'K') { return $self->_given_back($payload) }
        else                 { return $self->_answered($payload) }
    }
    return;
}

sub _taken {
    my ($self) = @_;
    $self->{state} = 'running';
    $self->_count(busy => 1);
    my $queue = delete $self->{timers}{queue};
    PAGI::Native::cancel_timer($queue) if $queue;
    my $seconds = $self->{timeout};
    $self->_timer(run => $seconds, sub { $self->_overdue(Timeout => "'$self->{name}' took longer than $seconds seconds") });
    PAGI::WorkerPool::Line->of_this_worker->taken($self);
    return;
}

sub _begun {
    my ($self, $pid) = @_;
    @{$self}{qw(pid began)} = ($pid, PAGI::Native::now());
    $self->{pool}->statistics->queued($self->{name}, $self->{began} - $self->{since});
    # From here on it cannot come back.
    delete $self->{out} unless $self->{watches}{write};
    return;
}

# WP-14, WP-3: another worker's job with this key is running, or as many of its pool as may; so the process has let go of this
# one without beginning it.
sub _given_back {
    my ($self, $what) = @_;
    $self->_unwatch;
    close delete $self->{stream};
    my $run = delete $self->{timers}{run};
    PAGI::Native::cancel_timer($run) if $run;
    $self->{state} = 'held';
    $self->_count(busy => -1);
    PAGI::WorkerPool::Line->of_this_worker->wait_outside($self, $what);
    if (my $limit = $self->{queue_timeout}) {
        my $left = $limit - (PAGI::Native::now() - $self->{since});
        $self->_wait_at_most($left > 0.001 ? $left : 0.001);
    }
    return;
}

# WP-17
sub _progressed {
    my ($self, $payload) = @_;
    my $code = $self->{on_progress} or return;
    return if eval { $code->(@{ decode($payload) }); 1 };
    my $error = $@;
    print STDERR "on_progress of the job '$self->{name}' failed: $error" . ("$error" =~ /\n\z/ ? '' : "\n");
    return;
}

sub _answered {
    my ($self, $payload) = @_;
    (my $took, $payload) = unpack 'd> a*', $payload;
    $self->{took} = $took;
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
        my ($exception, $trace) = @results;
        # A Future cannot fail with nothing.
        $exception = "Died\n" if !ref $exception && (!defined $exception || $exception eq '');
        $self->_over('failed', sub { $self->{pool}->note_trace($_[0], $trace); $_[0]->fail($exception) });
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

# WP-8: the caller hears at once, the process ends in its own time.
sub _overdue {
    my ($self, @what) = @_;
    $self->_unwatch;
    PAGI::WorkerPool::Ending->of(
        stream => delete $self->{stream}, in => $self->{in}, pid => $self->{pid}, grace => $self->{pool}->kill_grace,
        taken  => $self->{state} eq 'running',
    );
    return @what ? $self->_fail(@what) : $self->_over('cancelled');
}

# WP-9. A process may have begun a job that seems to wait, because this worker has not read so yet.
sub _cancelled {
    my ($self) = @_;
    return if $self->{state} eq 'over';
    return $self->_overdue if $self->{kill_on_cancel} && $self->{stream};
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
    close $self->{stream} if $self->{stream};
    delete @{$self}{qw(in out stream)};
    my $line = PAGI::WorkerPool::Line->of_this_worker;
    if ($was eq 'running') {
        $self->_count(busy => -1);
        $self->{pool}->statistics->ran($self->{name}, $self->{took} // PAGI::Native::now() - $self->{began}) if $self->{began};
    }
    elsif ($was ne 'outside') {
        $line->left($self, $was eq 'queued');
    }
    $self->_count($how);
    $line->over($self);
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
        pool => $self, name => 'report.make', out => $request, priority => 0, key => undef,
        timeout => 30, queue_timeout => undef, kill_on_cancel => 0, on_progress => undef, forgotten => 0, wait_for_space => undef,
    );

=head1 DESCRIPTION

Waits in the L<PAGI::WorkerPool::Line> of this worker for its turn, then puts one end of a stream into the queue of the pool and listens at the other to
the process that takes it. Works inside a worker of C<pagi-server> only.

=head1 METHODS

=head2 start

Returns a L<Future> of the handler's results. See L<PAGI::WorkerPool> for the options and the ways it fails; C<out> is the frame of the job.

=head2 put, unavailable, is_direct, is_held, lane

For the line.

=cut
