# What AnyEvent promises of an event model, and what stands on it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use AnyEvent;
use AnyEvent::HTTP;
use AnyEvent::Handle;
use AnyEvent::Socket;
use AnyEvent::Util;
use Future;
use Future::AsyncAwait;
use Future::IO;
use IO::Async::Loop;
use Socket;
use Tap;
use Test::More;

# A Future that a callback completes.
async sub _watched {
    my ($make) = @_;
    my $future = Future->new;
    my $watcher = $make->(sub { $future->done(@_) unless $future->is_ready });
    my @values = await $future;
    undef $watcher;
    return wantarray ? @values : $values[0];
}

sub _model {
    is AnyEvent::detect(), 'AnyEvent::Impl::PAGI', 'detected';
    cmp_ok abs(AE::now() - time), '<', 5, 'now';
    cmp_ok abs(AnyEvent->time - time), '<', 5, 'time';
    return;
}

async sub _timers {
    my @fired;
    my $never = AnyEvent->timer(after => 0.005, cb => sub { push @fired, 'never' });
    undef $never;
    my $early = AE::timer(0.005, 0, sub { push @fired, 'early' });
    await _watched(sub { my $code = shift; AnyEvent->timer(after => 0.02, cb => $code) });
    is "@fired", 'early', 'in order, and a timer given up does not fire';
    my $count = 0;
    my $began = AE::time;
    await _watched(sub { my $code = shift; AE::timer(0, 0.01, sub { $code->() if ++$count == 4 }) });
    is $count, 4, 'repeated';
    cmp_ok AE::time() - $began, '>=', 0.03, 'at the interval';
    my $after = $count;
    await _watched(sub { AE::timer(0.03, 0, $_[0]) });
    is $count, $after, 'and never again once given up';
    await _watched(sub { my $code = shift; AnyEvent::postpone { $code->() }; return });
    pass 'postponed';
    return;
}

async sub _io {
    socketpair my $one, my $two, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    await _watched(sub { AnyEvent->io(fh => $one, poll => 'w', cb => $_[0]) });
    pass 'writable';
    my @seen;
    my $first = AE::io($one, 0, sub { push @seen, 'first' });
    my $second = AE::io(fileno $one, 0, sub { push @seen, 'second' });
    syswrite $two, 'x';
    await _watched(sub { AE::io($one, 0, $_[0]) });
    is join(' ', @seen[0, 1]), 'first second', 'several watchers of one descriptor, by handle and by number';
    undef $first;
    @seen = ();
    await _watched(sub { AE::io($one, 0, $_[0]) });
    ok !(grep { $_ eq 'first' } @seen), 'a watcher given up is not called';
    ok +(grep { $_ eq 'second' } @seen), 'the other one is';
    return;
}

async sub _signals_and_children {
    my @seen;
    my $other = AE::signal(USR1 => sub { push @seen, 'other' });
    my $loop = IO::Async::Loop->new;
    my $attached = $loop->attach_signal(USR1 => sub { push @seen, 'IO::Async' });
    await _watched(sub { my $watcher = AnyEvent->signal(signal => 'USR1', cb => $_[0]); kill USR1 => $$; $watcher });
    is join(' ', sort @seen), 'IO::Async other', 'all who watch a signal are told';
    $loop->detach_signal(USR1 => $attached);
    undef $other;

    my %ended;
    my $waiting = $loop->new_future;
    my @children = map { my $status = $_; fork // die("fork: $!") or exit $status } 1 .. 3;
    my $anyevent = AnyEvent->child(pid => $children[0], cb => sub { $ended{AnyEvent} = $_[1] >> 8 });
    $loop->watch_process($children[1] => sub { $ended{'IO::Async'} = $_[1] >> 8; $waiting->done });
    my $status = await Future::IO->waitpid($children[2]);
    $ended{'Future::IO'} = $status >> 8;
    await $waiting;
    await Future::IO->sleep(0.01) until defined $ended{AnyEvent};
    is_deeply \%ended, { AnyEvent => 1, 'IO::Async' => 2, 'Future::IO' => 3 }, 'each library waits for a child of its own';

    my $child = fork // die "fork: $!";
    exit 5 if !$child;
    my $twice = Future->needs_all(
        Future::IO->waitpid($child),
        _watched(sub { my $code = shift; AE::child($child, sub { $code->($_[1]) }) }),
    );
    my @statuses = await $twice;
    is_deeply \@statuses, [5 << 8, 5 << 8], 'two libraries wait for one child';

    $child = fork // die "fork: $!";
    exit 6 if !$child;
    my ($pid, $any) = await _watched(sub { AE::child(0, $_[0]) });
    is "$pid " . ($any >> 8), "$child 6", 'any child';
    return;
}

async sub _condvars {
    my $condvar = AE::cv;
    my $timer = AE::timer(0.01, 0, sub { $condvar->send('one', 'two') });
    is join(' ', $condvar->recv), 'one two', 'recv turns the loop';
    my $outer = AE::cv;
    my $inner_value;
    my $nested = AE::timer(0.01, 0, sub {
        my $inner = AE::cv;
        my $later = AE::timer(0.01, 0, sub { $inner->send('inner') });
        $inner_value = $inner->recv;
        $outer->send('outer');
    });
    is $outer->recv, 'outer', 'recv inside of recv';
    is $inner_value, 'inner', 'the inner one';
    my $failing = AE::cv;
    my $croak = AE::timer(0, 0, sub { $failing->croak("it failed") });
    ok !eval { $failing->recv; 1 }, 'croak';
    like $@, qr/^it failed/, 'its message';
    my $all = AE::cv;
    my @timers = map { $all->begin; AE::timer(0.005 * $_, 0, sub { $all->end }) } 1 .. 3;
    $all->recv;
    pass 'begin and end';
    await Future->done;
    return;
}

async sub _idle {
    my $count = 0;
    await _watched(sub { my $code = shift; AnyEvent->idle(cb => sub { $code->() if ++$count == 3 }) });
    is $count, 3, 'idle watchers are called again and again';
    return;
}

async sub _sockets {
    my ($scope) = @_;
    my $guard = tcp_server '127.0.0.1', undef, sub {
        my ($fh) = @_;
        my $handle;
        $handle = AnyEvent::Handle->new(fh => $fh, on_error => sub { undef $handle });
        $handle->push_read(line => sub { $handle->push_write("you said $_[1]\n") });
    }, sub { my ($fh, $host, $port) = @_; $main::port = $port; 0 };
    my $line = await _watched(sub {
        my $code = shift;
        tcp_connect '127.0.0.1', $main::port, sub {
            my $handle = AnyEvent::Handle->new(fh => $_[0]);
            $handle->push_write("hello\n");
            $handle->push_read(line => sub { $code->($_[1]); $handle->destroy });
        };
    });
    is $line, 'you said hello', 'tcp_server, tcp_connect and AnyEvent::Handle';
    my ($body, $headers)
        = await _watched(sub { http_get("http://127.0.0.1:$scope->{server}[1]/plain", $_[0]) });
    is $headers->{Status}, 200, 'AnyEvent::HTTP';
    is $body, 'plain', 'from this very server';
    my $forked = await _watched(sub { my $code = shift; fork_call { return 6 * 7 } $code; return });
    is $forked, 42, 'fork_call';
    my $output = '';
    my $status = run_cmd([qw(sh -c), 'echo out; exit 4'], '>' => \$output)->recv;
    is $output . ($status >> 8), "out\n4", 'run_cmd';
    return;
}

tap_app(
    model    => \&_model,
    timers   => \&_timers,
    io       => \&_io,
    signals  => \&_signals_and_children,
    condvars => \&_condvars,
    idle     => \&_idle,
    sockets  => \&_sockets,
);
