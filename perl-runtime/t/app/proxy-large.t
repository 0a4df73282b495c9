use v5.36;
use Test2::V0;
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use IO::Socket::INET;
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use POSIX ();
use Time::HiRes qw(sleep time);

# Large bodies both ways, and WebSockets, through PAGI::App::Proxy: before our own server, and before nginx before that. The proxy's
# memory must not follow the size. TEST_PROXY_MIB=1024 makes it a gigabyte.

my $MIB   = $ENV{TEST_PROXY_MIB} || 128;
my $SIZE  = $MIB * 1024 * 1024;
my $BOUND = 48;    # MiB that the proxy may grow by
my $PATIENCE = 60 + $MIB;    # seconds for one body

my $binary = server_binary();
if (!defined $binary) {
    ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
    done_testing;
    exit;
}

my $dir = File::Temp->newdir;
chmod 0755, "$dir";
{
    # A sparse file with something at its end.
    open my $file, '>', "$dir/large" or die "Cannot write $dir/large: $!";
    truncate $file, $SIZE - 3 or die;
    seek $file, 0, 2 or die;
    print {$file} 'END';
    close $file or die;
}

sub start ($app, %env) {
    return PAGITest::ServerProcess->new(
        binary => $binary,
        args   => ['-E', 'production', '--no-access-log', '--max-body-size', 0, '--port', 0, "$FindBin::Bin/apps/$app"],
        env    => { %env, PERL5LIB => join ':', "$FindBin::Bin/../../lib", grep { defined } $ENV{PERL5LIB} },
    );
}

sub start_nginx ($upstream) {
    my $port = do { my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die; $probe->sockport };
    open my $conf, '>', "$dir/nginx.conf" or die;
    print {$conf} <<"END";
daemon off; worker_processes 1; pid $dir/nginx.pid; error_log stderr warn;
events { worker_connections 100; }
http {
    access_log off; client_max_body_size 0;
    client_body_temp_path $dir/b; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
    server {
        listen 127.0.0.1:$port;
        location = /large { root $dir; }
        location / {
            proxy_pass http://127.0.0.1:$upstream; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
            proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection \$http_connection;
        }
    }
}
END
    close $conf or die;
    my $pid = fork // die "Cannot fork: $!";
    if (!$pid) {
        open STDOUT, '>>', "$dir/nginx.log";
        open STDERR, '>>', "$dir/nginx.log";
        exec 'nginx', '-e', 'stderr', '-p', "$dir", '-c', "$dir/nginx.conf" or POSIX::_exit(127);
    }
    my $deadline = time + 20;
    until (IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)) {
        die "nginx did not start:\n" . slurp("$dir/nginx.log") if time > $deadline || waitpid($pid, POSIX::WNOHANG()) == $pid;
        sleep 0.05;
    }
    return ($pid, $port);
}

sub slurp ($path) { open my $in, '<', $path or return ''; local $/; return scalar readline($in) // '' }

# Resident memory in MiB, and its highest mark.
sub memory ($pid) {
    my %value = slurp("/proc/$pid/status") =~ /^(VmRSS|VmHWM):\s+(\d+) kB/mg;
    return map { $_ / 1024 } @value{qw(VmRSS VmHWM)};
}

sub connected ($port) {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "Cannot connect: $!";
    return $socket;
}

sub head_of ($socket) {
    my $head = '';
    while ($head !~ /\r\n\r\n\z/) { sysread $socket, $head, 1, length $head or die "no response: $head" }
    return $head;
}

sub download ($port, $path) {
    my $socket = connected($port);
    print {$socket} "GET $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    my $head = head_of($socket);
    my ($size, $end) = (0, '');
    alarm $PATIENCE;
    while (my $got = sysread $socket, my $bytes, 262_144) {
        $size += $got;
        $end = substr $end . $bytes, -3;
    }
    alarm 0;
    return [$head =~ m{\AHTTP/1\.1 (\d+)}, $size, $end];
}

sub upload ($port, $chunked) {
    my $socket = connected($port);
    my $block = 'x' x 262_144;
    my $piece = $chunked ? sprintf("%x\r\n%s\r\n", length $block, $block) : $block;
    print {$socket} "POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", ($chunked ? "Transfer-Encoding: chunked" : "Content-Length: $SIZE"), "\r\n\r\n";
    alarm $PATIENCE;
    for (1 .. $SIZE / length $block) { print {$socket} $piece or die "Cannot send: $!" }
    print {$socket} "0\r\n\r\n" if $chunked;
    $socket->flush;
    my $head = head_of($socket);
    my $body = do { local $/; readline $socket };
    alarm 0;
    return [$head =~ m{\AHTTP/1\.1 (\d+)}, $body];
}

my $backend = start('large-bodies.pl', TEST_FILE => "$dir/large");
my ($nginx, $nginx_port) = start_nginx($backend->port);

for (['our own server', $backend->port], ['nginx', $nginx_port]) {
    my ($name, $upstream) = @$_;
    subtest "before $name" => sub {
        my $proxy = start('proxy-to.pl', TEST_UPSTREAM => $upstream);
        # What is loaded with the first request is not what this is about.
        PAGITest::ServerClient->new(port => $proxy->port)->post('/count', body => 'abc');
        my ($before) = memory($proxy->pid);
        is download($proxy->port, '/large'), [200, $SIZE, 'END'], "$MIB MiB down";
        is upload($proxy->port, 0), [200, $SIZE], "$MIB MiB up";
        is upload($proxy->port, 1), [200, $SIZE], 'the same in chunks';
        my (undef, $highest) = memory($proxy->pid);
        cmp_ok $highest - $before, '<', $BOUND, sprintf 'at most %.1f MiB of memory more than the %.1f before', $highest - $before, $before;

        my $ws = PAGITest::ServerClient->new(port => $proxy->port)->websocket('/ws');
        for my $length (1, 1_000, 60_000) {
            my $bytes = pack 'N*', map { $_ * 2_654_435_761 % 2**32 } 1 .. 1 + $length / 4;
            $ws->send_bytes($bytes);
            ok $ws->receive_bytes(20) eq $bytes, length($bytes) . ' bytes over a WebSocket';
        }
        $ws->close;
        $proxy->stop;
    };
}
kill TERM => $nginx;
waitpid $nginx, 0;

done_testing;
