package PAGI::Native;
use strict;
use warnings;

our $VERSION = '0.001';

# True while the application is loaded: what is made now may be shared by all workers that are forked later.
our $LOADING = 0;

use Scalar::Util ();

# Called once by the server, right after Perl has started and before any application code is compiled (FIO-1).
sub start {
    my ($lib_dir) = @_;
    # At the end: an installed PAGI-Tools, or an application's own copy of a module, wins.
    push @INC, $lib_dir unless grep { !ref && $_ eq $lib_dir } @INC;
    require PAGI::Native::Loader;
    _choose_futures();
    _wire_loops();
    return;
}

# Native Future methods are only used where Future is the pure-Perl class with the layout the server knows.
sub _choose_futures {
    if ($ENV{PAGI_FUTURE_XS}) {
        eval { require Future::XS; 1 } or die "PAGI_FUTURE_XS is set but Future::XS cannot be loaded: $@";
    }
    require Future;
    my $switch = $ENV{PAGI_FAST_FUTURES};
    return if defined $switch && !$switch;
    return unless _future_layout_is_known();
    use_fast_futures(map { Future->can($_) } qw(AWAIT_IS_READY AWAIT_GET AWAIT_NEW_DONE));
    return;
}

sub _future_layout_is_known {
    return 0 if $ENV{PERL_FUTURE_DEBUG} || $ENV{PERL_FUTURE_STRICT} || $Future::TIMES;
    my $pending = Future->new;
    my $done = Future->done('a', 'b');
    for ($pending, $done) {
        return 0 unless ref $_ eq 'Future' && Scalar::Util::reftype($_) eq 'HASH';
    }
    my $layout = join ',', sort keys %$pending;
    return 0 unless $layout eq 'callbacks,ready' && !$pending->{ready} && ref $pending->{callbacks} eq 'ARRAY';
    return 0 unless $done->{ready} && ref $done->{result} eq 'ARRAY' && "@{$done->{result}}" eq 'a b';
    my $failed = Future->fail('x');
    return 0 unless ref $failed->{failure} eq 'ARRAY' && $failed->{failure}[0] eq 'x';
    $pending->cancel;
    return 0 unless $pending->{ready} && $pending->{cancelled};
    return _await_layout_is_known();
}

# What `await` leaves in two Futures.
sub _await_layout_is_known {
    my ($inner, $outer, $calls) = (Future->new, Future->new, 0);
    my $code = sub { $calls++ };
    $inner->AWAIT_ON_READY($code);
    $outer->AWAIT_CHAIN_CANCEL($inner);
    my $callbacks = $inner->{callbacks};
    return 0 unless @$callbacks == 1 && @{ $callbacks->[0] } == 2 && $callbacks->[0][0] == 15 && $callbacks->[0][1] == $code;
    my ($revoke) = @{ $inner->{revoke_when_ready} || [] };
    return 0 unless ref $revoke eq 'ARRAY' && @$revoke == 2 && $revoke->[0] == $outer && ${ $revoke->[1] } == $inner;
    return 0 unless Scalar::Util::isweak($revoke->[0]) && Scalar::Util::isweak($revoke->[1]);
    return 0 unless $revoke->[1] == \$outer->{on_cancel}[0];
    $inner->done;
    return 0 unless join(',', sort keys %$inner) eq 'ready,result' && $calls == 1;
    return 0 unless $outer->{empty_on_cancel_slots} == 1 && !defined $outer->{on_cancel}[0];
    return Future->can('AWAIT_IS_CANCELLED') && Future->can('AWAIT_CLONE') ? 1 : 0;
}

# Each event loop library that is installed gets an adapter over the worker's own loop, chosen before the application
# can choose another (FIO-1, IOA-3).
sub _wire_loops {
    if (eval { require Future::IO; 1 }) {
        require PAGI::Native::FutureIO;
        PAGI::Native::FutureIO->APPLY unless defined $Future::IO::IMPL;
    }
    # These libraries look when they make their first loop. Environment variables would win over the choice made here.
    delete @ENV{qw(IO_ASYNC_LOOP PERL_ANYEVENT_MODEL AE_MODEL)};
    no warnings 'once';
    $IO::Async::Loop::LOOP = 'PAGI::Native::IOAsyncLoop';
    # A model is taken when the package beside it has a version, which this one has.
    unshift @AnyEvent::REGISTRY, ['PAGI::Native' => 'AnyEvent::Impl::PAGI'];
    $ENV{MOJO_REACTOR} = 'PAGI::Native::MojoReactor';
    return;
}

# Another loop than the native one is to turn. Before the application is loaded.
sub use_foreign_loop {
    my ($name) = @_;
    require PAGI::Native::ForeignLoop;
    PAGI::Native::ForeignLoop::choose($name);
    return;
}

# Before the first read of an `fh` body (BODY-9, BODY-15).
sub prepare_handle {
    my ($fh, $offset) = @_;
    die "http.response.body 'fh' is not an open file handle\n" unless _is_open($fh);
    return unless defined $offset;
    seek $fh, $offset, 0 or die "http.response.body 'fh' cannot be positioned at $offset: $!\n";
    return;
}

sub _is_open {
    my ($fh) = @_;
    return 0 unless ref $fh || ref \$fh eq 'GLOB';
    if (Scalar::Util::blessed($fh) && $fh->can('opened')) {
        return $fh->opened ? 1 : 0;
    }
    my $glob = eval { *{$fh}{IO} };
    return 1 if defined $glob && tied *$fh;
    return 1 if Scalar::Util::blessed($fh) && $fh->can('read');
    return Scalar::Util::openhandle($fh) ? 1 : 0;
}

# The next block of an `fh` body; the empty string at its end. Through Perl, so that layers, buffered data, ties and
# in-memory files count (BODY-14).
sub read_handle {
    my ($fh, $length) = @_;
    my $block = '';
    my $read = Scalar::Util::blessed($fh) && !Scalar::Util::openhandle($fh)
        ? $fh->read($block, $length)
        : read $fh, $block, $length;
    die "http.response.body 'fh' cannot be read: $!\n" unless defined $read;
    return $block;
}

sub fail_future {
    my ($future, $message) = @_;
    $future->fail("$message\n") unless $future->is_ready;
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native - the Perl side of the native server

=head1 SYNOPSIS

    # inside a worker; applications use Future::IO, IO::Async and friends instead
    my $timer = PAGI::Native::timer(0.5, sub { print "half a second later\n" });

=head1 DESCRIPTION

The server calls C<start> when its Perl interpreter comes up. The other functions are the narrow boundary between Perl
and the worker's event loop; event loop adapters (L<PAGI::Native::FutureIO>, L<PAGI::Native::IOAsyncLoop>,
L<PAGI::Native::MojoReactor>, L<AnyEvent::Impl::PAGI>) are built on
them. Applications have no need to call any of this directly. The functions exist only inside C<pagi-server>.

=head1 FUNCTIONS

=head2 timer

    my $id = PAGI::Native::timer($seconds, $code);

Calls C<$code> without arguments once, C<$seconds> (a number, fractions allowed) from now on the monotonic clock. Returns
the timer's number.

=head2 cancel_timer

    PAGI::Native::cancel_timer($id);

Forgets a timer. One that has fired is no error.

=head2 watch

    my $id = PAGI::Native::watch($fd, $direction, $code);

Calls C<$code> whenever the descriptor number C<$fd> is readable (direction 0), writable (1) or hung up (2), beside
earlier watches of the same descriptor. Returns the watch's number. Dies when the descriptor cannot be watched.

=head2 unwatch

    PAGI::Native::unwatch($id);

Ends a watch. One that has ended is no error.

=head2 later

    PAGI::Native::later($code);

Calls C<$code> in the next turn of the loop.

=head2 turn

    PAGI::Native::turn($seconds);

Runs one turn of the loop: until something has happened, and for at most C<$seconds> (undef: no limit). Legal inside a
handler: other requests are served meanwhile. Requests that arrive are started in nested turns up to a depth of 4; at a
depth of 200 the function dies.

=head2 depth

    my $depth = PAGI::Native::depth();

How many turns are nested in each other.

=head2 era, post_fork

A child that the application forks begins with an empty loop, and with another C<era>. C<post_fork> gives such a child
everything its parent waits for, for programs that go on in both processes.

=head2 claim_signal, release_signal

Keep and restore how the process itself handles a signal, by number, while Perl code handles it
(L<PAGI::Native::Signals>).

=head2 now

    my $seconds = PAGI::Native::now();

Seconds on the monotonic clock since some fixed moment.

=head2 due_in

    my $seconds = PAGI::Native::due_in();

Seconds until the next timer or deferred call is due; undef when there is none.

=head2 put_job

    my $queued = PAGI::Native::put_job($fd);

Puts one end of a stream, a descriptor number, into the queue of the pool; false when the queue is full. The first byte that the other end reads is
C<+>: a pool process has taken it. L<PAGI::WorkerPool> is built on it. Dies where there is no pool.

=head2 jobs_wait

    my $depth = PAGI::Native::jobs_wait($change);

Counts jobs of this worker that began (1) or ceased (-1) to wait; 0 changes nothing. Returns how many jobs and requests of all workers wait, undef where
there is no pool.

=head2 pool_size, pool_limit

How many pool processes the server keeps, and how much may wait for them. Undef where there is no pool, 0 in a pool process.

=head2 start, use_foreign_loop, prepare_handle, read_handle, fail_future, use_fast_futures

Called by the server.

=head1 ENVIRONMENT

=over 4

=item PAGI_FAST_FUTURES

C<0> switches the native implementation of some C<Future> methods (those that C<await> calls) off. They are used only when C<Future> is the
pure-Perl class with a known layout.

=item PAGI_FUTURE_XS

A true value requires L<Future::XS>.

=back

=cut
