package AnyEvent::Impl::PAGI;
use strict;
use warnings;

our $VERSION = '0.001';

use AnyEvent ();
use Scalar::Util ();

use PAGI::Native::Children;
use PAGI::Native::Signals;

sub io {
    my (undef, %arg) = @_;
    my $fd = fileno $arg{fh};
    # AnyEvent takes bare descriptor numbers too.
    $fd = $arg{fh} unless defined $fd;
    return bless [PAGI::Native::watch($fd, $arg{poll} eq 'w' ? 1 : 0, $arg{cb})], 'AnyEvent::Impl::PAGI::Io';
}

sub AnyEvent::Impl::PAGI::Io::DESTROY {
    my ($self) = @_;
    PAGI::Native::unwatch($self->[0]);
    return;
}

sub timer {
    my (undef, %arg) = @_;
    my ($code, $interval) = @arg{qw(cb interval)};
    my $timer = bless [], 'AnyEvent::Impl::PAGI::Timer';
    my $after = $arg{after} || 0;
    if (!$interval) {
        $timer->[0] = PAGI::Native::timer($after, $code);
        return $timer;
    }
    Scalar::Util::weaken(my $weak = $timer);
    my $due = PAGI::Native::now() + $after;
    $timer->[1] = sub {
        my $current = $weak or return;
        # At even distances; ticks that a blocked loop has missed are left out.
        my $now = PAGI::Native::now();
        $due += $interval;
        $due = $now if $due < $now;
        $current->[0] = PAGI::Native::timer($due - $now, $current->[1]);
        $code->();
    };
    $timer->[0] = PAGI::Native::timer($after, $timer->[1]);
    return $timer;
}

sub AnyEvent::Impl::PAGI::Timer::DESTROY {
    my ($self) = @_;
    PAGI::Native::cancel_timer($self->[0]);
    return;
}

sub signal {
    my (undef, %arg) = @_;
    AnyEvent::Base::sig2name(0) if !defined &AnyEvent::Base::sig2name;
    my $watch = PAGI::Native::Signals::watch(AnyEvent::Base::sig2name($arg{signal}), $arg{cb});
    return bless [$watch], 'AnyEvent::Impl::PAGI::Signal';
}

sub AnyEvent::Impl::PAGI::Signal::DESTROY {
    my ($self) = @_;
    PAGI::Native::Signals::unwatch($self->[0]);
    return;
}

sub child {
    my (undef, %arg) = @_;
    my $code = $arg{cb};
    return bless [PAGI::Native::Children::watch($arg{pid}, sub { $code->(@_) })], 'AnyEvent::Impl::PAGI::Child';
}

sub AnyEvent::Impl::PAGI::Child::DESTROY {
    my ($self) = @_;
    PAGI::Native::Children::unwatch($self->[0]);
    return;
}

sub _poll {
    PAGI::Native::turn(undef);
    return;
}

# Handlers that wait inside each other are legal here: each nested turn goes on serving.
sub _wait {
    my ($condvar) = @_;
    local $AnyEvent::CondVar::Base::WAITING;
    PAGI::Native::turn(undef) until exists $condvar->{_ae_sent};
    return;
}

{
    no warnings 'redefine';
    *AnyEvent::CondVar::Base::_wait = \&_wait;
}

1;

__END__

=encoding UTF-8

=head1 NAME

AnyEvent::Impl::PAGI - AnyEvent on the worker's own loop

=head1 SYNOPSIS

    use AnyEvent;
    use Future::AsyncAwait;

    # Nothing to choose: inside pagi-server this is AnyEvent's event model.
    async sub app {
        my ($scope, $receive, $send) = @_;
        my $waited = Future->new;
        my $timer = AnyEvent->timer(after => 0.1, cb => sub { $waited->done });
        await $waited;
        await $send->({ type => 'http.response.start', status => 200 });
        await $send->({ type => 'http.response.body', body => "a moment later\n" });
    }

=head1 DESCRIPTION

The event model that AnyEvent detects inside the server, so that watchers, C<AnyEvent::Socket>, C<AnyEvent::Handle> and
C<AnyEvent::HTTP> run on the loop that serves requests. C<recv> on a condition variable inside a handler turns the loop;
other requests are served meanwhile, and several handlers may wait at once.

Signals and children are watched beside those of other libraries (L<PAGI::Native::Signals>, L<PAGI::Native::Children>).
Idle watchers are AnyEvent's own emulation: called from time to time, never more than half of the time.

Code that calls L<EV> directly is not reached by this: nobody turns libev's loop. Start the server with C<--loop EV> for
it.

The environment variable C<PERL_ANYEVENT_MODEL> is removed from the server's environment, because two loops in one
process would mean that one of them never turns (IOA-2).

=cut
