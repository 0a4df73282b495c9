use v5.36;
use Test2::V0;
use Cwd ();
use FindBin;
use lib "$FindBin::Bin/../lib";
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use PAGITest::Wire;
use Time::HiRes qw(sleep time);

# Blocking actions beside a WebSocket of the same worker. benches/stall measures; here it is enough that the echoes do not wait
# for the actions: each of them would take half a second then, and there could be a dozen of them in all.

my $TOP = Cwd::abs_path("$FindBin::Bin/../../..");
my ($BLOCK, $AT_A_TIME, $ROUNDS) = (0.5, 8, 3);

my $binary = server_binary();
if (!defined $binary) {
    ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
    done_testing;
    exit;
}
my $server = PAGITest::ServerProcess->new(
    binary => $binary,
    args   => ['-E', 'production', '--workers', 1, '--pool', $AT_A_TIME, '--port', 0, "$TOP/examples/catalyst/app.psgi"],
    env    => { PERL5LIB => join ':', "$TOP/perl-runtime/lib", grep { defined } $ENV{PERL5LIB} },
);
my $ws = PAGITest::ServerClient->new(port => $server->port)->websocket('/shout');
$ws->send_text('first');
is $ws->receive_text(20), 'guest: FIRST', 'an echo';

my (@trips, $slept);
for my $round (1 .. $ROUNDS) {
    my @blocked = map { PAGITest::Wire->new($server->port) } 1 .. $AT_A_TIME;
    $_->write("GET /slow?seconds=$BLOCK HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") for @blocked;
    my $end = time + $BLOCK;
    while (time < $end) {
        my $began = time;
        $ws->send_text('hello');
        my $echo = $ws->receive_text(20);
        push @trips, time - $began;
        is $echo, 'guest: HELLO', 'answered' if @trips == 1;
        sleep 0.005;
    }
    for my $wire (@blocked) {
        my $head = $wire->read_head;
        my ($body) = $wire->read_body($head, 'GET');
        $slept++ if $head->{status} == 200 && $body eq 'slept';
    }
}
is $slept, $AT_A_TIME * $ROUNDS, 'all blocking actions were answered';
my @sorted = sort { $a <=> $b } @trips;
cmp_ok scalar @trips, '>', 15, scalar(@trips) . ' echoes meanwhile';
cmp_ok $sorted[@sorted / 2], '<', 0.2, sprintf 'the median is %.1f ms', 1000 * $sorted[@sorted / 2];
$ws->close;

done_testing;
