package PAGI::Simple::Blocking;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use POSIX ();
use Storable ();

our @CARP_NOT = qw(PAGI::Simple PAGI::Simple::Context PAGI::Simple::Connection);

my %DEFAULT = (max_workers => 4, min_workers => 1, idle_timeout => 30, timeout => 30, queue_limit => 100);

sub new {
    my ($class, %options) = @_;
    my @unknown = grep { !exists $DEFAULT{$_} } sort keys %options;
    croak 'Unknown workers options: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %DEFAULT) if @unknown;
    return bless { %DEFAULT, %options, running => 0, queue => [], children => {} }, $class;
}

# A process per call, forked here and now: closures, lexicals and signatures work, and nothing is shared afterwards.
sub run {
    my ($self, $code, @args) = @_;
    croak 'run_blocking takes a coderef and its arguments' unless ref $code eq 'CODE';
    return Future->fail("The server's worker is stopping\n") if $self->{stopped};
    return $self->_start($code, @args) if $self->{running} < $self->{max_workers};
    return Future->fail(sprintf("Too much blocking work: %d calls are waiting (queue_limit %d)\n", scalar @{ $self->{queue} }, $self->{queue_limit}), 'backpressure')
        if @{ $self->{queue} } >= $self->{queue_limit};
    my $turn = Future->new;
    push @{ $self->{queue} }, $turn;
    return $turn->then(sub { $self->_start($code, @args) });
}

async sub _start {
    my ($self, $code, @args) = @_;
    $self->{running}++;
    my ($pid, $reader);
    my @result;
    my $ok = eval {
        ($pid, $reader) = _fork($code, @args);
        $self->{children}{$pid} = 1;
        my $bytes = await $self->_frame($pid, $reader);
        @result = _unpack($bytes);
        1;
    };
    my $error = $@;
    if ($pid) {
        delete $self->{children}{$pid};
        kill KILL => -$pid unless $ok;
        waitpid $pid, 0;
    }
    $self->{running}--;
    # a call that was given up while it waited must not use the turn up
    while (my $next = shift @{ $self->{queue} }) {
        next if $next->is_ready;
        $next->done;
        last;
    }
    die $error unless $ok;
    return @result;
}

# To the end of the pipe. A process that is too slow is killed, which ends the pipe as well.
async sub _frame {
    my ($self, $pid, $reader) = @_;
    require Future::IO;
    my ($bytes, $late) = ('', 0);
    my $timer = Future::IO->sleep($self->{timeout})->on_done(sub { $late = 1; kill KILL => -$pid });
    while (1) {
        my $chunk = await Future::IO->sysread($reader, 65536);
        last unless defined $chunk && length $chunk;
        $bytes .= $chunk;
    }
    $timer->cancel unless $timer->is_ready;
    die "Blocking work took longer than $self->{timeout} seconds\n" if $late;
    return $bytes;
}

sub _fork {
    my ($code, @args) = @_;
    pipe my $reader, my $writer or die "Cannot make a pipe for blocking work: $!\n";
    my $pid = fork;
    die "Cannot fork for blocking work: $!\n" unless defined $pid;
    if (!$pid) {
        setpgrp;    # what the code starts is ended with it
        eval { _child($reader, $writer, $code, @args) };
        POSIX::_exit(1);
    }
    close $writer;
    $reader->blocking(0);
    return ($pid, $reader);
}

# Leaves with _exit: no destructor and no END block of the parent may run twice.
sub _child {
    my ($reader, $writer, $code, @args) = @_;
    $SIG{$_} = 'IGNORE'  for qw(INT TERM);
    $SIG{$_} = 'DEFAULT' for qw(CHLD PIPE ALRM);
    _close_inherited(fileno $writer);
    binmode $writer;
    my @result = eval { (1, $code->(@args)) };
    @result = (0, _portable_error($@)) unless @result;
    my $frame = eval { Storable::freeze(\@result) };
    $frame = Storable::freeze([ 0, "The result of blocking work cannot be sent back: $@" ]) unless defined $frame;
    while (length $frame) {
        my $written = syswrite $writer, $frame;
        last unless defined $written;
        substr $frame, 0, $written, '';
    }
    POSIX::_exit(0);
}

# The listening socket and the clients of the worker are none of the child's business.
sub _close_inherited {
    my ($keep) = @_;
    opendir my $directory, '/proc/self/fd' or return;
    my @open = grep { /\A[0-9]+\z/ } readdir $directory;
    closedir $directory;
    POSIX::close($_) for grep { $_ > 2 && $_ != $keep } @open;
    return;
}

sub _portable_error {
    my ($error) = @_;
    return $error if !ref $error || eval { Storable::freeze([$error]); 1 };
    return "$error";
}

sub _unpack {
    my ($bytes) = @_;
    die "The process of the blocking work died\n" unless length $bytes;
    my $frame = eval { Storable::thaw($bytes) };
    die "The process of the blocking work died\n" unless ref $frame eq 'ARRAY';
    my ($ok, @result) = @$frame;
    die $result[0] unless $ok;
    return @result;
}

sub stats {
    my ($self) = @_;
    return { workers => $self->{max_workers}, busy => $self->{running}, queue_depth => scalar @{ $self->{queue} }, queue_limit => $self->{queue_limit} };
}

sub stop {
    my ($self) = @_;
    $self->{stopped} = 1;
    $_->is_ready || $_->fail("The server's worker is stopping\n") for splice @{ $self->{queue} };
    kill KILL => map { -$_ } keys %{ $self->{children} } if %{ $self->{children} };
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Blocking - work that blocks, outside the event loop

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1, workers => { max_workers => 4 });
    $app->get('/sum/:n' => async sub {
        my ($c) = @_;
        my $sum = await $c->run_blocking(sub { my ($n) = @_; my $s = 0; $s += $_ for 1 .. $n; $s }, $c->path_params->{n});
        await $c->json({ sum => $sum });
    });

=head1 DESCRIPTION

C<< $c->run_blocking($code, @args) >> runs the code in a process of its own, forked for the call, and returns a L<Future> of what it returned. The
code may be a closure and sees everything as it was at the call; what it changes stays in its process. Open database handles and sockets inside the
code, not before: handles of the worker are closed there. Results, and exceptions, are data that L<Storable> can carry; exception objects that it cannot
carry arrive as strings.

Needs L<Future::IO> with an implementation, as the server provides it.

=head1 METHODS

=head2 new

=over 4

=item max_workers

Processes at the same time, default 4. Further calls wait.

=item queue_limit

Calls that may wait, default 100. One more fails at once with C<Too much blocking work: ...> and the category C<backpressure>.

=item timeout

Seconds a call may run, default 30. Then its process, and what that started, is killed and the Future fails with C<Blocking work took longer than N
seconds>.

=item min_workers, idle_timeout

Accepted for compatibility; no process waits for work.

=back

Croaks C<Unknown workers options: ...>.

=head2 run

    my $future = $blocking->run($code, @arguments);

The Future fails with the exception of the code, or C<The process of the blocking work died>.

=head2 stats

A hashref of C<workers>, C<busy>, C<queue_depth>, C<queue_limit>.

=head2 stop

Ends all processes; waiting calls fail.

=cut
