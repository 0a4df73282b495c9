# What Mojolicious promises of a reactor, and what stands on it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Future;
use Future::AsyncAwait;
use IO::Socket::INET;
use Mojo::IOLoop;
use Mojo::Promise;
use Mojo::Reactor::Poll;
use Mojo::UserAgent;
use Mojo::Util qw(steady_time);
use Socket;
use Tap;
use Test::More;

sub reactor { return Mojo::IOLoop->new->reactor }

sub pair {
    socketpair my $one, my $two, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    $_->blocking(0) for $one, $two;
    return ($one, $two);
}

sub _detected {
    is ref(Mojo::IOLoop->singleton->reactor), 'PAGI::Native::MojoReactor', 'the singleton has the native reactor';
    is ref(reactor()), 'PAGI::Native::MojoReactor', 'so have others';
    is(Mojo::Reactor::Poll->detect, 'PAGI::Native::MojoReactor', 'detected');
    isa_ok reactor(), 'Mojo::Reactor';
    ok !Mojo::IOLoop->is_running, 'a handler may start it';
    return;
}

sub _timers {
    my $reactor = reactor();
    my @fired;
    my $began = steady_time;
    $reactor->timer(0.6 => sub { push @fired, ref(shift) eq ref $reactor ? 'second' : 'not the reactor' });
    $reactor->timer(0 => sub { push @fired, 'first' });
    my $removed = $reactor->timer(0.01 => sub { push @fired, 'removed' });
    ok $reactor->remove($removed), 'removed';
    ok !$reactor->remove($removed), 'removed only once';
    ok !$reactor->remove('nothing'), 'an unknown timer';
    $reactor->start;
    is "@fired", 'first second', 'in order, and start returned by itself';
    cmp_ok steady_time - $began, '>=', 0.6, 'not early';

    my $count = 0;
    my $recurring = $reactor->recurring(0.005 => sub { my $self = shift; $self->stop if ++$count == 4 });
    $reactor->start;
    is $count, 4, 'recurring until stopped';
    ok $reactor->remove($recurring), 'a recurring timer is there until removed';
    my $quick = 0;
    my $without_pause = $reactor->recurring(0 => sub { $_[0]->stop if ++$quick == 10 });
    $reactor->start;
    is $quick, 10, 'recurring without pause';
    $reactor->remove($without_pause);

    my $late;
    $began = steady_time;
    my $again = $reactor->timer(0.05 => sub { $late = steady_time });
    $reactor->timer(0.03 => sub { $_[0]->again($again) });
    $reactor->start;
    cmp_ok $late - $began, '>=', 0.08, 'again starts the wait anew';
    my $sooner = $reactor->timer(60 => sub { $late = steady_time });
    $reactor->again($sooner, 0.01);
    $began = steady_time;
    $reactor->start;
    cmp_ok $late - $began, '<', 30, 'again with another delay';
    ok !eval { $reactor->again($sooner); 1 }, 'a timer that has fired cannot start again';
    like $@, qr/^Timer not active/, 'the error says so';
    return;
}

sub _io {
    my $reactor = reactor();
    my ($one, $two) = pair();
    my @seen;
    $reactor->io($one => sub { my ($self, $writable) = @_; push @seen, $writable; $self->stop });
    $reactor->start;
    is_deeply \@seen, [1], 'writable at once';
    $reactor->watch($one, 1, 0);
    @seen = ();
    $reactor->timer(0.02 => sub { shift->stop });
    $reactor->start;
    is_deeply \@seen, [], 'nothing to read';
    syswrite $two, 'x';
    $reactor->start;
    is_deeply \@seen, [0], 'readable';
    @seen = ();
    $reactor->start;
    is_deeply \@seen, [0], 'still readable: level-triggered';
    @seen = ();
    $reactor->watch($one, 1, 1);
    $reactor->start;
    is_deeply [sort @seen], [0, 1], 'both in one tick';
    $reactor->watch($one, 0, 0);
    @seen = ();
    $reactor->timer(0.02 => sub { shift->stop });
    $reactor->start;
    is_deeply \@seen, [], 'watched for nothing';
    my $other = '';
    $reactor->io($one => sub { $other .= $_[1]; $_[0]->stop })->watch($one, 1, 0);
    $reactor->start;
    is $other, '0', 'another callback replaces the first';
    ok $reactor->remove($one), 'removed';
    ok !$reactor->remove($one), 'removed only once';
    ok !eval { $reactor->watch($one, 1, 0); 1 }, 'not watched any more';
    like $@, qr{^I/O watcher not active}, 'the error says so';
    close $one;
    ok !eval { $reactor->io($one => sub { }); 1 }, 'a closed handle';
    like $@, qr/^Handle is closed/, 'the error says so';
    ok !eval { $reactor->remove($one); 1 }, 'a closed handle cannot be removed';
    like $@, qr/^Handle is closed/, 'the error says so';

    my ($left, $right) = pair();
    my $removed_in_time = 1;
    $reactor->io($_ => sub { my $self = shift; $self->remove($_) for $left, $right; $removed_in_time++; $self->stop })
        for $left, $right;
    $reactor->start;
    is $removed_in_time, 2, 'a callback removes the others of its tick';
    return;
}

sub _ticks {
    my $reactor = reactor();
    my @ran;
    is $reactor->next_tick(sub { push @ran, 'one'; $_[0]->next_tick(sub { push @ran, 'three' }) }), undef, 'no id';
    $reactor->next_tick(sub { push @ran, 'two' });
    $reactor->one_tick;
    is "@ran", 'one two', 'what a tick adds is for the next one';
    $reactor->start;
    is "@ran", 'one two three', 'start ends when nothing is left';
    ok !$reactor->is_running, 'not running';
    my @running;
    $reactor->next_tick(sub { push @running, $_[0]->is_running });
    $reactor->one_tick;
    $reactor->timer(0 => sub { push @running, $_[0]->is_running; $_[0]->stop });
    $reactor->start;
    is_deeply \@running, [1, 1], 'running inside';
    my $depth = 0;
    my $inner;
    $reactor->timer(0 => sub {
        my $self = shift;
        $self->timer(0.01 => sub { $depth++; $_[0]->stop });
        $self->start;
        $inner = $depth;
        $self->stop;
    });
    $reactor->start;
    is $inner, 1, 'start inside of start';
    my $fired = 0;
    $reactor->timer(0.02 => sub { $fired++ });
    my $ticks = 0;
    while (!$fired && $ticks < 100) { $reactor->one_tick; $ticks++ }
    is $fired, 1, 'one_tick waits for something to happen';
    return;
}

sub _errors {
    my $reactor = reactor();
    my @errors;
    $reactor->unsubscribe('error');
    $reactor->on(error => sub { my ($self, $error) = @_; push @errors, $error });
    $reactor->timer(0 => sub { die "in a timer\n" });
    $reactor->next_tick(sub { die "in a tick\n" });
    my ($one, $two) = pair();
    $reactor->io($one => sub { $_[0]->remove($one); die "in a watcher\n" });
    $reactor->start;
    is_deeply [sort @errors],
        ["I/O watcher failed: in a watcher\n", "Next tick failed: in a tick\n", "Timer failed: in a timer\n"], 'reported';
    return;
}

sub _reset_and_free {
    my $reactor = reactor();
    my $ran = 0;
    my ($one, $two) = pair();
    $reactor->io($one => sub { $ran++ });
    $reactor->timer(0 => sub { $ran++ });
    $reactor->next_tick(sub { $ran++ });
    $reactor->on(finish => sub { });
    $reactor->reset;
    ok !$reactor->has_subscribers('finish'), 'no subscribers';
    my $loop = Mojo::IOLoop->new;
    $loop->reactor->io($two => sub { $ran++ });
    $loop->recurring(0 => sub { $ran++ });
    undef $loop;
    my $waited = 0;
    Mojo::IOLoop->timer(0.03 => sub { $waited++; Mojo::IOLoop->stop });
    Mojo::IOLoop->start until $waited;
    is $ran, 0, 'nothing is left of a reset or freed reactor';
    return;
}

async sub _promises {
    my $value = await Mojo::Promise->timer(0.01, 'late');
    is $value, 'late', 'a promise';
    my @values = await Mojo::Promise->all(map { Mojo::Promise->timer(0.01, $_) } 1 .. 3);
    is_deeply \@values, [[1], [2], [3]], 'all of several';
    my $error = '';
    eval { await Mojo::Promise->reject("rejected\n"); 1 } or $error = $@;
    is $error, "rejected\n", 'a rejected promise';
    my $wait = async sub { await Mojo::Promise->timer(0.01); return $_[0] };
    my $one = $wait->('one');
    isa_ok $one, 'Future', 'what an async sub returns that awaits a promise';
    my @both = await Future->needs_all($one, $wait->('two'));
    is "@both", 'one two', 'Futures combine';
    is $wait->('got')->get, 'got', 'get turns the loop';
    my $cancelled = $wait->('never');
    $cancelled->cancel;
    ok $cancelled->is_cancelled, 'cancelled';
    my $mixed = async sub { await Future->done; await Mojo::Promise->timer(0.01); await Future->done('mixed') };
    is await($mixed->()), 'mixed', 'Futures and promises in one sub';
    my $waited = '';
    Mojo::Promise->timer(0.01, 'waited')->then(sub { $waited = shift })->wait;
    is $waited, 'waited', 'wait in a handler';
    my $promising = eval q{
        package Promising;
        use Mojo::Base -strict, -async_await;
        async sub { await Mojo::Promise->timer(0.01); return 'promised' };
    } or die $@;
    my $promise = $promising->();
    isa_ok $promise, 'Mojo::Promise', 'what an async sub returns that is compiled with -async_await';
    is await($promise), 'promised', 'and it can be awaited';
    return;
}

async sub _subprocess {
    my @results = await Mojo::IOLoop->subprocess->run_p(sub { return $$, 42 });
    isnt $results[0], $$, 'another process';
    is $results[1], 42, 'its result';
    my $error = '';
    eval { await Mojo::IOLoop->subprocess->run_p(sub { die "in the child\n" }); 1 } or $error = $@;
    is $error, "in the child\n", 'its exception';
    my $timed = await Mojo::IOLoop->subprocess->run_p(sub {
        my $fired = 0;
        Mojo::IOLoop->timer(0.01 => sub { $fired++; Mojo::IOLoop->stop });
        Mojo::IOLoop->start;
        return $fired;
    });
    is $timed, 1, 'a loop of its own in the child';
    my @progress;
    my $subprocess = Mojo::IOLoop->subprocess;
    $subprocess->on(progress => sub { push @progress, $_[1] });
    await $subprocess->run_p(sub { my $self = shift; $self->progress($_) for 1 .. 3; return });
    is "@progress", '1 2 3', 'progress';
    return;
}

async sub _server_and_client {
    my $seen = '';
    my $id = Mojo::IOLoop->server({ address => '127.0.0.1' } => sub {
        my ($loop, $stream) = @_;
        $stream->on(read => sub { $_[0]->write("you said $_[1]") });
    });
    my $answer = Mojo::Promise->new;
    Mojo::IOLoop->client({ address => '127.0.0.1', port => Mojo::IOLoop->acceptor($id)->port } => sub {
        my ($loop, $error, $stream) = @_;
        return $answer->reject($error) if $error;
        $stream->on(read => sub { $answer->resolve($_[1]) });
        $stream->write('hello');
    });
    is await($answer), 'you said hello', 'Mojo::IOLoop serves and connects';
    Mojo::IOLoop->remove($id);
    return;
}

async sub _user_agent {
    my ($scope) = @_;
    my $url = "http://127.0.0.1:$scope->{server}[1]/plain";
    my $ua = Mojo::UserAgent->new;
    my $tx = await $ua->get_p($url);
    is $tx->result->body, 'plain', 'get_p asks this very server';
    is $ua->get($url)->result->body, 'plain', 'so does the blocking form';
    my $called = Future->new;
    $ua->get($url => sub { $called->done($_[1]->result->code) });
    is await($called), 200, 'and the form with a callback';
    my $gone = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport;
    my $error = '';
    eval { await $ua->get_p("http://127.0.0.1:$gone/"); 1 } or $error = $@;
    like $error, qr/refused/i, 'an error';
    return;
}

tap_app(
    detected   => \&_detected,
    timers     => \&_timers,
    io         => \&_io,
    ticks      => \&_ticks,
    errors     => \&_errors,
    reset      => \&_reset_and_free,
    promises   => \&_promises,
    subprocess => \&_subprocess,
    stream     => \&_server_and_client,
    agent      => \&_user_agent,
);
