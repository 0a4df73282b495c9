use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Temp ();
use Future;
use IO::Select ();
use PAGI::App::Router;
use PAGI::Sync qw(is_sync sync);
use PAGI::Test::Client;
use PAGITest::Pool;

# Handlers that are marked as blocking, and whole applications in the pool (WP-21 to WP-23, WP-29 to WP-32).

sub pool (@args) { return PAGITest::Pool->new('t/pool/apps/sync.pl', @args) }
sub first ($text) { return (split / /, $text)[0] }

package Local::App {
    sub new ($class) { return bless {}, $class }
    sub to_app ($self) { my $n = 1; return sub { return Future->done($n) } }
}

subtest 'WP-21: the mark' => sub {
    my $number = 0;
    my ($plain, $marked) = map { my $n = $_; sub { return $n } } 1 .. 2;
    ref_is(sync($marked), $marked, 'the coderef itself');
    is [ is_sync($marked), is_sync($plain), is_sync(undef), is_sync('x'), is_sync({}) ], [ 1, 0, 0, 0, 0 ], 'and nothing else has it';
    my $blessed = bless sub { return $number }, 'Local::Handler';
    is [ ref sync($blessed), is_sync($blessed) ], [ 'Local::Handler', 1 ], 'it is not blessed anew';
    is is_sync(bless sub { return $number }, 'PAGI::Sync'), 1, 'one that is blessed into the class counts';
    is is_sync(sync(Local::App->new)), 1, 'an object with to_app';
    like dies { sync($_) }, qr/\Async takes a coderef, or an object with to_app at \Q${\__FILE__}/, 'nothing else' for undef, 'x', [], Local::App::;
    for my $round (1 .. 1000) { my $code = sub { return $round }; is_sync($code) and fail("round $round has the mark of an earlier one"); sync($code) }
    pass('a mark goes away with its code');
};

subtest 'WP-22: in place without a pool' => sub {
    my $router = PAGI::App::Router->new;
    my $calls = 0;
    my $line = __LINE__ + 1;
    $router->get('/' => sync(sub { my (undef, undef, $send) = @_; $calls++;
        return $send->({ type => 'http.response.start', status => 200, headers => [] })->then(sub { $send->({ type => 'http.response.body', body => 'here' }) }) }));
    my $client = PAGI::Test::Client->new(app => $router->to_app);
    my $log = File::Temp->new;
    open my $stderr, '>&', \*STDERR or die;
    open STDERR, '>>', "$log" or die;
    my @texts = map { $client->get('/')->text } 1 .. 3;
    open STDERR, '>&', $stderr or die;
    is \@texts, [ ('here') x 3 ], 'it runs';
    my @lines = readline $log;
    is \@lines, [ "The blocking handler at ${\__FILE__} line $line runs in the event loop and holds everybody else up: there is no pool (--pool)\n" ], 'and is named once';

    my $pool = pool('--workers', 2);
    my %pids = map { first($pool->client->get($_)->text) => 1 } qw(/pid /sync/7 /mounted/x /endpoint/blocking /simple/blocking/1 /app/state) x 6;
    is [ sort { $a <=> $b } keys %pids ], [ $pool->processes('worker') ], 'so it does in every router of a server without --pool';
    $pool->eventually('which says so', sub { $pool->server->log =~ /The blocking handler at \S+sync\.pl line \d+ runs in the event loop/ });
};

subtest 'WP-22: in the pool' => sub {
    my $pool = pool('--workers', 1, '--pool', 1);
    my $client = $pool->client;
    my ($worker, $process) = map { ($pool->processes($_))[0] } qw(worker pool);
    is $client->get('/pid')->text, $worker, 'a plain route stays';
    is $client->get('/simple/quick')->text, $worker, 'and so does one of PAGI::Simple';
    my $answer = $client->get('/sync/7');
    is $answer->text, "$process 7", 'WP-30: a route of PAGI::App::Router goes once it is matched, and is matched again there';
    is $answer->header('x-middleware'), $process, 'its middleware changes the response once';
    is [ sort map { /middleware in (\d+)/ } $pool->notes ], [ sort $worker, $process ], 'though it was called in both';
    is $client->get('/mounted/a/b')->text, "$process /mounted /a/b", 'WP-29: a mounted application';
    is $client->get('/by-class')->text, $process, 'WP-21: one that is marked by its class';
    is $client->get('/endpoint/blocking?q=x')->text, "$process x", 'a handler of PAGI::Endpoint::Router';
    is $client->get('/simple/blocking/3')->text, "$process 3", 'a handler of PAGI::Simple';
    is $client->post('/simple/blocking', json => { a => [ 1, "\x{263a}" ] })->json, { pid => $process, a => [ 1, "\x{263a}" ] }, 'with its body';
    for my $size (0, 10, 70_000, 2_000_000) {
        is $client->post('/sync/7', body => 'x' x $size)->text, "$process $size", "a body of $size bytes";
        is $client->post('/endpoint/blocking', body => 'x' x $size)->text, "$process $size", 'and to an endpoint';
    }
    is $client->head('/sync/7')->status, 200, 'HEAD';
    my @events;
    $client->sse('/events', sub ($sse) { push @events, $sse->receive_event->{data} });
    is \@events, [$worker], 'an event stream stays';
    $client->websocket('/socket', sub ($socket) { is $socket->receive_text, $worker, 'a WebSocket stays' });
    is $client->post('/late', body => 'x')->text, $worker, 'and so does a request that was read already';
    for my $reason ('a scope of type websocket cannot go to the pool', 'a scope of type sse cannot go to the pool', 'its request was read or answered before it got to it') {
        $pool->eventually("the log says: $reason", sub { $pool->server->log =~ /The blocking handler at \S+sync\.pl line \d+ runs in the event loop and holds everybody else up: \Q$reason\E/ });
    }
};

subtest 'WP-23: a pool that is full' => sub {
    my $pool = pool('--workers', 1, '--pool', 1, '--pool-queue-limit', 1);
    my $running = http($pool, '/gate/1');
    $pool->eventually('one is running', sub { $pool->has_noted('begin 1') });
    # One of these may wait, and the other is told so at once.
    my $both = IO::Select->new(map { http($pool, '/gate/2') } 1 .. 2);
    my ($refused) = $both->can_read(60);
    $both->remove($refused);
    my ($waiting) = $both->handles;
    my $answer = answer($refused);
    like $answer, qr{\AHTTP/1\.1 503 }, 'one more than may wait is refused';
    like $answer, qr/^retry-after: 5\r$/mi, 'with Retry-After';
    is $pool->client->get('/pid')->status, 200, 'WP-22: others are served';
    $pool->note("open $_") for 1 .. 2;
    like answer($_), qr{\AHTTP/1\.1 200 }, 'what was accepted is answered' for $running, $waiting;
};

sub answer ($socket) { local $/; return readline $socket }

sub http ($pool, $path) {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $pool->server->port) or die "$@\n";
    $socket->printflush("GET $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return $socket;
}

subtest 'WP-31, WP-32: applications' => sub {
    my $pool = pool('--workers', 2, '--pool', 1);
    my ($process) = $pool->processes('pool');
    is $pool->client->get('/app/state')->text, "$process $process", 'WP-31: what init has made';
    is $pool->client->get('/app/none')->text, "UnknownHandler: the pool 'default' has no application 'none'", 'WP-1: an unknown name';
    my $body = $pool->client->get('/app/stream')->text;
    is length $body, 3 + 2000 * 10_000 + (map { length } join '', map { "part $_\n" } 1 .. 2000)[0], 'WP-32: a stream of twenty megabytes';
    like $body, qr/part 2000\n\.{10000}end\z/, 'to its end';

    my $slow = http($pool, '/app/endless');
    $pool->eventually('it began in the pool', sub { $pool->has_noted("endless in $process") });
    sysread $slow, my $some, 1000;
    close $slow;
    $pool->eventually('WP-32: and notices that its client has gone', sub { $pool->has_noted('endless saw http.disconnect') });
    is $pool->client->get('/app/state')->status, 200, 'the process works on';
};

done_testing;
