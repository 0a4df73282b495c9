package PAGI::WorkerPool::Line;

use strict;
use warnings;

our $VERSION = '0.001';

use PAGI::WorkerPool::Key;
use PAGI::WorkerPool::Seat;

# Waits this long when the queue was full although there was room for the job when it came: another worker was faster.
my $AGAIN = 0.02;

# The jobs of this worker that are not in the server's queue yet, which knows no order but that of arrival. As many as
# there are processes are put into it at a time, so that those keep busy and the rest can still be overtaken.
my $line;

sub of_this_worker {
    my ($class) = @_;
    $line = undef if $line && $line->{pid} != $$;
    return $line ||= bless { pid => $$, waiting => [], put => 0, lanes => {}, seated => {}, number => 0 }, $class;
}

# False when as much waits as may (WP-7).
sub enter {
    my ($self, $job) = @_;
    return 0 if PAGI::Native::jobs_wait(0) >= PAGI::Native::pool_limit();
    $job->{number} = ++$self->{number};
    if ($job->is_direct) {
        # In the server's queue it outlives this worker (WP-9), so it does not wait here.
        return 0 unless $job->put;
        PAGI::Native::jobs_wait(1);
        return 1;
    }
    PAGI::Native::jobs_wait(1);
    if (defined $job->{key}) {
        my $lane = $self->{lanes}{ $job->lane } ||= [];
        push @$lane, $job;
        return 1 if @$lane > 1;
    }
    $self->_wait($job);
    return 1;
}

# Where its priority puts it; of equals the older one comes first.
sub _wait {
    my ($self, $job) = @_;
    my $waiting = $self->{waiting};
    my $at = @$waiting;
    $at-- while $at > 0 && _is_before($job, $waiting->[ $at - 1 ]);
    splice @$waiting, $at, 0, $job;
    return $self->_advance;
}

sub _is_before {
    my ($job, $other) = @_;
    return ($other->{priority} <=> $job->{priority} || $job->{number} <=> $other->{number}) < 0;
}

sub _advance {
    my ($self) = @_;
    while ($self->{put} < PAGI::Native::pool_size()) {
        my $at = $self->_next // last;
        my $job = splice @{ $self->{waiting} }, $at, 1;
        # It counts as waiting already, and would not find room for itself.
        PAGI::Native::jobs_wait(-1);
        my $put = eval { $job->put };
        my $error = $@;
        PAGI::Native::jobs_wait(1);
        if (!defined $put) {
            $job->unavailable($error);
            next;
        }
        if (!$put) {
            splice @{ $self->{waiting} }, $at, 0, $job;
            $self->{again} ||= PAGI::Native::timer($AGAIN, sub { delete $self->{again}; $self->_advance });
            last;
        }
        $self->{put}++;
        $self->_sit_down($job);
    }
    return;
}

# The place of the first job whose pool has a process left for this worker.
sub _next {
    my ($self) = @_;
    my $waiting = $self->{waiting};
    for my $at (0 .. $#$waiting) {
        my $pool = $waiting->[$at]{pool};
        my $limit = $pool->workers or return $at;
        return $at if ($self->{seated}{ $pool->name } // 0) < $limit;
    }
    return undef;
}

# WP-3: of a pool with a size of its own no more jobs are under way than may run. The pool processes see to what other workers ask for.
sub _sit_down {
    my ($self, $job) = @_;
    return unless $job->{pool}->workers;
    $job->{is_seated} = 1;
    $self->{seated}{ $job->{pool}->name }++;
    return;
}

sub _stand_up {
    my ($self, $job) = @_;
    return 0 unless delete $job->{is_seated};
    $self->{seated}{ $job->{pool}->name }--;
    return 1;
}

# A process has it.
sub taken {
    my ($self, $job) = @_;
    PAGI::Native::jobs_wait(-1);
    return if $job->is_direct;
    $self->{put}--;
    return $self->_advance;
}

# It is given up before a process had it.
sub left {
    my ($self, $job, $was_put) = @_;
    PAGI::Native::jobs_wait(-1);
    return if $job->is_direct;
    if ($was_put) { $self->{put}-- }
    else          { @{ $self->{waiting} } = grep { $_ != $job } @{ $self->{waiting} } }
    return $self->_advance;
}

# It is over, however: the next one with its key, and the next one of its pool, may come.
sub over {
    my ($self, $job) = @_;
    $self->_advance if $self->_stand_up($job);
    return unless defined $job->{key};
    my $name = $job->lane;
    my $lane = $self->{lanes}{$name} or return;
    my $was_first = @$lane && $lane->[0] == $job;
    @$lane = grep { $_ != $job } @$lane;
    delete $self->{lanes}{$name} unless @$lane;
    $self->_wait($lane->[0]) if $was_first && @$lane;
    return;
}

# The key of this job, or its pool, is in use by other workers' jobs: it waits again, at its old place.
sub wait_outside {
    my ($self, $job, $what) = @_;
    PAGI::Native::jobs_wait(1);
    my $pool = $job->{pool};
    my $obstacle = $what eq 'seat' ? PAGI::WorkerPool::Seat->new($pool->name, $pool->workers) : PAGI::WorkerPool::Key->new($pool->name, $job->{key});
    $obstacle->when_free(sub { $self->_wait($job) if $job->is_held });
    $self->_advance if $self->_stand_up($job);
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Line - where jobs of a worker wait for their turn

=head1 SYNOPSIS

    # what PAGI::WorkerPool::Job does
    my $line = PAGI::WorkerPool::Line->of_this_worker;
    my $is_waiting = $line->enter($self);

=head1 DESCRIPTION

The queue between workers and pool processes is the kernel's and knows no order but that of arrival. So a worker puts only as many jobs into it at a time
as there are pool processes, and of a pool with C<workers> no more than those, and keeps the others here, by priority and key. Works inside a worker of C<pagi-server> only.

=head1 METHODS

=head2 of_this_worker

The one line of this process.

=head2 enter

Takes a L<PAGI::WorkerPool::Job>. False when the queue is full.

=head2 taken, left, over

The job's news: a process has it; it was given up before (true, if it was in the server's queue already); it is over.

=head2 wait_outside

    $line->wait_outside($job, 'seat');

A process has said that others are busy with the key of the job (C<key>), or with as many jobs of its pool as may run (C<seat>).

=cut
