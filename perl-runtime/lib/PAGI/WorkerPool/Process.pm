package PAGI::WorkerPool::Process;

use strict;
use warnings;

our $VERSION = '0.001';

use POSIX ();
use Socket qw(MSG_DONTWAIT MSG_NOSIGNAL MSG_PEEK);
use Time::HiRes ();

use PAGI::WorkerPool::Error;
use PAGI::WorkerPool::Key;
use PAGI::WorkerPool::Message qw(decode encode encode_failure);
use PAGI::WorkerPool::Seat;
use PAGI::WorkerPool::State;

# Seconds before init is tried again after a failure: the first wait, and the longest.
my ($FIRST_WAIT, $LONGEST_WAIT) = (0.1, 30);

# Seconds between looks whether a pool has a place for a job that cannot be given back.
my $AGAIN = 0.02;

# What init has returned, by name of the pool: { pid, value } or { pid, error, wait, not_before }.
my %state;

# Takes what the job that runs now reports; undef while none does.
our $progress;

# Jobs done in this process.
my $done = 0;

# The server calls this in a pool process, once per job. The descriptor is ours.
sub run {
    my ($fd) = @_;
    my $stream;
    if (!open $stream, '+<&=', $fd) {
        my $error = $!;
        POSIX::close($fd);
        die "The stream of the job cannot be opened: $error\n";
    }
    binmode $stream;
    my ($type, $bytes) = _read($stream) or return;
    my ($pool_name, $name, $forgotten, $arguments, $key) = @{ decode($bytes) };
    # WP-9: nobody waits for it any more.
    return if !$forgotten && _is_abandoned($stream);
    my $held = defined $key ? PAGI::WorkerPool::Key->new($pool_name, $key) : undef;
    if ($held && !$held->take) {
        _write($stream, K => 'key');
        return;
    }
    my $pool = PAGI::WorkerPool->named($pool_name);
    my $seat = $pool && $pool->workers ? PAGI::WorkerPool::Seat->new($pool_name, $pool->workers) : undef;
    while ($seat && !$seat->take) {
        if (!$forgotten || !_is_abandoned($stream)) {
            $held->release if $held;
            _write($stream, K => 'seat');
            return;
        }
        # WP-9: its worker has gone, and nobody else would bring it again.
        Time::HiRes::sleep($AGAIN);
    }
    _write($stream, P => $$);
    my $report = $forgotten ? undef : sub {
        my ($data) = @_;
        _write($stream, S => encode($data, $pool->max_size));
        return _is_abandoned($stream) ? 0 : 1;
    };
    my $began = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC());
    my $reply = perform($pool, $name, $arguments, $forgotten, $report);
    my $took = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) - $began;
    # Before the answer: who gets it may call again at once.
    $held->release if $held;
    $seat->release if $seat;
    _write($stream, R => pack('d>', $took) . $reply);
    close $stream;
    _retire($pool->max_jobs) if $pool;
    return;
}

# WP-13. The server replaces a process that leaves, and this one leaves when its loop turns.
sub _retire {
    my ($limit) = @_;
    kill TERM => $$ if ++$done == $limit;
    return;
}

sub progress { my (@data) = @_; return $progress ? $progress->(\@data) : 0 }

# The bytes of [1, @results] or [0, $exception]. A job without a name is over when the state is there.
sub perform {
    my ($pool, $name, $arguments, $forgotten, $report) = @_;
    my ($reply, $trace);
    local $@;
    local $progress = $report;
    local $SIG{__DIE__} = sub { $trace = _trace() } if $pool && $pool->debug;
    return $reply if eval {
        my $handler = $pool && ($name eq '' ? sub { return } : $pool->handler($name))
            or PAGI::WorkerPool::Error->throw(UnknownHandler => "this process has no handler '$name'");
        my $state = state_of($pool);
        # Nothing the handler sets with `local`-able punctuation outlives it.
        local ($_, $!, $?);
        my @results = $handler->($state, @$arguments);
        $reply = encode([ 1, @results ], $pool->max_size);
        1;
    };
    my $error = $@;
    print STDERR "The job '$name' that nobody waits for failed: $error" . ("$error" =~ /\n\z/ ? '' : "\n") if $forgotten;
    return encode_failure($error, $pool ? $pool->max_size : 65_536, $trace);
}

# WP-11: where the exception was thrown and on whose behalf, down to the handler. Without arguments, which may be secrets.
sub _trace {
    my @lines;
    for (my $depth = 1; my ($package, $file, $line, $name) = caller $depth; $depth++) {
        last if $package eq __PACKAGE__;
        push @lines, @lines ? "$name called at $file line $line" : "thrown at $file line $line";
    }
    return join "\n", @lines;
}

# WP-2: once per process, when the first job needs it.
sub state_of {
    my ($pool) = @_;
    my $name = $pool->name;
    my $state = $state{$name};
    undef $state if $state && $state->{pid} != $$;
    return $state->{value} if $state && !exists $state->{error};
    my $init = $pool->init;
    if ($state && Time::HiRes::time() < $state->{not_before}) {
        PAGI::WorkerPool::Error->throw(InitFailed => $state->{error});
    }
    my $value;
    if (!$init || eval { $value = $init->(); 1 }) {
        $value = PAGI::WorkerPool::State->of($value);
        $state{$name} = { pid => $$, value => $value };
        return $value;
    }
    my $error = "init of the pool '$name' failed: $@";
    $error =~ s/\s+\z//;
    my $wait = $state ? $state->{wait} * 2 : $FIRST_WAIT;
    $wait = $LONGEST_WAIT if $wait > $LONGEST_WAIT;
    $state{$name} = { pid => $$, error => $error, wait => $wait, not_before => Time::HiRes::time() + $wait };
    print STDERR "$error\n";
    PAGI::WorkerPool::Error->throw(InitFailed => $error);
}

END {
    local $?;
    for my $name (sort keys %state) {
        my $state = $state{$name};
        # Not in a child that a handler has forked.
        next if $state->{pid} != $$ || exists $state->{error};
        my $pool = PAGI::WorkerPool->named($name) or next;
        my $cleanup = $pool->cleanup or next;
        eval { $cleanup->($state->{value}); 1 } or print STDERR "cleanup of the pool '$name' failed: $@";
    }
}

sub _is_abandoned {
    my ($stream) = @_;
    my $read = recv $stream, my $byte, 1, MSG_PEEK | MSG_DONTWAIT;
    return !defined $read ? !$!{EAGAIN} : length $byte == 0;
}

# ( type, payload ), or nothing when the caller has gone before it had said all.
sub _read {
    my ($stream) = @_;
    my $head = _bytes($stream, 5);
    return unless defined $head;
    my ($type, $length) = unpack 'a N', $head;
    my $payload = _bytes($stream, $length);
    return defined $payload ? ($type, $payload) : ();
}

sub _bytes {
    my ($stream, $length) = @_;
    my $bytes = '';
    while (length $bytes < $length) {
        my $read = sysread $stream, $bytes, $length - length $bytes, length $bytes;
        next if !defined $read && $!{EINTR};
        return unless $read;
    }
    return $bytes;
}

# A caller that has gone needs nothing.
sub _write {
    my ($stream, $type, $payload) = @_;
    my $bytes = pack 'a N/a*', $type, $payload;
    my $offset = 0;
    while ($offset < length $bytes) {
        my $sent = send $stream, substr($bytes, $offset, 262_144), MSG_NOSIGNAL;
        next if !defined $sent && $!{EINTR};
        return unless defined $sent;
        $offset += $sent;
    }
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Process - runs jobs in a pool process

=head1 SYNOPSIS

    # the server, in a pool process, for each job it has taken
    PAGI::WorkerPool::Process::run(7);

=head1 DESCRIPTION

Reads one job from a stream, calls its handler and writes the answer. C<init> of the job's pool is called before its first job in this process. When it
dies that job fails with C<InitFailed>, and so do others until it is tried again: after 0.1 seconds, then after twice as long each time, up to 30
seconds. C<cleanup> is called when the process ends in order.

Frames are a letter, a length of four bytes and a payload of that many bytes. The job comes from the caller; to it go C<P>, the process id, then
any number of C<S>, progress, and C<R>, the seconds it took (a double of eight bytes) and the answer. Instead of all these C<K> says that the job was
not begun, because other processes are busy with its key (C<key>), or with as many jobs of its pool as may run at the same time (C<seat>).

=head1 FUNCTIONS

=head2 run

    PAGI::WorkerPool::Process::run($descriptor);

=head2 perform

    my $bytes = PAGI::WorkerPool::Process::perform($pool, $name, \@arguments, $is_forgotten, sub { my ($data) = @_; ... });

Calls the handler and returns the answer for L<PAGI::WorkerPool::Message/decode>: C<[1, @results]> or C<[0, $exception]>. The code, if any, gets what the
handler reports.

=head2 progress

    my $wanted = PAGI::WorkerPool::Process::progress(@data);

See L<PAGI::WorkerPool::State/progress>.

=head2 state_of

    my $state = PAGI::WorkerPool::Process::state_of($pool);

What C<init> has returned in this process; calls it the first time. Dies with C<InitFailed>.

=cut
