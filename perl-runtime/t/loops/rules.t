use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Temp ();
use PAGITest::Pool;
use Time::HiRes qw(sleep);

# Rules of event loops about what applications do: rightly, wrongly, and as hosts of a loop. Through the real server.

sub pool (@args) { return PAGITest::Pool->new('t/loops/apps/rules.pl', @args) }

subtest 'BLK-5: the ways out of a handler that blocks' => sub {
    my $pool = pool('--workers', 2, '--pool', 1, '--slow-handler', 0.1);
    my $blocked = $pool->begin('inline');
    $pool->eventually('one worker blocks', sub { $pool->has_noted('begin inline') });
    is [ map { ref \$pool->ask('pid') } 1 .. 20 ], [ ('SCALAR') x 20 ], 'more workers: another one answers everybody';
    sleep 0.3;    # so that it has blocked for longer than --slow-handler
    $pool->note('open inline');
    is $pool->end($blocked), 'through', 'the blocked request itself is late';
    $pool->eventually('and is named', sub { $pool->server->log =~ m{Slow handler: GET /inline held the event loop for \d+ ms, at \S+rules\.pl line \d+} });

    my $alone = pool('--workers', 1, '--pool', 1);
    my $pooled = $alone->begin('pooled');
    $alone->eventually('a job blocks', sub { $alone->has_noted('begin pooled') });
    is [ map { ref \$alone->ask('pid') } 1 .. 20 ], [ ('SCALAR') x 20 ], 'the pool: the only worker answers everybody';
    $alone->note('open pooled');
    is $alone->end($pooled), 'through', 'and the request itself';
    unlike $alone->server->log, qr/Slow handler/, 'nobody held the loop';
};

subtest 'what holds the loop is in the metrics' => sub {
    my $directory = File::Temp->newdir;
    my $pool = pool('--workers', 1, '--pool', 1, '--admin-listen', "$directory/admin");
    my $lag = sub {
        my ($seconds) = `curl -sS -m 10 --unix-socket $directory/admin http://admin/metrics` =~ /^pagi_worker_loop_lag_max_seconds\{worker="1"[^}]*\} (\S+)$/m;
        return $seconds // -1;
    };
    my $pooled = $pool->begin('pooled');
    $pool->eventually('a job blocks', sub { $pool->has_noted('begin pooled') });
    sleep 1.5;
    $pool->note('open pooled');
    is $pool->end($pooled), 'through', 'in the pool';
    my $before = $lag->();
    ok 0 <= $before && $before < 1.5, "which is no lag ($before s)";
    my $blocked = $pool->begin('inline');
    $pool->eventually('a handler blocks', sub { $pool->has_noted('begin inline') });
    sleep 1.5;
    $pool->note('open inline');
    is $pool->end($blocked), 'through', 'in the loop';
    $pool->eventually('which is', sub { $lag->() >= 1.5 });
};

subtest 'IOA-6: owning the loop and being embedded' => sub {
    for my $loop (undef, 'EV', 'Select') {
        my $pool = pool('--workers', 0, $loop ? ('--loop', $loop) : ());
        my $name = $loop // 'native';
        $pool->eventually("$name: a timer of the application ticks while requests are served", sub { $pool->ask('ticks')->[0] > 3 });
        my $run = $pool->begin('run');
        is [ map { ref \$pool->ask('pid') } 1 .. 5 ], [ ('SCALAR') x 5 ], "$name: others are served while a handler runs the loop";
        is $pool->end($run), [ 'stopped', 'ticked' ], "$name: until it stops it";
        $pool->eventually("$name: and it ticks on", sub { my $before = $pool->ask('ticks')->[0]; $pool->ask('ticks')->[0] > $before });
    }
};

subtest 'SRC-10: a response on a Future that nobody waits for' => sub {
    my $pool = pool('--workers', 0);
    is $pool->client->get('/detached')->status, 500, 'the request is over when its handler is';
    $pool->eventually('what comes late', sub { grep { /\Alate: / } $pool->notes });
    is $pool->ask('pid'), $pool->server->pid, 'harms nobody';
    like $pool->server->log, qr/without (?:starting|sending) a response|returned without|no response/i, 'and the log says what was wrong';
};

done_testing;
