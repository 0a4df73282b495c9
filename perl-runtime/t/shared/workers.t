use v5.36;
use lib 't/lib';
use File::Temp ();
use IO::Socket::INET;
use Test2::V0;
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use Time::HiRes qw(sleep time);

# What one worker keeps another finds, and what one says the others hear.

my $binary = server_binary();
die "There is no pagi-server to run: build it, or name it in PAGI_SERVER\n" if !$binary;
ok $binary, 'a server to run' or exit;

sub server (@args) {
    my $server = PAGITest::ServerProcess->new(
        binary => $binary, args => [ @args, '--port', 0, 't/shared/apps/store.pl' ],
        env    => { PERL5LIB => join ':', 'lib', 't/lib', $ENV{PERL5LIB} // () },
    );
    return ($server, PAGITest::ServerClient->new(port => $server->port));
}

# Repeats until the condition holds: which worker answers is left to chance, and news takes its time.
sub eventually ($what, $condition) {
    my $deadline = time + 60;
    until ($condition->()) {
        return fail($what) if time > $deadline;
        sleep 0.01;
    }
    return pass($what);
}

sub workers ($client, $count) {
    my %seen;
    eventually "$count workers answer", sub { $seen{ $client->get('/pid')->json->{pid} } = 1; keys %seen >= $count };
    return sort keys %seen;
}

subtest 'entries' => sub {
    my ($server, $client) = server('--workers', 4);
    my %value;
    is $client->get('/pid')->json->{shared}, 1, 'shared';
    for my $n (1 .. 20) {
        is $client->get("/set?key=k$n&value=v$n")->json, { error => undef }, "set $n";
        $value{ $client->get("/get?key=k$n")->json->{value} // '' }++;
    }
    is [ sort keys %value ], [ sort map { "v$_" } 1 .. 20 ], 'whoever is asked finds them';
    is $client->get('/touch?key=k1&life=0.001')->json, { was => 1 }, 'touch';
    eventually 'an entry ends', sub { !defined $client->get('/get?key=k1')->json->{value} };
    is [ map { $client->get("/delete?key=k2")->json->{was} } 1, 2 ], [ 1, 0 ], 'delete';
    is $client->get('/set?key=big&size=1048576')->json, { error => undef }, 'the largest item';
    like $client->get('/set?key=big&size=1048577')->json->{error}, qr/1048577 bytes are more than --store-item-bytes 1048576/, 'and one byte more';

    my $child = $client->get('/forked')->json;
    is $child->{status}, 0, 'a forked child keeps something';
    is $client->get('/get?key=child')->json->{value}, "by $child->{pid}", 'which its parent and others find';
    is $client->get('/get?key=k3')->json->{value}, 'v3', 'and they go on';
};

subtest 'limits of the command line' => sub {
    my ($server, $client) = server('--workers', 2, '--store-entries', 3, '--store-item-bytes', 100, '--store-bytes', 2000);
    $client->get("/set?key=$_&value=x") for 1 .. 4;
    is [ map { $client->get("/get?key=$_")->json->{value} } 1 .. 4 ], [ undef, 'x', 'x', 'x' ], '--store-entries';
    like $client->get('/set?key=a&size=101')->json->{error}, qr/--store-item-bytes 100/, '--store-item-bytes';
    ($server, $client) = server('--workers', 2, '--store-bytes', 3000);
    $client->get("/set?key=$_&size=1000") for 1 .. 3;
    is [ map { defined $client->get("/get?key=$_")->json->{value} } 1 .. 3 ], [ '', 1, 1 ], '--store-bytes';
    ($server, $client) = server('--store-entries', 10, '--store-item-bytes', 100);
    is $client->get('/pid')->json->{shared}, 0, 'one process';
    $client->get("/set?key=$_&value=x") for 1 .. 11;
    is [ map { $client->get("/get?key=$_")->json->{value} } 1, 11 ], [ undef, 'x' ], '--store-entries';
    like $client->get('/set?key=a&size=101')->json->{error}, qr/--store-item-bytes 100/, '--store-item-bytes';
};

subtest 'a worker that does not listen' => sub {
    my ($server, $client) = server('--workers', 2, '--store-backlog', 100_000);
    workers($client, 2);
    my $directory = File::Temp->newdir;
    my $file = "$directory/blocked";
    my $socket = IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $server->port) or die "connect: $@\n";
    print {$socket} "GET /block?file=$file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    eventually 'one worker is busy', sub { -s $file };
    my $busy = do { open my $handle, '<', $file or die "$file: $!\n"; <$handle> };
    isnt $client->get('/flood')->json->{by}, $busy, 'the other one says much';
    unlink $file;
    like do { local $/; <$socket> }, qr/HTTP\/1\.1 200/, 'and it is free again';
    my %heard;
    eventually 'both are asked', sub { my $told = $client->get('/heard')->json; $heard{ $told->{pid} } = $told->{heard}; keys %heard == 2 };
    my $lost = delete $heard{$busy};
    is [ values %heard ], [50], 'who listens has heard everything';
    ok $lost < 50, "who does not has heard $lost";
    like $server->log, qr/A worker does not take its messages: those beyond --store-backlog 100000 are lost to it/, 'and the log says so';
};

subtest 'rooms' => sub {
    my ($server, $client) = server('--workers', 4);
    workers($client, 4);
    is [ map { @{ $client->get('/pid')->json->{heard} } } 1 .. 8 ], [], 'nobody has heard anything';
    is $client->get('/publish?channel=news&n=1')->json->{reached}, 4, 'what was subscribed before the fork hears, in every worker';
    my %heard;
    eventually 'all of them', sub { my $told = $client->get('/pid')->json; $heard{ $told->{pid} } = $told->{heard} if @{ $told->{heard} }; keys %heard == 4 };
    is $_, [ { text => "\x{263a}", n => 1 } ], 'once, characters intact' for values %heard;

    my (@sockets, %worker);
    while (keys %worker < 4 && @sockets < 100) {
        push @sockets, my $ws = $client->websocket('/room/red');
        my ($pid) = $ws->receive_text(20) =~ /joined ([0-9]+)/;
        $worker{$pid}++;
    }
    is scalar keys %worker, 4, 'sockets on each worker';
    my @texts = map { "message $_" } 1 .. 50;
    $sockets[0]->send_text($_) for @texts;
    for my $ws (@sockets) {
        is [ map { $ws->receive_text(20) } @texts ], \@texts, 'everybody gets everything in order';
    }
    is $client->get('/publish?channel=red&n=1')->json->{reached}, scalar @sockets, 'publish_async counts everybody';

    my ($victim) = keys %worker;
    my ($master) = $server->pid;
    kill KILL => $victim;
    my $left = @sockets - $worker{$victim};
    eventually 'the listeners of a worker that was killed are forgotten', sub { $client->get('/publish?channel=red&n=2')->json->{reached} == $left };
    workers($client, 4);
    eventually 'and its successor hears', sub { $client->get('/publish?channel=news&n=3')->json->{reached} == 4 };
};

subtest 'the whole route, and event streams' => sub {
    my ($server, $client) = server('--workers', 3);
    workers($client, 3);
    my %worker;
    my $on_each = sub ($connect, $read) {
        my @all;
        %worker = ();
        while (keys %worker < 3 && @all < 100) {
            push @all, my $one = $connect->();
            $worker{$1} = 1 if $read->($one) =~ /here ([0-9]+)/;
        }
        is scalar keys %worker, 3, 'on each worker';
        return @all;
    };
    my @sockets = $on_each->(sub { $client->websocket('/all') }, sub ($ws) { $ws->receive_text(20) });
    $sockets[0]->send_text('to all');
    is $_->receive_text(20), 'to all', 'a broadcast with one argument' for @sockets;

    my @streams = $on_each->(sub { $client->sse('/feed') }, sub ($sse) { $sse->receive_event(timeout => 20)->{data} });
    is $client->get('/publish?channel=feed&n=7')->json->{reached}, scalar @streams, 'published';
    is $_->receive_json(timeout => 20), { text => "\x{263a}", n => 7 }, 'an event on every stream' for @streams;
};

subtest 'reload' => sub {
    my ($server, $client) = server('--workers', 2);
    my @before = workers($client, 2);
    $client->get('/set?key=a&value=kept');
    kill HUP => $server->pid;
    my %seen;
    eventually 'other workers', sub { my $pid = $client->get('/pid')->json->{pid}; $seen{$pid} = 1 unless grep { $_ == $pid } @before; keys %seen == 2 };
    is $client->get('/get?key=a')->json->{value}, 'kept', 'entries outlast it';
    eventually 'and the old ones are not told any more', sub { $client->get('/publish?channel=news&n=1')->json->{reached} == 2 };
    unlike $server->log, qr/store/i, 'without a complaint';
};

subtest 'every worker loads for itself' => sub {
    my ($server, $client) = server('--workers', 2, '--no-preload');
    eventually 'all subscribe', sub { $client->get('/publish?channel=news&n=1')->json->{reached} == 2 };
};

done_testing;
