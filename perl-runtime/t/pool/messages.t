use v5.36;
use Test2::V0;
use JSON::MaybeXS ();
use PAGI::WorkerPool;
use PAGI::WorkerPool::Message qw(decode encode encode_failure);

# What may travel (CH-12 to CH-15), and what the interface refuses, without a server.

package Local::Hooked {
    sub STORABLE_freeze ($self, $cloning) { return $self->{name} }
    sub STORABLE_thaw ($self, $cloning, $name) { $self->{name} = uc $name; return }
}

package Local::Plain { sub new ($class, @what) { return bless [@what], $class } }

my $LIMIT = 10_000;

for my $data (undef, '', 0, -1.5, 1e300, "\0\xff", "\x{263a}", [], {}, [ [ undef, { a => [ 1, { b => 'c' } ] } ] ]) {
    is decode(encode([$data], $LIMIT)), [$data], 'CH-14: data';
}
ok utf8::is_utf8(decode(encode([ "\x{e9}\x{263a}" ], $LIMIT))->[0]), 'CH-14: characters';
is decode(encode([ map { $_ ? JSON::MaybeXS::true() : JSON::MaybeXS::false() } 1, 0 ], $LIMIT)), [ T(), F() ], 'CH-14: booleans';
my $shared = [1];
my $copy = decode(encode([ $shared, $shared ], $LIMIT));
push @{ $copy->[0] }, 2;
is $shared, [1], 'CH-13: a copy';
is decode(encode([ bless { name => 'ada', code => sub { } }, 'Local::Hooked' ], $LIMIT))->[0]{name}, 'ADA', 'CH-12: a class with hooks';

my $ring = {};
$ring->{self} = [$ring];
tie my %tied, 'Local::Tied';
sub Local::Tied::TIEHASH { return bless {}, shift }
my %refused = (
    'a reference of type CODE'   => sub { },
    'a reference of type SCALAR' => \1,
    'a reference of type GLOB'   => \*STDOUT,
    'a glob'                     => *STDOUT,
    'an object of class Regexp'  => qr/x/,
    'an object of class Local::Plain, which has no STORABLE_freeze' => Local::Plain->new(1),
    'a reference to what holds it' => $ring,
    'a tied hash'                => \%tied,
);
for my $what (sort keys %refused) {
    my $error = dies { encode([ { key => [ 1, $refused{$what} ] } ], $LIMIT) };
    isa_ok $error, 'PAGI::WorkerPool::Error';
    is $error->code, 'NotSerializable', "CH-12: $what";
    like "$error", qr/\ANotSerializable: \[0\]\{key\}\[1\]\S* is \Q$what\E/, 'which and where';
}
is decode(encode([ 'x' x 9_900 ], $LIMIT)), [ 'x' x 9_900 ], 'CH-15: up to the limit';
my $large = dies { encode([ 'x' x 10_000 ], $LIMIT) };
is [ $large->code, $large->limit ], [ 'MessageTooLarge', $LIMIT ], 'CH-15: beyond it';

is decode(encode_failure("text\n", $LIMIT)), [ 0, "text\n", undef ], 'WP-11: text';
isa_ok decode(encode_failure(Local::Plain->new('a'), $LIMIT))->[1], 'Local::Plain';
like decode(encode_failure(Local::Plain->new(sub { }), $LIMIT))->[1], qr/\ALocal::Plain: Local::Plain=ARRAY/, 'WP-11: an object with code in it';
like decode(encode_failure('x' x 100_000, $LIMIT))->[1], qr/\A(?:x{1024}){64}\.\.\. \(cut\)\n\z/, 'WP-11: far too much text';

like dies { PAGI::WorkerPool->new(size => 1) }, qr/Unknown options of the worker pool: size\. Valid: apps, cleanup, debug, /, 'options';
like dies { PAGI::WorkerPool->new(timeout => 'soon') }, qr/timeout must be a number of at least 0/, 'numbers';
like dies { PAGI::WorkerPool->new(init => 1) }, qr/init must be a coderef/, 'init';
like dies { PAGI::WorkerPool->new(handlers => { 'a b' => sub { } }) }, qr/The name of a handler is like 'domain.action', not 'a b'/, 'names';
like dies { PAGI::WorkerPool->new(handlers => { a => 1 }) }, qr/The handler 'a' must be a coderef/, 'handlers';
my $pool = PAGI::WorkerPool->default->register(a => sub { });
ref_is(PAGI::WorkerPool->default, $pool, 'WP-3: one default pool');
ref_is(PAGI::WorkerPool->new(name => 'db'), PAGI::WorkerPool->named('db'), 'WP-3: and others by name');
like dies { PAGI::WorkerPool->new(name => 'db') }, qr/There is a worker pool 'db' already/, 'once';
like dies { $pool->register(a => sub { }) }, qr/There is a handler 'a' already/, 'a handler too';
is { map { $_ => $pool->{$_} } qw(workers timeout queue_timeout kill_grace max_size max_jobs max_forks fork_timeout fork_queue_limit init_timeout) }, {
    workers => undef, timeout => 30, queue_timeout => undef, kill_grace => 2, max_size => 16 << 20, max_jobs => 1000, max_forks => 4, fork_timeout => 30, fork_queue_limit => 100, init_timeout => 10,
}, 'defaults';
is $pool->is_available, 0, 'nothing to go to';
is [ ($pool->call('a')->failure)[ 1, 2 ] ], [ 'worker_pool', 'Unavailable' ], 'a call says so';
is $pool->stats, hash { field rejected => 1; field workers => 0; field queue_limit => 0; field forks => hash { field workers => 4; etc }; etc }, 'WP-19: and is counted';
like dies { PAGI::WorkerPool->new(name => 'none', max_forks => 0)->run_blocking(sub { }) },
    qr/run_blocking requires worker configuration: PAGI::WorkerPool->new\(max_forks => 4\) at \Q${\__FILE__}/, 'WP-28: run_blocking switched off';

done_testing;
