package PAGI::Native::FutureIO;
use strict;
use warnings;

our $VERSION = '0.001';

use parent 'Future::IO::ImplBase';

use PAGI::Native::Children;
use PAGI::Native::Future;

sub sleep {
    my (undef, $seconds) = @_;
    my $future = PAGI::Native::Future->new;
    my $timer = PAGI::Native::timer($seconds, sub { $future->done unless $future->is_ready });
    # FIO-6: a cancelled Future leaves nothing behind in the loop.
    $future->on_cancel(sub { PAGI::Native::cancel_timer($timer) });
    return $future;
}

sub alarm {
    my ($class, $epoch) = @_;
    require Time::HiRes;
    return $class->sleep($epoch - Time::HiRes::time());
}

# Futures waiting for a descriptor, by direction (0 read, 1 write) and number. They are served one per readiness, in
# order: each will try to read or write, and the next one's turn comes with the next readiness.
my @waiting = ({}, {});
my @of_the_parent;
my $era = 0;

sub ready_for_read { return _ready(0, $_[1]) }
sub ready_for_write { return _ready(1, $_[1]) }

# Future::IO's newer interface: wait for poll(2) events.
sub poll {
    my ($class, $fh, $events) = @_;
    require IO::Poll;
    my $write = $events & (IO::Poll::POLLOUT() | IO::Poll::POLLHUP() | IO::Poll::POLLERR());
    my $read = $events & (IO::Poll::POLLIN() | IO::Poll::POLLPRI());
    my @any = (
        ($read ? _ready(0, $fh)->then(sub { Future->done($read) }) : ()),
        ($write ? _ready(1, $fh)->then(sub { Future->done($write) }) : ()),
    );
    return @any == 1 ? $any[0] : Future->wait_any(@any);
}

sub _ready {
    my ($direction, $fh) = @_;
    my $fd = fileno $fh;
    return Future->fail("the file handle is not open\n", poll => $fh) unless defined $fd && $fd >= 0;
    if (PAGI::Native::era() != $era) {
        # In a forked child: what the parent waits for is kept, because its destructors are not for this process.
        push @of_the_parent, @waiting;
        @waiting = ({}, {});
        $era = PAGI::Native::era();
    }
    my $queue = $waiting[$direction]{$fd} //= { futures => [] };
    my $future = PAGI::Native::Future->new;
    push @{$queue->{futures}}, $future;
    $queue->{watch} //= PAGI::Native::watch($fd, $direction, sub { _serve($direction, $fd) });
    $future->on_cancel(sub { _prune($direction, $fd) });
    return $future;
}

sub _serve {
    my ($direction, $fd) = @_;
    my $queue = $waiting[$direction]{$fd} or return;
    my $next = shift @{$queue->{futures}};
    _prune($direction, $fd);
    $next->done if $next && !$next->is_ready;
    return;
}

sub _prune {
    my ($direction, $fd) = @_;
    my $queue = $waiting[$direction]{$fd} or return;
    # While its on_cancel callbacks run a Future is cancelled, but not ready yet.
    @{$queue->{futures}} = grep { !$_->is_ready && !$_->is_cancelled } @{$queue->{futures}};
    return if @{$queue->{futures}};
    delete $waiting[$direction]{$fd};
    PAGI::Native::unwatch($queue->{watch});
    return;
}

sub waitpid {
    my (undef, $pid) = @_;
    my $future = PAGI::Native::Future->new;
    my $watch = PAGI::Native::Children::watch($pid, sub { $future->done($_[1]) unless $future->is_ready });
    $future->on_cancel(sub { PAGI::Native::Children::unwatch($watch) });
    return $future;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::FutureIO - Future::IO on the worker's own loop

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use Future::IO;

    # Nothing to choose: inside pagi-server this implementation is in place before the application is compiled.
    async sub app {
        my ($scope, $receive, $send) = @_;
        await Future::IO->sleep(1);
        await $send->({ type => 'http.response.start', status => 200 });
        await $send->({ type => 'http.response.body', body => "a second later\n" });
    }

=head1 DESCRIPTION

The implementation of L<Future::IO> that the server installs: C<sleep>, C<alarm>, C<sysread>, C<syswrite>, C<connect>,
C<accept>, C<waitpid>, and C<poll> of the newer interface. Its Futures may be waited for with C<get> inside a handler:
the loop goes on and other requests are served meanwhile.

Cancelling a Future removes its timer or watch.

=cut
