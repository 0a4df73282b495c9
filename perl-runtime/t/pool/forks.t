use v5.36;
use Test2::V0;
use DBI ();
use File::Temp ();
use Future;
use Future::IO::Impl::IOAsync;
use PAGI::WorkerPool;
use PAGI::WorkerPool::Forks;

# run_blocking (WP-25 to WP-27).

my $forks = PAGI::WorkerPool::Forks->new(max_workers => 2, queue_limit => 1, timeout => 20);
my @big = $forks->run(sub ($n) { return ('x' x $n, [ 1, 2 ]) }, 3_000_000)->get;
is [ length $big[0], $big[1] ], [ 3_000_000, [ 1, 2 ] ], 'AT-11: a signature, a list, a large result';
my $factor = 3;
is $forks->run(sub { $factor++; 7 * $factor })->get, 28, 'AT-11: a closure';
is $factor, 3, 'which changes nothing here';
isa_ok $forks->run(sub { die bless { why => 1 }, 'Local::Problem' })->failure, 'Local::Problem';
my ($parent, $ends) = ($$, File::Temp->new);
END { syswrite $ends, "x" if $ends && $$ != $parent }
my $ended = $forks->run(sub { open $ends, '>>', "$ends" or die; exit 3 });
eval { $ended->get };
is -s "$ends", 0, 'WP-25: no END block runs twice';
is [ ($ended->failure)[ 1, 2 ] ], [ 'worker_pool', 'WorkerDied' ], 'exit';
my $code = $forks->run(sub { return sub { } });
eval { $code->get };
is eval { $code->failure->code }, 'NotSerializable', 'a result that cannot be sent';

my @futures = map { $forks->run(sub { sleep 30 }) } 1 .. 4;
is $forks->stats, { workers => 2, busy => 2, queue_depth => 1, queue_limit => 1 }, 'WP-25: the cap, and a queue';
my $refused = $futures[3]->failure;
is [ map { $refused->$_ } qw(code depth limit) ], [ 'Backpressure', 1, 1 ], 'WP-7: no more';
my @pids = keys %{ $forks->{children} };
$futures[2]->cancel;
is $forks->stats->{queue_depth}, 0, 'WP-9: a call that waits is given up';
$_->cancel for @futures[ 0, 1 ];
is $forks->stats->{busy}, 0, 'and those that run';
is [ grep { kill 0 => $_ } @pids ], [], 'with their processes';

my $short = PAGI::WorkerPool::Forks->new(timeout => 0.2);
my $late = $short->run(sub { sleep 30 });
eval { $late->get };
is [ $late->failure->code, $late->failure->message ], [ 'Timeout', 'Blocking work took longer than 0.2 seconds' ], 'WP-8: a limit in time';

# WP-27: a handle that is destroyed in the child.
my $dbh = DBI->connect('dbi:ExampleP:', '', '', { RaiseError => 1 });
is [ $forks->run(sub { my @seen = map { $_ ? 1 : 0 } $dbh->{InactiveDestroy}, $dbh->{Driver}{InactiveDestroy}; undef $dbh; @seen })->get ], [ 1, 1 ],
    'WP-27: protected in the child';
is $dbh->{InactiveDestroy} ? 1 : 0, 0, 'not in the parent';
is [ $dbh->selectrow_array('select mode, name from ?', {}, '.') ]->[1], D(), 'AT-11: whose handle works';

$forks->stop;
is $forks->run(sub { })->failure->code, 'Unavailable', 'stopped';
like dies { PAGI::WorkerPool::Forks->new(min => 1) }, qr/Unknown options: min\. Valid: max_workers, queue_limit, timeout/, 'options';
like dies { $forks->run('x') }, qr/run_blocking takes a coderef and its arguments at \Q${\__FILE__}/, 'what it takes';

done_testing;
