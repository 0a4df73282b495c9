package PAGI::Native::Children;
use strict;
use warnings;

our $VERSION = '0.001';

use POSIX ();

use PAGI::Native::Signals;

# The number of pidfd_open(2), the same on every architecture of Linux but one.
use constant SYS_PIDFD_OPEN => 434;

# By number: { pid, code, era, fd, readable }.
my %watched;
my $last_id = 0;

# A loop that reaps every child by itself (libev does) has to be asked for them: code that takes process id and callback
# and returns an object that holds the watch.
our $through;

my $on_child_signal;

# Every adapter waits for children here. Only those that somebody waits for are reaped: others are not ours (BIND-4).
sub watch {
    my ($pid, $code) = @_;
    _forget_the_parent();
    my $id = ++$last_id;
    my $watch = $watched{$id} = { pid => $pid, code => $code, era => PAGI::Native::era() };
    if ($through) {
        $watch->{through} = $through->($pid, \&_deliver);
        return $id;
    }
    # A descriptor that becomes readable when the process ends cannot be missed, whatever becomes of $SIG{CHLD}.
    my $fd = $pid > 0 ? _open($pid) : undef;
    if (defined $fd) {
        $watch->{fd} = $fd;
        $watch->{readable} = PAGI::Native::watch($fd, 0, sub { _reap($pid) });
    }
    else {
        $on_child_signal ||= PAGI::Native::Signals::watch(CHLD => \&_reap_all);
        # It may have ended before anybody listened.
        PAGI::Native::later(\&_reap_all);
    }
    return $id;
}

sub unwatch {
    my ($id) = @_;
    my $watch = delete $watched{$id} or return;
    if (defined $watch->{fd} && $watch->{era} == PAGI::Native::era()) {
        PAGI::Native::unwatch($watch->{readable});
        POSIX::close($watch->{fd});
    }
    if ($on_child_signal && !grep { !defined $_->{fd} && !$_->{through} } values %watched) {
        PAGI::Native::Signals::unwatch($on_child_signal);
        undef $on_child_signal;
    }
    return;
}

sub _open {
    my ($pid) = @_;
    local $!;
    my $fd = syscall SYS_PIDFD_OPEN, $pid, 0;
    return $fd >= 0 ? $fd : undef;
}

# ( process id, status ) of a child that has ended, or nothing. Callbacks run outside of this: an `exit` in one of them
# has to keep its status, which is in $?.
sub _wait {
    my ($pid) = @_;
    local ($!, $?);
    my $ended = waitpid $pid, POSIX::WNOHANG();
    return if $ended == 0;
    return $ended > 0 ? ($ended, $?) : ($ended, -1);
}

sub _reap {
    my ($pid) = @_;
    my ($ended, $status) = _wait($pid);
    # Reaped by somebody else: that it has ended is all that is known.
    _deliver($pid, $status) if defined $ended;
    return;
}

sub _reap_all {
    my $era = PAGI::Native::era();
    my %pids = map { $_->{pid} => 1 } grep { $_->{era} == $era && !defined $_->{fd} } values %watched;
    my $any = delete $pids{0};
    _reap($_) for sort { $a <=> $b } keys %pids;
    return unless $any;
    while (1) {
        my ($ended, $status) = _wait(-1);
        last unless defined $ended && $ended > 0;
        _deliver($ended, $status);
    }
    return;
}

sub _deliver {
    my ($pid, $status) = @_;
    my @ids = sort { $a <=> $b } grep { $watched{$_}{pid} == $pid || $watched{$_}{pid} == 0 } keys %watched;
    for my $id (@ids) {
        my $watch = $watched{$id} or next;
        unwatch($id) if $watch->{pid};
        $watch->{code}->($pid, $status);
    }
    return;
}

# In a child that the application forked, the parent's children are siblings, which nobody can wait for.
my @of_the_parent;

sub _forget_the_parent {
    my $era = PAGI::Native::era();
    for my $id (keys %watched) {
        next if $watched{$id}{era} == $era;
        my $watch = delete $watched{$id};
        POSIX::close($watch->{fd}) if defined $watch->{fd};
        push @of_the_parent, $watch;
        undef $on_child_signal;
    }
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::Children - the ends of child processes

=head1 SYNOPSIS

    my $pid = fork // die "fork: $!";
    exec 'make' or die if !$pid;
    PAGI::Native::Children::watch($pid, sub { my ($pid, $status) = @_; print "make: $status\n" });

=head1 DESCRIPTION

All event loop adapters wait for child processes through these functions, so that L<Future::IO>, L<IO::Async> and
L<AnyEvent> may each wait for children of their own, and for the same one. Children that nobody waits for here are left
to C<waitpid>, C<system> and the like.

=head2 watch

    my $id = PAGI::Native::Children::watch($pid, $code);

Calls C<$code> once with the process id and C<$?> when the process has ended; the status is -1 when somebody else has
reaped it. With a process id of 0 it is called for every child that ends, and those are all reaped.

=head2 unwatch

    PAGI::Native::Children::unwatch($id);

=cut
