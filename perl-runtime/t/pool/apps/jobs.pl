use v5.36;
use Future::AsyncAwait;
use JSON::MaybeXS qw(encode_json decode_json);
use PAGI::WorkerPool;

# Everything a test wants to see of the pool, one request each: GET /NAME?JSON, an object of arguments. Answered with JSON.

package Local::Problem {
    sub new ($class, %fields) { return bless {%fields}, $class }
}

package Local::Closed {
    use overload '""' => sub { 'it is closed' }, fallback => 1;
    sub new ($class) { return bless { code => sub { } }, $class }
}

my $notes = $ENV{POOL_NOTES};
my sub note ($text) { open my $file, '>>', $notes or die "$notes: $!"; syswrite $file, "$text\n" }
my sub noted ($regex) { open my $file, '<', $notes or die "$notes: $!"; return scalar grep { $_ =~ $regex } readline $file }

my $signals = 0;
sub signal_name { return "go $$ " . ++$signals }

my $pool;
$pool = PAGI::WorkerPool->new(
    timeout    => 20,
    kill_grace => 0.3,
    max_size   => 1_000_000,
    max_forks  => 2,
    init       => sub { note("init $$"); return { pid => $$, jobs => 0 } },
    cleanup    => sub ($state) { note("cleanup $state->{pid} after $state->{jobs}") },
    handlers   => {
        'job.who'   => sub ($state, @arguments) { return ($$, ++$state->{jobs}, wantarray, @arguments) },
        'job.sleep' => sub ($state, $seconds) { note("begin $$"); select undef, undef, undef, $seconds; note("end $$"); return $$ },
        'job.until' => sub ($state, $text) {
            note("begin $$");
            until (noted(qr/\A\Q$text\E$/)) { select undef, undef, undef, 0.02 }
            note("end $$");
        },
        'job.stuck' => sub ($state) { 1 while 1 },
        'job.die'   => sub ($state, $how) {
            die "in the job\n" if $how eq 'text';
            die { code => 7 } if $how eq 'data';
            die Local::Problem->new(why => 'because') if $how eq 'object';
            die Local::Closed->new;
        },
        'job.end'   => sub ($state, $how) { $how eq 'exit' ? exit 3 : kill KILL => $$; sleep 5 },
        'job.big'   => sub ($state, $size) { return 'x' x $size },
        'job.code'  => sub ($state) { return sub { } },
        'job.note'  => sub ($state, $text, $size = undef) { note($text); die "after $text\n" if $text =~ /die/ },
        'job.nested' => sub ($state) { my ($pid) = $pool->call('job.who')->get; return [ $$, $pid ] },
    },
);
# Its init fails so many times, in whichever processes.
my $failures = $ENV{POOL_FAILURES} // 0;
my $broken = PAGI::WorkerPool->new(
    name         => 'broken',
    init         => sub { note('broken'); die "no database\n" if $failures >= noted(qr/\Abroken$/); return },
    init_timeout => 8,
    handlers     => { 'broken.job' => sub { 1 } },
);

# What a Future came to: [ 'done', @results ], or [ 'failed', text, class, category, code ]
async sub outcome ($future) {
    my @results;
    return [ 'done', @results ] if eval { @results = await $future; 1 };
    my $error = $@;
    my (undef, @details) = $future->failure;
    return [ "failed", "$error", ref $error, @details ];
}

my %answer = (
    call     => async sub ($q) { return await outcome($pool->call($q->{name}, args => $q->{args} // [], %{ $q->{options} // {} })) },
    broken   => async sub ($q) { return await outcome($broken->call('broken.job')) },
    stats    => async sub ($q) { return $pool->stats },
    pid      => async sub ($q) { return $$ },
    many     => async sub ($q) {
        my @futures = map { $pool->call('job.sleep', args => [ $q->{seconds} ]) } 1 .. $q->{count};
        my $depth = $pool->stats->{queue_depth};
        my %count;
        while (my $future = shift @futures) { my $outcome = await outcome($future); $count{ $outcome->[4] // $outcome->[0] }++ }
        return [ \%count, $depth ];
    },
    # Both wait for a job that has really begun: a process that has taken one and not begun it is not ended.
    cancel   => async sub ($q) {
        my ($begun, $go) = (noted(qr/\Abegin/), signal_name());
        my $first  = $pool->call('job.until', args => [$go], kill_on_cancel => $q->{kill});
        my $second = $pool->call('job.note', args => ['never']);
        # One that is to be ended is given up as soon as it has begun, perhaps before this worker knows of that.
        await Future::IO->sleep(0.01) until noted(qr/\Abegin/) > $begun && ($q->{kill} || $pool->stats->{busy});
        $second->cancel;
        $first->cancel if $q->{first};
        my $stats = $pool->stats;
        note($go) unless $q->{kill};
        await $first unless $q->{first};
        return $stats;
    },
    behind   => async sub ($q) {
        my $begun  = noted(qr/\Abegin/);
        my $first  = $pool->call('job.until', args => ['nothing'], kill_on_cancel => 1);
        my @behind = map { $pool->call('job.who') } 1 .. 2;
        await Future::IO->sleep(0.01) until noted(qr/\Abegin/) > $begun;
        $first->cancel;
        my %count;
        while (my $future = shift @behind) { my $outcome = await outcome($future); $count{ $outcome->[4] // $outcome->[0] }++ }
        return \%count;
    },
    forget   => async sub ($q) { return [ map { $pool->call_forget('job.note', args => [$_]) ? 1 : 0 } @{ $q->{notes} } ] },
    orphan   => async sub ($q) {
        # Until the test says so: nothing behind it is begun while this process lives.
        $pool->call('job.until', args => ['the worker has gone'])->retain;
        await Future::IO->sleep(0.05) until $pool->stats->{busy};
        $pool->call('job.note', args => ['dropped'])->retain;
        $pool->call_forget('job.note', args => ['kept']);
        kill KILL => $$;
    },
    code     => async sub ($q) { return await outcome($pool->call('job.who', args => [ sub { } ])) },
    mixed    => async sub ($q) {
        my @sent = ("\x{263a}", "\xe9", 1.5, undef, JSON::MaybeXS::true(), [ { a => [1] } ]);
        my (undef, undef, undef, @got) = await $pool->call('job.who', args => \@sent);
        $got[5][0]{a}[0]++;
        return [ map({ $_ // 'undef' } @got[ 0 .. 3 ]), $got[4] ? 'true' : 'false', ref $got[4], $sent[5][0]{a}[0] ];
    },
    late     => async sub ($q) { return [ map { my $code = $_; eval { $code->(); 1 } ? 'lived' : $@ } sub { $pool->register(x => sub { }) }, sub { PAGI::WorkerPool->new(name => 'late') } ] },
    typo     => async sub ($q) { return [ map { my @wrong = @$_; eval { $pool->call('job.who', @wrong); 1 } ? 'lived' : $@ } [ arg => [] ], [ args => 1 ] ] },
    latency  => async sub ($q) {
        # It blocks until the worker has turned ten times.
        my $job = $pool->call('job.until', args => ['turned']);
        my $turns = 0;
        until ($turns >= 10 && $pool->stats->{busy}) { await Future::IO->sleep(0.01); $turns++ }
        note('turned');
        await $job;
        return $turns;
    },
    blocking => async sub ($q) { my $n = 2; return await outcome($pool->run_blocking(sub ($m) { return ($n * $m, $$) }, 21)) },
    give_up  => async sub ($q) {
        my @futures = map { $pool->run_blocking(sub { sleep 30 }) } 1 .. 3;
        my $before = $pool->stats->{forks};
        $_->cancel for reverse @futures;
        return [ $before, $pool->stats->{forks}, await outcome($pool->run_blocking(sub { 'free' })) ];
    },
);

async sub respond ($send, $data) {
    await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'application/json' ] ] });
    await $send->({ type => 'http.response.body', body => JSON::MaybeXS->new(utf8 => 1, allow_nonref => 1)->encode($data) });
}

$pool->wrap(async sub ($scope, $receive, $send) {
    my $found = $scope->{extensions}{worker_pool};
    if ($scope->{type} eq 'lifespan') {
        while (1) {
            my $event = await $receive->();
            # Usable while the server starts (WP-15).
            note('startup ' . ($found ? ((await $found->call('job.who', args => ['hello'])))[3] : 'without')) if $event->{type} eq 'lifespan.startup';
            await $send->({ type => "$event->{type}.complete" });
            return if $event->{type} eq 'lifespan.shutdown';
        }
    }
    die "Unsupported scope type: $scope->{type}" unless $scope->{type} eq 'http';
    my $query = $scope->{query_string} =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;
    my $name = substr $scope->{path}, 1;
    return await respond($send, $found ? 1 : 0) if $name eq 'found';
    my $result = await $answer{$name}->(length $query ? decode_json($query) : {});
    return await respond($send, $result);
});
