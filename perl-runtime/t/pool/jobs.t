use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Temp ();
use JSON::MaybeXS qw(encode_json);
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use Time::HiRes qw(sleep time);

# PAGI::WorkerPool through the real server.

my $binary = server_binary();
die "There is no pagi-server to run: build it, or name it in PAGI_SERVER\n" if !$binary;
ok $binary, 'a server to run' or exit;

my $notes;

sub server (@args) {
    $notes = File::Temp->new;
    return go_on(@args);
}

# With the notes there are.
sub go_on (@args) {
    my $server = PAGITest::ServerProcess->new(
        binary => $binary, args => [ @args, '--port', 0, 't/pool/apps/jobs.pl' ],
        env    => { PERL5LIB => join(':', 'lib', 't/lib', $ENV{PERL5LIB} // ()), POOL_NOTES => "$notes" },
    );
    my $client = PAGITest::ServerClient->new(port => $server->port);
    my $ask = sub ($name, %query) { $client->get("/$name" . (%query ? '?' . encode_json(\%query) =~ s/([^A-Za-z0-9_.-])/sprintf '%%%02X', ord $1/ger : ''))->json };
    return ($server, $ask);
}

sub notes () { open my $file, '<', "$notes" or die; return map { chomp; $_ } readline $file }

sub note_it ($text) { open my $file, '>>', "$notes" or die; syswrite $file, "$text\n" }

sub eventually ($what, $condition) {
    my $deadline = time + 60;
    until ($condition->()) {
        return fail($what) if time > $deadline;
        sleep 0.02;
    }
    return pass($what);
}

subtest 'calls, data and exceptions' => sub {
    my ($server, $ask) = server('--workers', 2, '--pool', 2);
    is $ask->('found'), 1, 'the scope has the pool';
    eventually 'WP-15: the pool works during the start', sub { 4 <= grep { $_ eq 'startup hello' } notes() };
    my ($how, $pid, $jobs, $list, @arguments) = $ask->('call', name => 'job.who', args => [ 'a', { b => [1] } ])->@*;
    is [ $how, $list, @arguments ], [ 'done', 1, 'a', { b => [1] } ], 'WP-12: called in list context, results a list';
    isnt $pid, $ask->('pid'), 'in another process';
    my %count;
    for (1 .. 20) { my (undef, $who, $n) = $ask->('call', name => 'job.who')->@*; $count{$who} = $n }
    my %init;
    /\Ainit (\d+)/ and $init{$1}++ for notes();
    is [ sort values %init ], [ map { 1 } keys %init ], 'WP-2: init once per process';
    ok !(grep { !$init{$_} } keys %count), 'in those that have worked';
    is $ask->('mixed'), [ "\x{263a}", "\xe9", 1.5, 'undef', 'true', 'JSON::PP::Boolean', 1 ], 'CH-13, CH-14: data arrives as it was, and is a copy';
    is $ask->('call', name => 'job.die', args => ['text']), [ 'failed', "in the job\n", '' ], 'WP-11: text';
    is [ $ask->('call', name => 'job.die', args => ['data'])->@[ 0, 2 ] ], [ 'failed', 'HASH' ], 'WP-11: data';
    is [ $ask->('call', name => 'job.die', args => ['object'])->@[ 0, 2 ] ], [ 'failed', 'Local::Problem' ], 'WP-11: an object that can be rebuilt';
    is $ask->('call', name => 'job.die', args => ['closed']), [ 'failed', "Local::Closed: it is closed\n", '' ], 'WP-11: one that cannot';
    is [ $ask->('call', name => 'no.such')->@[ 1 .. 4 ] ],
        [ "UnknownHandler: the pool 'default' has no handler 'no.such'\n", 'Future::Exception', 'worker_pool', 'UnknownHandler' ], 'WP-1: an unknown name';
    is [ map { (split / at /, $_)[0] } $ask->('late')->@* ], [ ('A worker pool and its handlers are registered while the application loads, not later') x 2 ],
        'WP-1: registration after the start';
    like $ask->('typo'), [ qr/\AUnknown options of a call: arg\. Valid: args, key, kill_on_cancel/, qr/\Aargs must be an arrayref/ ], 'CH-34: wrong use dies';
    like [ $ask->('code')->@[ 1, 4 ] ], [ qr/\[3\]\[0\] is a reference of type CODE; only plain data/, 'NotSerializable' ], 'CH-12: arguments';
    like [ $ask->('call', name => 'job.code')->@[ 1, 4 ] ], [ qr/\[1\] is a reference of type CODE/, 'NotSerializable' ], 'CH-12: results';
    is length $ask->('call', name => 'job.big', args => [999_000])->[1], 999_000, 'a result below the limit';
    like [ $ask->('call', name => 'job.big', args => [1_000_000])->@[ 1, 4 ] ], [ qr/\d+ bytes are more than max_size allows \(1000000\)/, 'MessageTooLarge' ], 'CH-15: and one above';
    my (undef, $outer, $inner) = map { ref ? @$_ : $_ } $ask->('call', name => 'job.nested')->@*;
    is $inner, $outer, 'a job of a job runs in its process';
    is $ask->('forget', notes => [ 'first', 'die', 'last' ]), [ 1, 1, 1 ], 'call_forget says that it is queued';
    eventually 'and they run', sub { my %seen = map { $_ => 1 } notes(); $seen{first} && $seen{die} && $seen{last} };
    eventually 'failures are logged', sub { $server->log =~ /The job 'job.note' that nobody waits for failed: after die/ };
    ok $ask->('latency') >= 10, 'AT-12: the worker turns while a job blocks';
    my @old = grep { /init/ } notes();
    $server->stop;
    my @cleaned = grep { /\Acleanup \d+ after \d+\z/ } notes();
    is scalar @cleaned, scalar @old, 'WP-2: cleanup at the end, in each process that was in use';
};

subtest 'limits' => sub {
    my ($server, $ask) = server('--workers', 2, '--pool', 1, '--pool-queue-limit', 3);
    # They would take up places of the queue: of two workers and the pool process.
    eventually 'the jobs of the start have run', sub { 3 <= grep { $_ eq 'startup hello' } notes() };
    my ($count, $depth) = $ask->('many', count => 10, seconds => 0.2)->@*;
    is $count, { done => 3, Backpressure => 7 }, 'WP-7, AT-10: three may wait';
    is $depth, 3, 'the depth is known';
    my ($began, $old) = (time, $ask->('call', name => 'job.who')->[1]);
    is [ $ask->('call', name => 'job.sleep', args => [30], options => { timeout => 1 })->@[ 1, 4 ] ],
        [ "Timeout: 'job.sleep' took longer than 1 seconds\n", 'Timeout' ], 'WP-8: a limit in time';
    ok time - $began < 15, 'at once';
    is $ask->('call', name => 'job.stuck', options => { timeout => 1 })->[4], 'Timeout', 'WP-8: also while it computes';
    my $new = $ask->('call', name => 'job.who')->[1];
    isnt $new, $old, 'WP-8: the process was replaced';
    ok !kill(0 => $old), 'and has gone';
    is [ $ask->('call', name => 'job.end', args => [$_])->@[ 0, 4 ] ], [ 'failed', 'WorkerDied' ], "WP-10: a process that ends ($_)" for 'kill', 'exit';
    is $ask->('call', name => 'job.who')->[0], 'done', 'and the next job is done';

    my $stats = $ask->('cancel');
    is $stats->{queue_depth}, 0, 'WP-9: a job that waits leaves the queue when it is cancelled';
    my $unfinished = grep({ /\Abegin/ } notes()) - grep { /\Aend/ } notes();
    is $ask->('cancel', first => 1)->{busy}, 0, 'WP-9: one that runs is not waited for';
    eventually 'WP-9: but runs to its end', sub { $unfinished == grep({ /\Abegin/ } notes()) - grep { /\Aend/ } notes() };
    my $before = $ask->('call', name => 'job.who')->[1];
    $ask->('cancel', first => 1, kill => 1);
    isnt $ask->('call', name => 'job.who')->[1], $before, 'WP-9: unless kill_on_cancel';
    is [ map { $ask->('behind') } 1 .. 5 ], [ map { { done => 2 } } 1 .. 5 ], 'WP-10: jobs that wait behind a process that is ended lose nothing';
    is [ grep { $_ eq 'never' } notes() ], [], 'what was cancelled has never run';
    is [ $ask->('stats')->@{qw(workers queue_limit queue_depth)} ], [ 1, 3, 0 ], 'stats';
};

subtest 'the end of a worker' => sub {
    my ($server, $ask) = server('--workers', 1, '--pool', 1);
    ok !eval { $ask->('orphan'); 1 }, 'it is gone';
    note_it('the worker has gone');
    eventually 'WP-9: call_forget survives its caller', sub { grep { $_ eq 'kept' } notes() };
    is [ grep { $_ eq 'dropped' } notes() ], [], 'WP-9: a call does not';
    eventually 'the new worker', sub { (eval { $ask->('call', name => 'job.who')->[0] } // '') eq 'done' };
};

subtest 'WP-2: init that fails' => sub {
    {
        local $ENV{POOL_FAILURES} = 1000;
        my $error = dies { server('--workers', 2, '--pool', 1) };
        like $error, qr/startup failed: init of the pool 'broken' failed: no database/, 'the start fails';
        like $error, qr/ended at once/, 'and the server ends';
        ok 2 < grep({ $_ eq 'broken' } notes()), 'after it was tried some times';
    }
    local $ENV{POOL_FAILURES} = 3;
    my ($server, $ask) = server('--workers', 2, '--pool', 1);
    is $ask->('broken'), [ 'done', 1 ], 'one that succeeds in time does not';
    is scalar(grep { $_ eq 'broken' } notes()), 4, 'after as many attempts as it took';
};

subtest 'without a pool' => sub {
    my ($server, $ask) = server('--workers', 1);
    is $ask->('found'), 0, 'the scope has none';
    is [ $ask->('call', name => 'job.who')->@[ 1, 4 ] ], [ "Unavailable: there is no pool: start the server with --pool\n", 'Unavailable' ], 'a call says why';
    is $ask->('forget', notes => ['x']), [0], 'call_forget refuses';
    my (undef, $product, $pid) = $ask->('blocking')->@*;
    is $product, 42, 'WP-25: run_blocking works, with a closure and a signature';
    isnt $pid, $ask->('pid'), 'in a process of its own';
    is [ map { ref $_ eq 'HASH' ? [ $_->@{qw(busy queue_depth)} ] : $_ } $ask->('give_up')->@* ], [ [ 2, 1 ], [ 0, 0 ], [ 'done', 'free' ] ],
        'WP-25: calls that are given up free their places';
};

done_testing;
