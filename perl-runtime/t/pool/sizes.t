use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGI::WorkerPool;
use PAGITest::Pool;

# Pools of PAGI::WorkerPool that may have only some of the server's processes, through the real server.

sub pool (@args) { return PAGITest::Pool->new('t/pool/apps/sizes.pl', @args) }

# The most jobs of a pool that ran at the same time, by the notes.
sub most_at_once ($pool, $name) {
    my ($now, $most) = (0, 0);
    for my $note ($pool->notes) {
        $now++ if $note =~ /\Abegin $name /;
        $now-- if $note =~ /\Aend $name /;
        $most = $now if $now > $most;
    }
    return $most;
}
sub begun ($pool, $name) { return scalar grep { /\Abegin $name / } $pool->notes }

subtest 'WP-3: a pool with a size of its own' => sub {
    my $pool = pool('--workers', 3, '--pool', 4);
    is [ map { $pool->ask('stats', pool => $_)->{workers} } 'default', 'few', 'single' ], [ 4, 2, 1 ], 'sizes';

    my @jobs = map { $pool->begin('call', pool => 'few', name => 'gate.wait', args => ["f$_"], options => { queue_timeout => 50 }) } 1 .. 12;
    $pool->eventually('two run', sub { 2 == begun($pool, 'few') });
    my @others = map { $pool->begin('call', pool => 'default', name => 'gate.wait', args => ["other $_"]) } 1, 2;
    $pool->eventually('two of another pool run beside them', sub { 2 == begun($pool, 'default') });
    $pool->note("open other $_") for 1, 2;
    is [ map { $pool->end($_)->[0] } @others ], [ 'done', 'done' ], 'to their end';
    is [ map { $pool->ask('call', pool => 'default', name => 'note.text', args => ['quick'])->[0] } 1 .. 20 ], [ ('done') x 20 ], 'what waits for the pool occupies no process';
    is begun($pool, 'few'), 2, 'and has not begun';
    is $pool->ask('call', pool => 'few', name => 'note.text', args => ['never'], options => { queue_timeout => 0.3 }), [ 'failed', 'Timeout' ], 'WP-8: nor does it wait beyond its queue_timeout';
    is $pool->ask('forget', pool => 'few', note => 'forgotten'), 1, 'a job that nobody waits for';

    $pool->note("open f$_") for 1 .. 12;
    is [ map { $pool->end($_)->[0] } @jobs ], [ ('done') x 12 ], 'all are done';
    $pool->eventually('that one too', sub { $pool->has_noted('forgotten') });
    is most_at_once($pool, 'few'), 2, 'two at a time, whichever workers asked';
    ok !$pool->has_noted('never'), 'the one that was given up was not begun';

    is [ map { $pool->ask('call', pool => 'few', name => 'job.kill')->[1] } 1 .. 3 ], [ ('WorkerDied') x 3 ], 'WP-10: processes that die';
    is $pool->ask('call', pool => 'few', name => 'note.text', args => ['after'])->[0], 'done', 'leave their place';
    my @overdue = map { $pool->begin('call', pool => 'few', name => 'gate.wait', args => ["late $_"], options => { timeout => 0.5 }) } 1 .. 4;
    is [ map { $pool->end($_)->[1] } @overdue ], [ ('Timeout') x 4 ], 'WP-8: what takes too long ends';
    is $pool->ask('call', pool => 'few', name => 'note.text', args => ['then'])->[0], 'done', 'and the next ones follow';
    $pool->eventually('nothing waits', sub { !$pool->ask('stats', pool => 'few')->{queue_depth} });
};

subtest 'WP-3, WP-14: keys in such a pool' => sub {
    my $pool = pool('--workers', 2, '--pool', 4);
    my @jobs = map { my $key = $_; map { $pool->begin('call', pool => 'few', name => 'gate.wait', args => ["$key$_"], options => { key => $key }) } 1 .. 3 } 'a' .. 'c';
    $pool->eventually('two run', sub { 2 == begun($pool, 'few') });
    my @first = map { /\Abegin few (\w)/ ? $1 : () } $pool->notes;
    isnt $first[0], $first[1], 'of different keys';
    for my $key ('a' .. 'c') { $pool->note("open $key$_") for 1 .. 3 }
    is [ map { $pool->end($_)->[0] } @jobs ], [ ('done') x 9 ], 'all are done';
    is most_at_once($pool, 'few'), 2, 'two at a time';
    for my $key ('a' .. 'c') {
        my @steps = map { /\A(begin|end) few $key(\d)/ ? "$1 $2" : () } $pool->notes;
        is [ map { $steps[ 2 * $_ ] =~ s/begin/end/r } 0 .. 2 ], [ map { $steps[ 2 * $_ + 1 ] } 0 .. 2 ], "one at a time: key $key";
    }
};

subtest 'WP-9: a job that nobody waits for, and no place for it' => sub {
    my $pool = pool('--workers', 1, '--pool', 2);
    my $replaced = sub {
        kill KILL => $pool->processes('worker');
        $pool->eventually('another worker', sub { eval { $pool->ask('pid') } });
    };
    $pool->begin('call', pool => 'single',  name => 'gate.wait', args => ['place']);
    $pool->begin('call', pool => 'default', name => 'gate.wait', args => ['process']);
    $pool->eventually('both processes are busy', sub { begun($pool, 'single') && begun($pool, 'default') });
    $replaced->();
    is $pool->ask('forget', pool => 'single', note => 'kept'), 1, 'one more';
    $replaced->();
    $pool->note('open process');
    $pool->eventually('a process is free for it', sub { $pool->has_noted('end default process') });
    my $other = $pool->begin('call', pool => 'default', name => 'note.text', args => ['behind']);
    ok !$pool->has_noted('kept'), 'but no place in its pool';
    $pool->note('open place');
    $pool->eventually('then it is done, although its worker has gone', sub { $pool->has_noted('kept') });
    is $pool->end($other)->[0], 'done', 'and so are others';
    my @notes = grep { /\A(?:end single place|kept)\z/ } $pool->notes;
    is \@notes, [ 'end single place', 'kept' ], 'one after the other';
};

like dies { PAGI::WorkerPool->new(name => "bad $_", workers => $_) }, qr/\Aworkers must be a number of processes, at least 1 at \Q$0\E/, "workers => '$_'" for 0, -1, 1.5, 'two', '';

done_testing;
