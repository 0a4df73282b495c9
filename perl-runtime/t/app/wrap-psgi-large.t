use v5.36;
use Test2::V0;
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use IO::Socket::INET;
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use Time::HiRes qw(sleep time);

# Large bodies into and out of a PSGI application: neither may stay in memory. TEST_PSGI_MIB=1024 makes it a gigabyte.

my $MIB   = $ENV{TEST_PSGI_MIB} || 128;
my $SIZE  = $MIB * 1024 * 1024;
my $BLOCK = 262_144;
my $BOUND = 48;    # MiB that a process may grow by
my $PATIENCE = 60 + $MIB;    # seconds for one body

my $binary = server_binary();
if (!defined $binary) {
    ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
    done_testing;
    exit;
}

my $app = File::Temp->new(SUFFIX => '.psgi');
print {$app} <<'END';
use v5.36;
my $block = 'y' x 262_144;
package Blocks;
sub getline ($self) { return $self->[0]-- > 0 ? $block : undef }
sub close { }
package main;
sub ($env) {
    if ($env->{REQUEST_METHOD} eq 'POST') {
        my ($size, $length) = (0, $env->{CONTENT_LENGTH});
        while (my $got = $env->{'psgi.input'}->read(my $bytes, 262_144)) { $size += $got }
        return [200, ['Content-Type' => 'text/plain'], ["$size $length"]];
    }
    return [200, ['Content-Type' => 'text/plain'], [$$]] if $env->{PATH_INFO} eq '/pid';
    my $count = $env->{QUERY_STRING};
    if ($env->{PATH_INFO} eq '/handle') {
        my $body = bless [$count], 'Blocks';
        return [200, ['Content-Type' => 'text/plain'], $body];
    }
    return sub ($respond) {
        my $writer = $respond->([200, ['Content-Type' => 'text/plain']]);
        my $ok = eval { $writer->write($block) for 1 .. $count; 1 };
        print STDERR "stopped: $@" unless $ok;
        die $@ unless $ok;
        $writer->close;
    };
};
END
close $app;

sub pids ($server) {
    my @pids = ($server->pid);
    for my $dir (glob '/proc/[0-9]*') {
        open my $stat, '<', "$dir/stat" or next;
        my ($pid, $parent) = (readline($stat) // '') =~ /\A(\d+) \(.*\) \S (\d+)/ or next;
        push @pids, $pid if $parent == $server->pid;
    }
    return @pids;
}

sub status ($pid, $key) {
    open my $in, '<', "/proc/$pid/status" or return 0;
    local $/;
    my ($value) = readline($in) =~ /^\Q$key\E:\s+(\d+) kB/m;
    return ($value // 0) / 1024;
}

sub connected ($port) { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) || die "Cannot connect: $!" }

sub head_of ($socket) {
    my $head = '';
    while ($head !~ /\r\n\r\n\z/) { sysread $socket, $head, 1, length $head or die "no response: $head" }
    return $head;
}

sub upload ($port, $chunked) {
    my $socket = connected($port);
    my $block = 'x' x $BLOCK;
    my $piece = $chunked ? sprintf("%x\r\n%s\r\n", $BLOCK, $block) : $block;
    alarm $PATIENCE;
    print {$socket} "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", ($chunked ? 'Transfer-Encoding: chunked' : "Content-Length: $SIZE"), "\r\n\r\n";
    for (1 .. $SIZE / $BLOCK) { print {$socket} $piece or die "Cannot send: $!" }
    print {$socket} "0\r\n\r\n" if $chunked;
    $socket->flush;
    head_of($socket);
    local $/;
    my $body = readline $socket;
    alarm 0;
    return $body =~ /(\d+ \d+)/ ? $1 : $body;
}

# Bytes of a chunked response. A slow client reads nothing for a while first.
sub download ($port, $path, $slow) {
    my $socket = connected($port);
    print {$socket} "GET $path?" . $SIZE / $BLOCK . " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    head_of($socket);
    sleep $slow;
    my ($size, $end) = (0, '');
    alarm $PATIENCE;
    while (my $got = sysread $socket, my $bytes, $BLOCK) {
        $size += $bytes =~ tr/y//;
        $end = substr $end . $bytes, -5;
    }
    alarm 0;
    return [$size, $end];
}

for my $args ([], ['--workers', 1, '--pool', 1]) {
    my $is_pool = @$args;
    subtest $is_pool ? 'in the pool' : 'in the worker' => sub {
        my $server = PAGITest::ServerProcess->new(binary => $binary, args => [@$args, '-E', 'production', '--no-access-log', '--max-body-size', 0, '--port', 0, "$app"],
            env => { PERL5LIB => join ':', "$FindBin::Bin/../../lib", grep { defined } $ENV{PERL5LIB} });
        my $client = PAGITest::ServerClient->new(port => $server->port);
        # What is loaded with the first request is not what this is about.
        is $client->post('/', body => 'x' x 100_000)->content, '100000 100000', 'an upload';
        my %before = map { $_ => status($_, 'VmRSS') } pids($server);
        is upload($server->port, $_), "$SIZE $SIZE", "$MIB MiB " . ($_ ? 'in chunks' : 'with a length') for 0, 1;
        is download($server->port, '/handle', 0.3), [$SIZE, "0\r\n\r\n"], "$MIB MiB from an object";
        # In the worker a writer cannot wait.
        is download($server->port, '/writer', 0.3), [$SIZE, "0\r\n\r\n"], "$MIB MiB by a writer" if $is_pool;
        for my $pid (sort keys %before) {
            my $more = status($pid, 'VmHWM') - $before{$pid};
            cmp_ok $more, '<', $BOUND, sprintf 'process %d took %.1f MiB more than the %.1f before', $pid, $more, $before{$pid};
        }
        if ($is_pool) {
            my $pid = $client->get('/pid')->content;
            my $socket = connected($server->port);
            print {$socket} "GET /writer?1000000 HTTP/1.1\r\nHost: x\r\n\r\n";
            head_of($socket);
            close $socket;
            is $client->get('/pid')->content, $pid, 'a client that goes ends the response, and not the process';
            my $deadline = time + 10;
            sleep 0.05 until $server->log =~ /stopped:/ || time > $deadline;
            like $server->log, qr/stopped: The client has gone/, 'its application was told';
            unlike $server->log, qr/application error/, 'which is no error of its';
        }
        $server->stop;
    };
}

done_testing;
