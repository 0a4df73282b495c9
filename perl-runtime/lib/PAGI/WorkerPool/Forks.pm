package PAGI::WorkerPool::Forks;

use strict;
use warnings;

our $VERSION = '0.001';

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use POSIX ();
use Storable ();

use PAGI::WorkerPool::Error;

our @CARP_NOT = qw(PAGI::WorkerPool PAGI::Simple::Blocking PAGI::Simple PAGI::Simple::Context PAGI::Simple::Connection);

my %DEFAULT = (max_workers => 4, timeout => 30, queue_limit => 100);

sub new {
    my ($class, %options) = @_;
    my @unknown = grep { !exists $DEFAULT{$_} } sort keys %options;
    croak 'Unknown options: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %DEFAULT) if @unknown;
    return bless { %DEFAULT, %options, running => 0, queue => [], children => {} }, $class;
}

# A process per call, forked here and now: closures, lexicals and signatures work, and nothing is shared afterwards (WP-25).
sub run {
    my ($self, $code, @args) = @_;
    croak 'run_blocking takes a coderef and its arguments' unless ref $code eq 'CODE';
    return PAGI::WorkerPool::Error->new(Unavailable => q(The server's worker is stopping))->future if $self->{stopped};
    return $self->_start($code, @args) if $self->{running} < $self->{max_workers};
    my ($depth, $limit) = (scalar @{ $self->{queue} }, $self->{queue_limit});
    return PAGI::WorkerPool::Error->new(Backpressure => "Too much blocking work: $depth calls are waiting (queue_limit $limit)", depth => $depth, limit => $limit)->future
        if $depth >= $limit;
    my $turn = Future->new;
    push @{ $self->{queue} }, $turn;
    $turn->on_cancel(sub { @{ $self->{queue} } = grep { $_ != $turn } @{ $self->{queue} } });
    return $turn->then(sub { $self->_start($code, @args) });
}

sub _start {
    my ($self, $code, @args) = @_;
    my ($pid, $reader) = eval { _fork($code, @args) } or return Future->fail($@);
    $self->{running}++;
    $self->{children}{$pid} = 1;
    require Future::IO;
    my $late = 0;
    my $timer = $self->{timeout} ? Future::IO->sleep($self->{timeout})->on_done(sub { $late = 1; kill KILL => -$pid, $pid }) : undef;
    # However it ends, and a cancelled call ends with its process.
    return $self->_answer($reader, \$late)->else(\&_categorised)->on_ready(sub {
        my ($future) = @_;
        $timer->cancel if $timer && !$timer->is_ready;
        kill KILL => -$pid, $pid unless $future->is_done;
        waitpid $pid, 0;
        delete $self->{children}{$pid};
        $self->{running}--;
        my $next = shift @{ $self->{queue} };
        $next->done if $next;
    });
}

# What an async sub dies with has no category.
sub _categorised {
    my ($error, @details) = @_;
    return ref $error && eval { $error->isa('PAGI::WorkerPool::Error') } ? $error->future : Future->fail($error, @details);
}

# To the end of the pipe. A process that is too slow is killed, which ends the pipe as well.
async sub _answer {
    my ($self, $reader, $late) = @_;
    my $bytes = '';
    while (1) {
        my $chunk = await Future::IO->sysread($reader, 65536);
        last unless defined $chunk && length $chunk;
        $bytes .= $chunk;
    }
    PAGI::WorkerPool::Error->throw(Timeout => "Blocking work took longer than $self->{timeout} seconds") if $$late;
    return _unpack($bytes);
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
    # The code may call `exit`. The block that is compiled last runs first, and before anything is destroyed.
    eval 'END { POSIX::_exit($?) } 1' or die $@;
    _close_inherited(fileno $writer);
    _leave_databases_alone();
    binmode $writer;
    my @result = eval { (1, $code->(@args)) };
    @result = (0, _portable_error($@)) unless @result;
    my $frame = eval { Storable::freeze(\@result) };
    if (!defined $frame) {
        my $reason = "$@" =~ s/\s+\z//r;
        $frame = Storable::freeze([ 0, PAGI::WorkerPool::Error->new(NotSerializable => "The result of blocking work cannot be sent back: $reason") ]);
    }
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

# WP-27: a handle of the parent that goes away here must not end the parent's session.
sub _leave_databases_alone {
    return unless $INC{'DBI.pm'} && DBI->can('visit_handles');
    eval { DBI->visit_handles(sub { $_[0]{InactiveDestroy} = 1; return 1 }); 1 }
        or print STDERR "The database handles cannot be protected from blocking work: $@";
    return;
}

sub _portable_error {
    my ($error) = @_;
    return $error if !ref $error || eval { Storable::freeze([$error]); 1 };
    return "$error";
}

sub _unpack {
    my ($bytes) = @_;
    my $frame = length $bytes ? eval { Storable::thaw($bytes) } : undef;
    PAGI::WorkerPool::Error->throw(WorkerDied => 'The process of the blocking work died') unless ref $frame eq 'ARRAY';
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
    my $error = PAGI::WorkerPool::Error->new(Unavailable => q(The server's worker is stopping));
    $_->fail($error, worker_pool => 'Unavailable') for splice @{ $self->{queue} };
    kill KILL => map { (-$_, $_) } keys %{ $self->{children} } if %{ $self->{children} };
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Forks - run a closure in a fork of this process

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::WorkerPool::Forks;

    my $forks = PAGI::WorkerPool::Forks->new(max_workers => 4, timeout => 10);
    my $app = sub {
        my ($scope, $receive, $send) = @_;
        return $forks->run(sub { my ($n) = @_; my $sum = 0; $sum += $_ for 1 .. $n; $sum }, 1_000_000);
    };

=head1 DESCRIPTION

Behind C<run_blocking> of L<PAGI::WorkerPool> and of L<PAGI::Simple>. Each call forks this process. The code may be a closure and sees everything as it was
at the call; what it changes stays in its process, which leaves without destructors and C<END> blocks. All descriptors but the standard three are
closed there, so open database handles and sockets inside the code. Handles of L<DBI> that were open have C<InactiveDestroy> set there: that
they go away does not disturb the parent's.

Results, and exceptions, are data that L<Storable> can carry; exception objects that it cannot carry arrive as strings.

Needs L<Future::IO> with an implementation, as the server provides it.

=head1 METHODS

=head2 new

=over 4

=item max_workers

Processes at the same time, default 4. Further calls wait.

=item queue_limit

Calls that may wait, default 100.

=item timeout

Seconds a call may run, default 30; 0 for no limit. Then its process, and what that started, is killed.

=back

Croaks C<Unknown options: ...>.

=head2 run

    my $future = $forks->run($code, @arguments);

A L<Future> of what the code returned in list context. It fails with the exception of the code, or with a L<PAGI::WorkerPool::Error> of code
C<Backpressure> (too many wait), C<Timeout>, C<WorkerDied>, C<NotSerializable> or C<Unavailable> (stopped). Cancelling it kills the process.

=head2 stats

A hashref of C<workers>, C<busy>, C<queue_depth>, C<queue_limit>.

=head2 stop

Ends all processes; waiting calls fail.

=cut
