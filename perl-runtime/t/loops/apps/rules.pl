use v5.36;
use Future::AsyncAwait;
use IO::Async::Loop;
use IO::Async::Timer::Periodic;
use JSON::MaybeXS ();
use PAGI::WorkerPool;

# What applications do right and wrong with the loop: GET /NAME, answered with JSON.

my $json = JSON::MaybeXS->new(utf8 => 1, allow_nonref => 1);
sub note ($text) { open my $file, '>>', $ENV{POOL_NOTES} or die "$!"; syswrite $file, "$text\n"; return }
sub noted ($line) { open my $file, '<', $ENV{POOL_NOTES} or die "$!"; return scalar grep { $_ eq "$line\n" } readline $file }

# Blocks until it is told to go on.
sub gate ($name) {
    note("begin $name");
    select undef, undef, undef, 0.01 until noted("open $name");
    return;
}
my $pool = PAGI::WorkerPool->new(handlers => { 'gate.wait' => sub ($state, $name) { gate($name); return 'through' } });

# A source of events of the application, on the loop that it believes to own.
my ($ticks, $ticker) = (0);
sub tick {
    $ticker ||= do {
        my $timer = IO::Async::Timer::Periodic->new(interval => 0.01, on_tick => sub { $ticks++ });
        IO::Async::Loop->new->add($timer->start);
        $timer;
    };
    return $ticks;
}

my %answer = (
    pid  => async sub { return $$ },
    # Blocks the worker, as it should not.
    inline => async sub { gate('inline'); return 'through' },
    pooled => async sub { return await $pool->call('gate.wait', args => ['pooled']) },
    ticks  => async sub { tick(); return [ tick(), ref IO::Async::Loop->new ] },
    # IO::Async's own way to block: the loop belongs to whoever calls run.
    run => async sub {
        my $loop = IO::Async::Loop->new;
        my $before = tick();
        $loop->watch_time(after => 0.3, code => sub { $loop->stop('stopped') });
        my $result = $loop->run;
        return [ $result, tick() > $before ? 'ticked' : 'stood still' ];
    },
);

async sub respond ($send, $data) {
    my $body = $json->encode($data);
    await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'application/json' ], [ 'content-length', length $body ] ] });
    await $send->({ type => 'http.response.body', body => $body });
}

# SRC-10: the response hangs on a Future that nobody waits for.
async sub late ($send) {
    await Future::IO->sleep(0.2);
    my $sent = eval { await respond($send, 'late'); 1 };
    note('late: ' . ($sent ? 'sent' : 'refused'));
}

sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'http';
    if ($scope->{path} eq '/detached') {
        late($send)->retain;
        return Future->done;
    }
    return $answer{ substr $scope->{path}, 1 }->()->then(sub ($data) { respond($send, $data) });
}
\&app;
