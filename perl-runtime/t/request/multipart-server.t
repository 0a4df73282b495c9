use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test2::V0;
use File::Temp;
use IO::Socket::INET;
use JSON::MaybeXS qw(decode_json);
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerProcess;
use Time::HiRes qw(sleep time);

# Uploads through the server: large ones in bounded memory, bad ones with the documented error, and nothing left on disk.

my $binary = server_binary();
die "There is no pagi-server to run: build it, or name it in PAGI_SERVER\n" if !$binary;
ok $binary, 'a server to run' or exit;

my $temp = File::Temp->newdir;
my $runtime = "$FindBin::Bin/../..";
my $server = PAGITest::ServerProcess->new(
    binary => $binary,
    args   => [ '--max-body-size', 2 * 1024 ** 3, '--port', 0, "$FindBin::Bin/apps/uploads.pl" ],
    env    => { PERL5LIB => join(':', "$runtime/lib", $ENV{PERL5LIB} // ()), UPLOADS_TEMP => "$temp" },
);

sub left () { opendir my $handle, "$temp" or die $!; return grep { !/\A\./ } readdir $handle }
sub peak_kib () { open my $fh, '<', '/proc/' . $server->pid . '/status' or die $!; local $/; return <$fh> =~ /^VmHWM:\s+(\d+)/m ? $1 : die 'no VmHWM' }

sub eventually ($what, $condition) {
    my $deadline = time + 60;
    until ($condition->()) {
        return fail($what) if time > $deadline;
        sleep 0.02;
    }
    return pass($what);
}

sub connect_to () { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->port) // die "connect: $@" }

# Sends the parts of a body, which are strings or [string, repetitions]; without a length the body is chunked.
sub send_request ($socket, $path, $length, @body) {
    my $framing = defined $length ? "Content-Length: $length" : 'Transfer-Encoding: chunked';
    print $socket "POST $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n$framing\r\nContent-Type: multipart/form-data; boundary=xyz\r\n\r\n";
    local $SIG{PIPE} = 'IGNORE';
    for my $piece (@body) {
        my ($bytes, $times) = ref $piece ? @$piece : ($piece, 1);
        for (1 .. $times) {
            my $out = defined $length ? $bytes : sprintf("%x\r\n", length $bytes) . $bytes . "\r\n";
            print $socket $out or return;    # refused in the middle: there is an answer to read
        }
    }
    print $socket "0\r\n\r\n" unless defined $length;
    $socket->flush;
    return;
}

sub answer ($socket) {
    local $/;
    my $text = <$socket> // '';
    my ($status, $body) = $text =~ m{\AHTTP/1\.1 (\d+).*?\r\n\r\n(.*)\z}s or return (0, $text);
    return ($status, eval { decode_json($body) } // $body);
}

sub post ($path, @body) {
    my $socket = connect_to();
    my $length = 0;
    $length += ref $_ ? length($_->[0]) * $_->[1] : length for @body;
    send_request($socket, $path, $length, @body);
    return answer($socket);
}

my $part = sub ($disposition, $content) { qq{--xyz\r\nContent-Disposition: form-data; $disposition\r\n\r\n$content\r\n} };
my $end  = "--xyz--\r\n";

subtest 'one GiB' => sub {
    my ($chunk, $count) = ('x' x 65_536, 16_384);
    my @body = (qq{--xyz\r\nContent-Disposition: form-data; name="big"; filename="big.bin"\r\n\r\n}, [ $chunk, $count ], "\r\n$end");
    # what serving takes at all
    is [ post('/small', $part->('name="a"', 'b'), $end) ], [ 200, { form => { a => 'b' }, files => [] } ], 'a small form';
    my $before = peak_kib();
    my $size = 1024 ** 3;
    is [ post('/stream', @body) ], [ 200, [ { name => 'big', size => $size } ] ], 'streamed through';
    is [ post('/buffered', @body) ], [ 200, { form => {}, files => [ { name => 'big', filename => 'big.bin', size => $size, on_disk => 1 } ] } ], 'spooled to disk';
    my $growth = peak_kib() - $before;
    cmp_ok $growth, '<', 48 * 1024, 'memory is bounded';
    note "grew by $growth KiB";
    eventually 'the spooled file is gone', sub { !left() };
};

my $file   = sub ($bytes, $name = 'f') { $part->(qq{name="$name"; filename="x.bin"}, 'x' x $bytes) };
my $field  = sub ($bytes, $name = 'a') { $part->(qq{name="$name"}, 'x' x $bytes) };
my $pieces = sub ($count, $make) { join '', map { $make->(1, "n$_") } 1 .. $count };

for my $case (
    # what, path, body, error
    [ 'a file over its limit',  '/small',        [ $file->(100_000), $file->(200_001), $end ], qr/\AFile upload too large \(max 200000 bytes\)/ ],
    [ 'a field over its limit', '/small',        [ $file->(100_000), $field->(1001), $end ],   qr/\AForm field too large \(max 1000 bytes\)/ ],
    [ 'too many files',         '/small',        [ $file->(100_000), $pieces->(3, $file), $end ],  qr/\AToo many files \(max 3\)/ ],
    [ 'too many fields',        '/small',        [ $file->(100_000), $pieces->(4, $field), $end ], qr/\AToo many fields \(max 3\)/ ],
    [ 'no end',                 '/small',        [ $file->(100_000) ],                         qr/\AMultipart parse error|\AEnd of stream encountered/ ],
    [ 'cut in a file',          '/small',        [ substr $file->(100_000), 0, 90_000 ],       qr/\AMultipart parse error|\AEnd of stream encountered/ ],
    [ 'no multipart at all',    '/small',        [ 'rubbish' x 10_000 ],                       qr/\AMultipart parse error/ ],
    [ 'no name',                '/small',        [ $file->(100_000), $part->('x="y"', 'x'), $end ], qr/\AMultipart parse error/ ],
    [ 'a head without end',     '/small',        [ $file->(100_000), "--xyz\r\n", [ 'X-Header: ' . 'x' x 990 . "\r\n", 40 ], "\r\n", $end ], qr/\AMultipart parse error/ ],
    [ 'a preamble without end', '/small',        [ [ 'x' x 1000, 100 ] ],                      qr/\AMultipart parse error/ ],
    [ 'streamed: a file',       '/small/stream', [ $file->(200_001), $end ],                   qr/\AFile part 'f' too large \(max 200000 bytes\)/ ],
    [ 'streamed: a field',      '/small/stream', [ $field->(1001), $end ],                     qr/\AField part 'a' too large \(max 1000 bytes\)/ ],
    [ 'streamed: files',        '/small/stream', [ $pieces->(4, $file), $end ],                qr/\AToo many file parts \(max 3\)/ ],
    [ 'streamed: fields',       '/small/stream', [ $pieces->(4, $field), $end ],               qr/\AToo many field parts \(max 3\)/ ],
    [ 'streamed: the whole',    '/small/stream', [ ($file->(190_000)) x 3, $end ],             qr/\ARequest body exceeded max_request_body \(500000 bytes\)/ ],
    [ 'streamed to a file: no end', '/small/stream/file', [ $file->(100_000) ],                qr/\AIncomplete multipart upload: / ],
    [ 'streamed: rubbish',      '/small/stream', [ 'rubbish' x 10_000 ],                       qr/\AMultipart parse error|\AIncomplete multipart upload/ ],
) {
    my ($what, $path, $body, $error) = @$case;
    my ($status, $told) = post($path, @$body);
    is $status, 400, $what;
    like ref $told ? $told->{error} : $told, $error, 'says so';
    my $socket = connect_to();
    send_request($socket, $path, undef, @$body);
    ($status, $told) = answer($socket);
    like ref $told ? $told->{error} : $told, $error, 'chunked, the same';
    eventually 'and nothing is left', sub { !left() };
}

subtest 'names from outside' => sub {
    my ($status, $told) = post('/small', $part->('name="f"; filename="../../etc/passwd"', 'x' x 70_000), $end);
    is $told->{files}, [ { name => 'f', filename => '../../etc/passwd', size => 70_000, on_disk => 1 } ], 'are only names';
    eventually 'and nothing is left', sub { !left() };
};

for my $path ('/small', '/small/stream/file') {
    my $socket = connect_to();
    send_request($socket, $path, 1_000_000, substr $file->(190_000), 0, 180_000);
    eventually "$path: a file is being written", sub { scalar left() };
    close $socket;
    eventually 'and is gone when the client is', sub { !left() };
}
is [ post('/small', $field->(3), $end) ], [ 200, { form => { a => 'xxx' }, files => [] } ], 'the server goes on';

done_testing;
