use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGITest::Pool;

# Order, progress, numbers and the life of processes of PAGI::WorkerPool, through the real server.

sub pool (@args) { return PAGITest::Pool->new('t/pool/apps/work.pl', @args) }
sub distinct (@values) { my %seen = map { $_ => 1 } @values; my @sorted = sort keys %seen; return @sorted }

subtest 'priority' => sub {
    my $pool = pool('--workers', 1, '--pool', 1, '--pool-queue-limit', 6);
    my @jobs = ([ 'first' ], [ 'second' ], [ 'high', priority => 5 ], [ 'low', priority => -1 ], [ 'higher too', priority => 5 ]);
    is $pool->ask('order', jobs => \@jobs), 5, 'WP-7: jobs that wait in the worker count';
    is [ grep { !/ order/ } $pool->notes ], [ 'first', 'high', 'higher too', 'second', 'low' ],
        'higher ones come first, of equals the older one; one is in the queue of the server already';
    is $pool->ask('wrong'), [ 'priority must be a number', 'key must be a string', 'on_progress must be a coderef' ], 'CH-34: wrong options die';
};

subtest 'WP-14: one job at a time for a key' => sub {
    my $pool = pool('--workers', 3, '--pool', 3);
    my @connections = map { $pool->begin('keys', count => 4) } 1 .. 12;
    my @workers = map { $pool->end($_) } @connections;
    ok 1 < distinct(@workers), 'several workers asked';
    my @steps = grep { /\A(?:begin|end) / } $pool->notes;
    my (@overlaps, $running, %last);
    for (@steps) {
        my ($what, $worker, $number) = split / /;
        push @overlaps, $_ if $what eq 'begin' ? defined $running : $running ne "$worker $number";
        $running = $what eq 'begin' ? "$worker $number" : undef;
    }
    is scalar @steps, 2 * 4 * 12, 'all ran';
    is \@overlaps, [], 'none beside another';

    my $held = $pool->begin('call', name => 'gate.wait', args => ['held'], options => { key => 'a' });
    $pool->eventually('one runs', sub { $pool->has_noted('begin held') });
    my @behind = map { $pool->begin('call', name => 'note.text', args => ["behind $_"], options => { key => 'a', queue_timeout => 50 }) } 1 .. 8;
    is $pool->ask('call', name => 'note.text', args => ['other'], options => { key => 'b' })->[0], 'done', 'another key does not wait';
    is $pool->ask('call', name => 'note.text', args => ['none'])->[0], 'done', 'nor does no key: those that wait occupy no process';
    is [ grep { /behind/ } $pool->notes ], [], 'the same key does';
    is $pool->ask('call', name => 'note.text', args => ['never'], options => { key => 'a', queue_timeout => 0.3 }), [ 'failed', 'Timeout' ], 'WP-8: not longer than its queue_timeout';
    $pool->note('open held');
    is $pool->end($held)->[0], 'done', 'it ends';
    is [ map { $pool->end($_)->[0] } @behind ], [ ('done') x 8 ], 'then the others follow';

    is $pool->ask('call', name => 'job.kill', options => { key => 'a' }), [ 'failed', 'WorkerDied' ], 'WP-10: a process that dies with the key';
    is $pool->ask('call', name => 'note.text', args => ['after'], options => { key => 'a' })->[0], 'done', 'takes it with it';

    my $orphan = $pool->begin('call', name => 'gate.wait', args => ['orphan'], options => { key => 'a' });
    $pool->eventually('one runs', sub { $pool->has_noted('begin orphan') });
    kill KILL => $pool->processes('worker');
    $pool->eventually('new workers', sub { 3 == $pool->processes('worker') && eval { $pool->ask('pid') } });
    my $late = $pool->begin('call', name => 'note.text', args => ['late'], options => { key => 'a' });
    is $pool->ask('call', name => 'note.text', args => ['x'])->[0], 'done', 'something else';
    ok !$pool->has_noted('late'), 'WP-9: the job of a worker that has gone keeps its key';
    $pool->note('open orphan');
    is $pool->end($late)->[0], 'done', 'to its end';
    like $pool->ask('forget_key'), qr/\AUnknown options of a call: key\. Valid: args, queue_timeout, timeout/, 'call_forget takes no key';
};

subtest 'WP-2: a worker that starts asks all pools at once' => sub {
    my $pool = pool('--workers', 2, '--pool', 1);
    my $connection = $pool->begin('call', name => 'gate.wait', args => ['check']);
    $pool->eventually('the only process is busy', sub { $pool->has_noted('begin check') });
    my ($stays) = $pool->ask('pid');
    kill KILL => grep { $_ != $stays } $pool->processes('worker');
    $pool->eventually('both wait', sub { ($pool->ask('stats')->{queue_depth} // 0) == 2 });
    $pool->note('open check');
    $pool->eventually('then it starts', sub { my %seen = map { $pool->ask('pid') => 1 } 1 .. 8; 2 == keys %seen });
};

subtest 'WP-20: each server has its own pool' => sub {
    my ($one, $other) = map { pool('--workers', 1, '--pool', 1) } 1 .. 2;
    my $held = $one->begin('call', name => 'gate.wait', args => ['mine'], options => { key => 'a' });
    $one->eventually('one holds the key', sub { $one->has_noted('begin mine') });
    is $other->ask('call', name => 'note.text', args => ['yours'], options => { key => 'a' })->[0], 'done', 'which is nothing to the other';
    $one->note('open mine');
    is $one->end($held)->[0], 'done', 'it ends';
};

subtest 'WP-17: progress' => sub {
    my $pool = pool('--workers', 1, '--pool', 1);
    my ($seen, $class, $since) = $pool->ask('progress')->@*;
    is $seen, [ [ 1, { of => 3 } ], [ 2, { of => 3 } ], [ 3, { of => 3 } ], ['by class'] ], 'arrives in order, before the result';
    is $class, 'PAGI::WorkerPool::State', 'a plain hash as state has the method';
    is [ $pool->processes('pool') ], [$since], 'and is the one init returned';
    is $pool->ask('other'), [ 'done', 'Local::State' ], 'an object stays what it is';
    is $pool->ask('unwanted'), 'cancelled', 'a job is cancelled';
    $pool->eventually('WP-9: and can see it', sub { $pool->has_noted('nobody waits') });
    $pool->ask('forget_step');
    $pool->eventually('a job nobody waits for sees that, too', sub { $pool->has_noted('progress 0') });
    is $pool->ask('clumsy')->[0], 'done', 'a callback that dies harms nobody';
    $pool->eventually('and is logged', sub { $pool->server->log =~ /on_progress of the job 'step\.count' failed: clumsy/ });
    is $pool->ask('call', name => 'step.large'), [ 'failed', 'MessageTooLarge' ], 'CH-15: max_size holds for it';
};

subtest 'WP-17, WP-18: a job reports to a channel' => sub {
    my $pool = pool('--workers', 2, '--pool', 1);
    my $listener = $pool->begin('listen');
    $pool->eventually('somebody listens', sub { $pool->has_noted('listening') });
    my ($how, $reached) = $pool->ask('call', name => 'news.publish', args => ['from the pool'])->@*;
    is $how, 'done', 'a handler may use the shared store, and wait for it';
    ok $reached >= 1, 'and its message reaches workers';
    is $pool->end($listener), 'from the pool', 'another connection has it';
};

subtest 'WP-19: numbers' => sub {
    my $pool = pool('--workers', 1, '--pool', 1, '--pool-queue-limit', 2);
    $pool->ask('call', name => 'note.text', args => [ 'x', 0.1 ]) for 1 .. 2;
    $pool->ask('call', name => 'job.die');
    $pool->ask('call', name => 'job.kill');
    $pool->ask('call', name => 'gate.wait', args => ['never'], options => { timeout => 0.3 });
    $pool->ask('many', job => [ 'note.text', ['y'] ], count => 3);
    $pool->ask('call', name => 'no.such');
    my $stats = $pool->ask('stats');
    my $text = $stats->{handlers}{'note.text'};
    is [ $text->@{qw(calls done failed rejected busy)} ], [ 4, 4, 0, 1, 0 ], 'by handler';
    ok 0.19 <= $text->{run_time} && 0.095 <= $text->{max_run_time} && $text->{max_run_time} <= $text->{run_time}, 'times of running';
    ok 0 < $text->{queue_time} && $text->{max_queue_time} <= $text->{queue_time}, 'times of waiting';
    is [ $stats->{handlers}{'job.die'}{failed}, $stats->{handlers}{'job.kill'}{crashed}, $stats->{handlers}{'gate.wait'}{timed_out} ], [ 1, 1, 1 ], 'errors';
    is [ $stats->@{qw(calls done failed rejected crashed timed_out busy)} ], [ 7, 4, 1, 2, 1, 1, 0 ], 'and all together; what nobody registered has no name';
    ok 0 < $stats->{utilisation} && $stats->{utilisation} <= 1, 'utilisation';
    is [ sort keys $stats->{handlers}->%* ], [ 'gate.wait', 'job.die', 'job.kill', 'note.text' ], 'nothing else';
};

subtest 'WP-7: waiting for space' => sub {
    my $pool = pool('--workers', 2, '--pool', 1, '--pool-queue-limit', 2);
    my @outcomes = $pool->ask('many', job => [ 'note.text', [ 's', 0.02 ] ], count => 20, options => { wait_for_space => 60 })->@*;
    is [ map { $_->[0] } @outcomes ], [ ('done') x 20 ], 'all are done in time';
    my $running = $pool->begin('call', name => 'gate.wait', args => ['space']);
    $pool->eventually('one runs', sub { $pool->has_noted('begin space') });
    my @waiting = map { $pool->begin('call', name => 'note.text', args => ['w'], options => { wait_for_space => 50 }) } 1 .. 2;
    $pool->eventually('two wait', sub { $pool->ask('stats')->{queue_depth} == 2 });
    is $pool->ask('call', name => 'note.text', args => ['late'], options => { wait_for_space => 0.3, priority => 1 }), [ 'failed', 'Backpressure' ], 'not longer than that' for 1 .. 2;
    is $pool->ask('call', name => 'note.text', args => ['late'], options => { wait_for_space => 50, queue_timeout => 0.3 }), [ 'failed', 'Timeout' ], 'nor than its queue_timeout';
    $pool->note('open space');
    is [ map { $pool->end($_)->[0] } $running, @waiting ], [ ('done') x 3 ], 'the others are done';
    is $pool->ask('stats')->{queue_depth}, 0, 'and nothing is left in the count';
};

subtest 'WP-11: the stack of an exception' => sub {
    my $pool = pool('--workers', 1, '--pool', 1, '--env', 'development', '--no-default-middleware');
    my ($error, $trace) = $pool->ask('trace')->@*;
    is $error, "deep down\n", 'the text is as it was';
    like $trace, qr/\Athrown at \S+work\.pl line \d+\nmain::inner called at \S+work\.pl line \d+\nmain::outer called at \S+ line \d+\z/, 'where it came from';
    unlike $trace, qr/password/, 'without arguments';
    is pool('--workers', 1, '--pool', 1, '--env', 'production')->ask('trace'), [ "deep down\n", undef ], 'only when debugging is on';
};

subtest 'AT-10: a burst' => sub {
    my $pool = pool('--workers', 1, '--pool', 4, '--pool-queue-limit', 10);
    my %count;
    $count{ $_->[0] eq 'done' ? 'done' : $_->[1] }++ for $pool->ask('many', job => [ 'note.text', [ 'z', 0.02 ] ], count => 100)->@*;
    is \%count, { done => 10, Backpressure => 90 }, 'WP-7: exactly as many as may wait';
    my @pids = ($pool->processes('pool'), $pool->processes('worker'));
    is scalar @pids, 5, 'WP-4: as many processes as were asked for';
    kill KILL => $pool->server->pid;
    $pool->eventually('WP-16: they end with their server', sub { !grep { kill 0 => $_ } @pids });
};

subtest 'WP-4, WP-6: all workers share the processes' => sub {
    my $pool = pool('--workers', 4, '--pool', 2);
    my @connections = map { $pool->begin('call', name => 'note.text', args => [ 'shared', 0.01 ]) } 1 .. 40;
    my @pids = distinct(map { $pool->end($_)->[1] } @connections);
    is [ grep { my $pid = $_; !grep { $_ == $pid } @pids } $pool->processes('pool') ], [], 'both have worked';
    is scalar @pids, 2, 'and nobody else';
};

subtest 'WP-13: processes that have done enough are replaced' => sub {
    local $ENV{POOL_MAX_JOBS} = 5;
    my $pool = pool('--workers', 2, '--pool', 2);
    my @outcomes = map { $pool->ask('many', job => [ 'note.text', ['m'] ], count => 20)->@* } 1 .. 3;
    is [ grep { $_->[0] ne 'done' } @outcomes ], [], 'no job is lost';
    my %jobs;
    $jobs{ $_->[1] }++ for @outcomes;
    # Two could have done all of it. Some take a few more jobs before they leave.
    ok 5 <= keys %jobs, 'by many processes';

    my $aging = pool('--workers', 1, '--pool', 1, '--max-worker-age', 1);
    my ($old) = $aging->processes('pool');
    $aging->eventually('by age', sub { my @now = $aging->processes('pool'); @now && !grep { $_ == $old } @now });
    my $growing = pool('--workers', 1, '--pool', 1, '--max-worker-rss', 150 << 20);
    ($old) = $growing->processes('pool');
    $growing->ask('call', name => 'note.grow', args => [ 200 << 20 ]);
    $growing->eventually('by memory', sub { my @now = $growing->processes('pool'); @now && !grep { $_ == $old } @now });
};

subtest 'WP-15: a server that stops does what waits' => sub {
    my $pool = pool('--workers', 2, '--pool', 1);
    my @notes = map { "kept $_" } 1 .. 8;
    is $pool->ask('forget', notes => \@notes, seconds => 0.1), [ (1) x 8 ], 'they are queued';
    $pool->server->stop;
    is [ grep { /kept/ } $pool->notes ], \@notes, 'and done';
};

subtest 'WP-8: a worker that leaves ends what it was ending' => sub {
    local $ENV{POOL_KILL_GRACE} = 1000;
    my $pool = pool('--workers', 1, '--pool', 1);
    my $stuck = $pool->begin('call', name => 'gate.wait', args => ['stuck'], options => { timeout => 1 });
    $pool->eventually('a job runs', sub { $pool->has_noted('begin stuck') });
    is $pool->end($stuck), [ 'failed', 'Timeout' ], 'for too long';
    my ($pid) = $pool->processes('pool');
    kill TERM => $pool->server->pid;
    $pool->eventually('its process goes when the worker does', sub { !kill 0 => $pid });
    unlike $pool->server->log, qr/Pool process 1 \(\d+\) (?:did not stop in time|has shown no sign of life)/, 'and is not waited for';
};

subtest 'WP-16: signals of a terminal are not for pool processes' => sub {
    my $pool = pool('--workers', 1, '--pool', 1);
    my ($pid) = $pool->processes('pool');
    kill $_ => $pid for qw(INT QUIT HUP);
    is $pool->ask('call', name => 'note.text', args => ['after'])->[1], $pid, 'it works on' for 1 .. 5;
    my $running = $pool->begin('call', name => 'gate.wait', args => ['last']);
    $pool->eventually('a job runs', sub { $pool->has_noted('begin last') });
    # As a terminal does it: everybody is told.
    kill INT => $pool->server->pid, $pool->processes('worker'), $pid;
    $pool->note('open last');
    is $pool->end($running), [ 'done', $pid ], 'a request that needs it is finished';
};

subtest 'WP-5: a reload replaces the processes' => sub {
    my $pool = pool('--workers', 2, '--pool', 2);
    my %old = map { $_ => 1 } $pool->processes('pool');
    kill HUP => $pool->server->pid;
    my @outcomes;
    $pool->eventually('others have come', sub {
        push @outcomes, $pool->ask('call', name => 'note.text', args => ['during'])->[0];
        my @now = $pool->processes('pool');
        return @now == 2 && !grep { $old{$_} } @now;
    });
    is [ distinct(@outcomes) ], ['done'], 'and jobs are done all the time';
};

subtest 'WP-25, WP-26: forks beside the threads of a worker' => sub {
    my $pool = pool('--workers', 1);
    my @outcomes = $pool->ask('blocking', count => 60)->@*;
    is \@outcomes, [ map { [ 'done', 2 * $_ ] } 1 .. 60 ], 'sixty calls that also log';
};

subtest 'WP-24: a handler that holds up the loop is named' => sub {
    my $pool = pool('--workers', 1, '--pool', 1);
    $pool->ask('busy');
    $pool->eventually('with its request and its line', sub { $pool->server->log =~ m{Slow handler: GET /busy held the event loop for \d{3,} ms, at \S+work\.pl line \d+} });
    $pool->ask('call', name => 'note.text', args => [ 'slow', 0.5 ]);
    unlike $pool->server->log, qr{Slow handler: GET /call}, 'one that waits for the pool is not';
};

done_testing;
