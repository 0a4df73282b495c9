use v5.36;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Shared;
use PAGI::WorkerPool;

# Order, progress, numbers and the life of processes: GET /NAME?JSON, answered with JSON.

my $json = JSON::MaybeXS->new(utf8 => 1, allow_nonref => 1);
sub note ($text) { open my $file, '>>', $ENV{POOL_NOTES} or die "$!"; syswrite $file, "$text\n"; return }
sub noted ($line) { open my $file, '<', $ENV{POOL_NOTES} or die "$!"; return scalar grep { $_ eq "$line\n" } readline $file }

my $shared = PAGI::Shared->instance;
my @listeners;
$shared->interest(news => 1)->on_message(sub ($channel, $message) { $_->done($message) for splice @listeners });

my $pool = PAGI::WorkerPool->new(
    max_size   => 100_000,
    max_jobs   => $ENV{POOL_MAX_JOBS} // 1000,
    kill_grace => $ENV{POOL_KILL_GRACE} // 0.3,
    init       => sub { return { since => $$ } },
    handlers   => {
        'note.text' => sub ($state, $text, $seconds = 0) { select undef, undef, undef, $seconds; note($text); return $$ },
        # Blocks until it is told to go on.
        'gate.wait' => sub ($state, $name) {
            note("begin $name");
            select undef, undef, undef, 0.01 until noted("open $name");
            note("end $name");
            return $$;
        },
        'step.count' => sub ($state, $steps) { $state->progress($_, { of => $steps }) for 1 .. $steps; return ref $state, $state->{since} },
        'step.class' => sub ($state) { return PAGI::WorkerPool->progress('by class') },
        'step.until' => sub ($state) {
            select undef, undef, undef, 0.01 while $state->progress('still here');
            note('nobody waits');
        },
        'step.large' => sub ($state) { $state->progress('x' x 200_000) },
        'step.forgotten' => sub ($state) { note('progress ' . $state->progress(1)) },
        'news.publish' => sub ($state, $text) { return $shared->publish(news => $text)->get },
        'note.grow' => sub ($state, $bytes) { $state->{grown} = 'x' x $bytes; return },
        'job.die'  => sub ($state) { die "on purpose\n" },
        'job.deep' => sub ($state, $secret) { eval { die "caught\n" }; return outer($secret) },
        'job.kill' => sub ($state) { kill KILL => $$; sleep 5 },
    },
);
sub outer ($secret) { return inner($secret) }
sub inner ($secret) { die "deep down\n" }
# A state that is an object is nobody's business but the application's.
package Local::State { sub new ($class) { return bless [], $class } }
PAGI::WorkerPool->new(name => 'other', init => sub { Local::State->new }, handlers => { 'state.class' => sub ($state) { return ref $state } });

async sub outcome ($future) {
    my @results;
    return [ 'done', @results ] if eval { @results = await $future; 1 };
    my (undef, undef, $code) = $future->failure;
    return [ 'failed', $code // "$@" ];
}

async sub outcomes (@futures) {
    my @all;
    while (my $future = shift @futures) { push @all, await outcome($future) }
    return \@all;
}

sub call ($name, $arguments, %options) { return $pool->call($name, args => $arguments, %options) }

my %answer = (
    pid   => async sub ($q) { return $$ },
    stats => async sub ($q) { return $pool->stats },
    call  => async sub ($q) { return await outcome($pool->call($q->{name}, args => $q->{args} // [], %{ $q->{options} // {} })) },
    many  => async sub ($q) {
        my @futures = map { call(@{ $q->{job} }, %{ $q->{options} // {} }) } 1 .. $q->{count};
        return await outcomes(@futures);
    },
    forget => async sub ($q) {
        my @queued = map { $pool->call_forget('note.text', args => [ $_, $q->{seconds} ]) } @{ $q->{notes} };
        return \@queued;
    },
    forget_step => async sub ($q) { return $pool->call_forget('step.forgotten') },
    forget_key  => async sub ($q) { return eval { $pool->call_forget('note.text', key => 'a'); 1 } ? 'lived' : $@ },
    wrong => async sub ($q) {
        return [ map { my @options = @$_; eval { $pool->call('note.text', @options); 1 } ? 'lived' : $@ =~ s/ at .*//sr }
            [ priority => 'high' ], [ key => [] ], [ on_progress => 1 ] ];
    },
    # All but the first find the pool's only process busy.
    order => async sub ($q) {
        my $first = call('gate.wait', ['order']);
        await Future::IO->sleep(0.01) until $pool->stats->{busy} && noted('begin order');
        my @futures = map { my ($text, @options) = @$_; call('note.text', [$text], @options) } @{ $q->{jobs} };
        my $depth = $pool->stats->{queue_depth};
        note('open order');
        await $first;
        await outcomes(@futures);
        return $depth;
    },
    keys  => async sub ($q) {
        my @futures = map { call('gate.wait', ["$$ $_"], key => 'one') } 1 .. $q->{count};
        note("open $$ $_") for 1 .. $q->{count};
        await outcomes(@futures);
        return $$;
    },
    progress => async sub ($q) {
        my @seen;
        my @result = await call('step.count', [3], on_progress => sub (@data) { push @seen, \@data });
        await call('step.class', [], on_progress => sub (@data) { push @seen, \@data });
        return [ \@seen, @result ];
    },
    trace => async sub ($q) {
        my $failed = $pool->call('job.deep', args => ['password']);
        my $outcome = await outcome($failed);
        return [ $outcome->[1], $pool->remote_trace($failed) ];
    },
    unwanted => async sub ($q) {
        my $reported = Future->new;
        my $job = call('step.until', [], on_progress => sub { $reported->done unless $reported->is_ready });
        await $reported;
        $job->cancel;
        return 'cancelled';
    },
    clumsy => async sub ($q) { return await outcome(call('step.count', [1], on_progress => sub { die "clumsy\n" })) },
    other  => async sub ($q) { return await outcome(PAGI::WorkerPool->named('other')->call('state.class')) },
    listen => async sub ($q) {
        push @listeners, my $heard = Future->new;
        note('listening');
        return await $heard;
    },
    blocking => async sub ($q) {
        my @futures = map { my $n = $_; $pool->run_blocking(sub { warn "a line of $n\n"; return $n * 2 }) } 1 .. $q->{count};
        return await outcomes(@futures);
    },
    busy   => async sub ($q) { my $until = time + 2; 1 while time < $until; return 'was busy' },
);

async sub respond ($send, $data) {
    my $body = $json->encode($data);
    await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'application/json' ], [ 'content-length', length $body ] ] });
    await $send->({ type => 'http.response.body', body => $body });
}

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'http';
    my $query = $scope->{query_string} =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;
    my $result = await $answer{ substr $scope->{path}, 1 }->(length $query ? $json->decode($query) : {});
    return await respond($send, $result);
}
\&app;
