use v5.36;
use Test2::V0;
use PAGI::Shared;

# The store of a server with one process: the interface, and the limits.

my $shared = PAGI::Shared->new(place => 'memory:;entries=10;bytes=10000;item=2000');
is $shared->is_shared, 0, 'nobody else';
is $shared->get('a')->get, undef, 'nothing there';
$shared->set(a => 'one', 60)->get;
is $shared->get('a')->get, 'one', 'kept';
is [ map { $_->get } $shared->touch('a', 60), $shared->touch('b', 60) ], [ 1, 0 ], 'touch tells whether it is there';
is [ map { $_->get } $shared->delete('a'), $shared->delete('a') ], [ 1, 0 ], 'so does delete';

$shared->set(short => 'x', 0.001)->get;
select undef, undef, undef, 0.02;
is $shared->get('short')->get, undef, 'gone after its time';
$shared->set(short => 'x', 0.001)->get;
$shared->touch(short => 60)->get;
is $shared->get('short')->get, 'x', 'unless its life was made longer in time' if $shared->get('short')->get;

like $shared->set(big => 'x' x 2001, 60)->failure, qr/refused this: 2001 bytes are more than --store-item-bytes 2000 allows/, 'an item that is too large';
like $shared->publish(news => 'x' x 2001)->failure, qr/2001 bytes are more/, 'a message too';
is $shared->publish(news => 'x')->get, 0, 'nobody hears a message';

my $full = PAGI::Shared->new(place => 'memory:;entries=10;bytes=1000000;item=2000');
$full->set($_ => 'x', 60)->get for 1 .. 10;
$full->get(1)->get;
$full->set(11 => 'x', 60)->get;
is [ map { $full->get($_)->get } 1, 2, 11 ], [ 'x', undef, 'x' ], 'entries: the longest unused goes';
my $heavy = PAGI::Shared->new(place => 'memory:;entries=1000;bytes=5000;item=2000');
$heavy->set($_ => 'x' x 1000, 60)->get for 1 .. 4;
is [ map { $heavy->get($_)->get // '' } 1, 4 ], [ '', 'x' x 1000 ], 'bytes: the same';
like $heavy->set('k' x 4000, 'x' x 2000, 60)->failure, qr/takes 6256 bytes, more than the 5000 of the whole store/, 'what does not fit at all';
is $heavy->get(4)->get, 'x' x 1000, 'displaces nothing';

like dies { $shared->set(a => "\x{263a}", 60) }, qr/\AA value must be bytes: encode characters first/, 'characters';
like dies { $shared->get(undef) }, qr/\AA key must be defined/, 'no key';
like dies { $shared->set(a => 'x', $_) }, qr/\AThe life of an entry must be a number of seconds above 0/, 'life: ' . ($_ // 'undef') for undef, 0, -1, 'long', '';
my $elsewhere = PAGI::Shared->new(place => 'unix:@somewhere;entries=10');
is [ $elsewhere->is_shared, $elsewhere->get('a')->get ], [ 0, undef ], 'a program that a worker has started keeps to itself';
like dies { PAGI::Shared->new(place => 'tcp:x') }, qr/must start with unix:\@NAME or memory:, not 'tcp:x'/, 'place';
like dies { PAGI::Shared->new(size => 1) }, qr/Unknown options to PAGI::Shared->new: size/, 'options';
like dies { $shared->on_message('x') }, qr/on_message takes a coderef/, 'on_message';

done_testing;
