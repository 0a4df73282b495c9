package PAGI::WorkerPool::Ending;

use strict;
use warnings;

our $VERSION = '0.001';

# Those whose time is running.
my %pending;

# The end of the process of a job that is given up. Holds the stream until that has come: its end is the end of the
# process, or of the job at least, and the process's number may not be used after that.
sub of {
    my ($class, %job) = @_;
    my $self = bless {%job}, $class;
    # A process that has not begun the job sees that nobody waits.
    shutdown $self->{stream}, 1;
    $self->{watch} = PAGI::Native::watch(fileno $self->{stream}, 0, sub { $self->_readable });
    return $self->{pid} ? $self->_kill : $self->_look_for_pid;
}

sub _readable {
    my ($self) = @_;
    my $read = sysread $self->{stream}, $self->{in}, 262_144, length $self->{in};
    return if !defined $read && ($!{EAGAIN} || $!{EINTR});
    return $self->_over unless $read;
    if ($self->{pid}) { $self->{in} = '' }
    else              { $self->_look_for_pid }
    return;
}

# It has just begun, and now says who it is.
sub _look_for_pid {
    my ($self) = @_;
    $self->{taken} ||= $self->{in} =~ s/\A\+//;
    return unless $self->{taken} && length $self->{in} >= 5;
    my ($type, $length) = unpack 'a N', $self->{in};
    return if $type ne 'P' || length $self->{in} < 5 + $length;
    my $pid = substr $self->{in}, 5, $length;
    return unless $pid =~ /\A[1-9][0-9]*\z/;
    $self->{pid} = $pid;
    return $self->_kill;
}

sub _kill {
    my ($self) = @_;
    kill TERM => $self->{pid};
    $pending{$self} = [ $$, $self->{pid} ];
    $self->{timer} = PAGI::Native::timer($self->{grace}, sub { kill KILL => $self->{pid}; $self->_over });
    return;
}

sub _over {
    my ($self) = @_;
    delete $pending{$self};
    PAGI::Native::unwatch(delete $self->{watch}) if $self->{watch};
    PAGI::Native::cancel_timer(delete $self->{timer}) if $self->{timer};
    close delete $self->{stream} if $self->{stream};
    return;
}

# A worker that leaves cannot wait any longer, and nobody else knows of it.
END {
    local $?;
    $_->[0] == $$ and kill KILL => $_->[1] for values %pending;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Ending - ends the process of a job

=head1 SYNOPSIS

    # what PAGI::WorkerPool::Job does after a time limit
    PAGI::WorkerPool::Ending->of(stream => $self->{stream}, in => $self->{in}, pid => $self->{pid}, grace => 2, taken => 1);

=head1 DESCRIPTION

SIGTERM, and after C<grace> seconds, or when this worker ends, SIGKILL, for the process of a job nobody waits for any more. A process that has only just taken the job either
notices that by itself and leaves it, or says its number and is ended then. Works inside a worker of C<pagi-server> only.

=head1 METHODS

=head2 of

Takes the C<stream> of the job, what was read from it (C<in>), the C<pid> if it is known, whether a process has C<taken> the job, and C<grace>.

=cut
