package PAGI::Native::MojoReactor;
use strict;
use warnings;

our $VERSION = '0.001';

# MOJO_REACTOR reaches programs that the application runs; there Mojolicious takes a reactor of its own.
BEGIN { defined &PAGI::Native::turn or die "PAGI::Native::MojoReactor only works inside pagi-server\n" }

use Carp ();
use Scalar::Util ();

use PAGI::Native::MojoPromise;

use parent 'Mojo::Reactor';

# Beyond this depth a tick that has callbacks to run leaves the rest of the loop alone every other time, so that
# handlers which tick do not pile up on each other.
use constant DEEP => 4;

sub again {
    my ($self, $id, $after) = @_;
    my $timer = $self->{timers}{$id} or Carp::croak('Timer not active');
    $timer->{after} = $after if defined $after;
    PAGI::Native::cancel_timer($timer->{number});
    $self->_arm($id);
    return;
}

sub io {
    my ($self, $handle, $code) = @_;
    my $fd = _descriptor($handle);
    $self->_unwatch($self->{io}{$fd}) if $self->{io}{$fd};
    $self->{io}{$fd} = { code => $code, watches => [] };
    return $self->watch($handle, 1, 1);
}

sub is_running { return !!$_[0]{running} }

# Each is deferred by itself: when one of them runs a nested turn, those after it run there.
sub next_tick {
    my ($self, $code) = @_;
    my $id = ++$self->{last_tick};
    $self->{next_tick}{$id} = $code;
    Scalar::Util::weaken(my $weak = $self);
    PAGI::Native::later(sub { $weak->_tick($id) if $weak });
    return undef;
}

sub one_tick {
    my ($self) = @_;
    local $self->{running} = 1 unless $self->{running};
    if (%{$self->{next_tick} || {}} && PAGI::Native::depth() >= DEEP && !$self->{passed_over}) {
        $self->{passed_over} = 1;
        $self->_tick($_) for sort { $a <=> $b } keys %{$self->{next_tick}};
        return;
    }
    delete $self->{passed_over};
    PAGI::Native::turn(undef);
    return;
}

sub recurring { my $self = shift; return $self->_timer(1, @_) }

sub remove {
    my ($self, $remove) = @_;
    if (ref $remove) {
        my $io = delete $self->{io}{_descriptor($remove)} or return !!0;
        $self->_unwatch($io);
        return !!1;
    }
    my $timer = delete $self->{timers}{$remove} or return !!0;
    PAGI::Native::cancel_timer($timer->{number});
    return !!1;
}

sub reset {
    my ($self) = @_;
    $self->_unwatch($_) for values %{$self->{io} || {}};
    PAGI::Native::cancel_timer($_->{number}) for values %{$self->{timers} || {}};
    delete @$self{qw(events io next_tick passed_over running timers)};
    return;
}

sub start {
    my ($self) = @_;
    local $self->{running} = ($self->{running} || 0) + 1;
    while ($self->{running}) {
        # As every reactor does: with nothing to wait for, it stops by itself.
        last unless %{$self->{timers} || {}} || %{$self->{io} || {}} || %{$self->{next_tick} || {}};
        $self->one_tick;
    }
    return;
}

sub stop { delete $_[0]{running}; return }

sub timer { my $self = shift; return $self->_timer(0, @_) }

sub watch {
    my ($self, $handle, @wanted) = @_;
    my $fd = _descriptor($handle);
    my $io = $self->{io}{$fd} or Carp::croak('I/O watcher not active');
    Scalar::Util::weaken(my $weak = $self);
    for my $direction (0, 1) {
        my $number = $io->{watches}[$direction];
        if ($wanted[$direction]) {
            $io->{watches}[$direction] //= PAGI::Native::watch($fd, $direction, sub {
                $weak->_try('I/O watcher', $io->{code}, $direction) if $weak;
            });
        }
        elsif (defined $number) {
            PAGI::Native::unwatch($number);
            undef $io->{watches}[$direction];
        }
    }
    return $self;
}

sub DESTROY {
    my ($self) = @_;
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
    $self->reset;
    return;
}

sub _descriptor {
    my ($handle) = @_;
    return fileno($handle) // Carp::croak('Handle is closed');
}

sub _unwatch {
    my (undef, $io) = @_;
    PAGI::Native::unwatch($_) for grep { defined } @{$io->{watches}};
    # Its callbacks hold it.
    $io->{watches} = [];
    return;
}

sub _timer {
    my ($self, $recurring, $after, $code) = @_;
    my $id = 'pagi:' . ++$self->{last_timer};
    $self->{timers}{$id} = { after => $after, code => $code, recurring => $recurring };
    $self->_arm($id);
    return $id;
}

sub _arm {
    my ($self, $id) = @_;
    Scalar::Util::weaken(my $weak = $self);
    $self->{timers}{$id}{number} = PAGI::Native::timer($self->{timers}{$id}{after} || 0, sub { $weak->_fire($id) if $weak });
    return;
}

sub _fire {
    my ($self, $id) = @_;
    my $timer = $self->{timers}{$id} or return;
    if ($timer->{recurring}) { $self->_arm($id) }
    else { delete $self->{timers}{$id} }
    $self->_try('Timer', $timer->{code}) if $timer->{code};
    return;
}

sub _tick {
    my ($self, $id) = @_;
    my $code = delete $self->{next_tick}{$id} or return;
    $self->_try('Next tick', $code);
    return;
}

sub _try {
    my ($self, $what, $code, @arguments) = @_;
    eval { $self->$code(@arguments); 1 } or $self->emit(error => "$what failed: $@");
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::MojoReactor - Mojo::IOLoop on the worker's own loop

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use Mojo::UserAgent;

    # Nothing to choose: inside pagi-server this is the reactor of Mojo::IOLoop.
    async sub app {
        my ($scope, $receive, $send) = @_;
        my $ua = Mojo::UserAgent->new;
        my $tx = await $ua->get_p('http://127.0.0.1:8080/');
        await $send->({ type => 'http.response.start', status => $tx->result->code });
        await $send->({ type => 'http.response.body', body => $tx->result->body });
    }

=head1 DESCRIPTION

The L<Mojo::Reactor> that C<Mojo::IOLoop> takes inside the server (the environment variable C<MOJO_REACTOR> names it), so
that C<Mojo::IOLoop>, C<Mojo::UserAgent>, C<Mojo::Promise> and C<Mojo::IOLoop::Subprocess> run on the loop that serves
requests. Every C<Mojo::IOLoop> object stands on that one loop.

The loop turns always; C<is_running> is nevertheless true only inside C<start> and C<one_tick>, so that a handler may
call them, and may use C<Mojo::UserAgent> in its blocking form: other requests are served meanwhile. Prefer C<await>,
because blocking calls of several handlers nest, and the first can only return after the last.

C<one_tick> returns after anything has happened on the worker's loop, whoever waited for it. A C<next_tick> callback
that dies is reported as an C<error> event, as those of timers are.

=cut
