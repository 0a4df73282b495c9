package Upstream;

# A small HTTP/1.1 server for the proxy to talk to: one process for each connection; the path says how it behaves.
#     my $upstream = Upstream->start;
#     $upstream->port;

use strict;
use warnings;

use Digest::SHA qw(sha1_base64);
use IO::Socket::INET;
use JSON::MaybeXS qw(encode_json);
use POSIX ();

sub start {
    my ($class) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 50, ReuseAddr => 1) or die "Cannot listen: $!";
    my $pid = fork // die "Cannot fork: $!";
    if (!$pid) {
        $SIG{CHLD} = 'IGNORE';
        $SIG{TERM} = 'DEFAULT';
        setpgrp;
        my $number = 0;
        while (my $socket = $listener->accept) {
            $number++;
            next if fork;
            close $listener;
            $SIG{PIPE} = 'DEFAULT';
            alarm 30;
            eval { serve($socket, $number) };
            POSIX::_exit(0);
        }
        POSIX::_exit(0);
    }
    my $port = $listener->sockport;
    close $listener;
    return bless { pid => $pid, port => $port, owner => $$ }, $class;
}

sub port { $_[0]{port} }

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $!);
    kill TERM => -$self->{pid};
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
}

my ($socket, $number, $in);

sub serve {
    ($socket, $number) = @_;
    $in = '';
    $socket->autoflush(1);
    my $count = 0;
    while (my $request = read_head()) {
        $request->{count} = ++$count;
        my ($path) = $request->{target} =~ m{\A/([\w-]*)};
        my $handler = Upstream->can('do_' . ($path || 'echo') =~ tr/-/_/r) || \&do_echo;
        return unless $handler->($request);
    }
}

sub fill { my $got = sysread $socket, $in, 65_536, length $in; return $got }

sub read_head {
    my $end;
    while (($end = index $in, "\r\n\r\n") < 0) { fill() or return undef }
    my $head = substr $in, 0, $end + 4, '';
    my ($line, @lines) = split /\r\n/, $head;
    my ($method, $target, $version) = split / /, $line;
    return { method => $method, target => $target, version => $version, headers => [map { [split /: /, $_, 2] } @lines] };
}

sub value { my ($request, $name) = @_; my ($found) = grep { $_->[0] eq $name } @{ $request->{headers} }; return $found && $found->[1] }

sub take { my ($length) = @_; while (length $in < $length) { fill() or die } return substr $in, 0, $length, '' }
sub line { my $end; while (($end = index $in, "\r\n") < 0) { fill() or die } return substr($in, 0, $end + 2, '') =~ s/\r\n//r }

sub read_body {
    my ($request) = @_;
    if ((value($request, 'transfer-encoding') // '') eq 'chunked') {
        my $body = '';
        while (my $size = hex line()) { $body .= take($size); line() }
        line();
        return $body;
    }
    return take(value($request, 'content-length') // 0);
}

sub out { my $text = join '', @_; my $at = 0; while ($at < length $text) { $at += syswrite($socket, $text, 65_536, $at) // die } return 1 }
sub reply { my ($status, $body, @headers) = @_; return out(join("\r\n", "HTTP/1.1 $status Text", @headers, 'Content-Length: ' . length $body, '', ''), $body) }

# What was asked, as JSON.
sub do_echo {
    my ($request) = @_;
    my $body = read_body($request);
    return reply(200, encode_json({ %$request, length => length $body, body => substr($body, 0, 100), connection => $number }), 'Content-Type: application/json');
}
sub do_head     { return out("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n") }
sub do_nothing  { return out("HTTP/1.1 204 No Content\r\n\r\n") }
sub do_same     { return out("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 99\r\n\r\n") }
sub do_chunked  { return out("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n5;ext=1\r\nhello\r\n", "A\r\n 123456789\r\n0\r\nX-Trailer: 1\r\n\r\n") }
sub do_old      { out("HTTP/1.0 200 OK\r\n\r\nuntil the end"); return 0 }
sub do_interim  { return out("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone") }
sub do_hop {
    return out("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private\r\nKeep-Alive: timeout=5\r\nX-Private: 1\r\nProxy-Authenticate: Basic\r\nTrailer: X\r\nUpgrade: h2c\r\n",
        "Set-Cookie: a=1\r\nSET-COOKIE: b=2\r\nX-Folded: one\r\n  two\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok");
}
sub do_once        { reply(200, "connection $number"); return 0 }
sub do_number      { return reply(200, "connection $number") }
sub do_finish      { reply(200, "connection $number", 'Connection: close'); return 0 }
sub do_early       { reply(413, 'too much', 'Connection: close'); shutdown $socket, 1; 1 while $in = '', fill(); return 0 }
# Refuses when everything between here and the client is full.
sub do_full        { select undef, undef, undef, 0.3; reply(413, 'full', 'Connection: close'); return 0 }
sub do_garbage     { out("SSH-2.0-OpenSSH\r\n\r\n"); return 0 }
sub do_empty       { return 0 }
sub do_half_head   { out("HTTP/1.1 200 OK\r\nContent-"); return 0 }
sub do_huge_head   { out("HTTP/1.1 200 OK\r\nX-A: ", 'a' x 200_000, "\r\n\r\n"); return 0 }
sub do_bad_line    { out("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"); return 0 }
sub do_bad_length  { out("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nxxx"); return 0 }
sub do_bad_coding  { out("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxxx"); return 0 }
sub do_switch      { out("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"); return 0 }
sub do_short       { out("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"); return 0 }
sub do_bad_chunk   { out("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"); return 0 }
sub do_long_chunk  { out("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n"); return 0 }
sub do_silent      { sleep 20; return 0 }
sub do_stall       { out("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin"); sleep 20; return 0 }
sub do_sink        { sleep 20; return 0 }    # takes no body
# Without an end, as fast as it is read; as events if asked so.
sub do_pour {
    my ($request) = @_;
    alarm 300;
    my $events = grep { $_->[1] =~ /event-stream/ } @{ $request->{headers} };
    out("HTTP/1.1 200 OK\r\nContent-Type: " . ($events ? 'text/event-stream' : 'text/plain') . "\r\n\r\n");
    my $part = $events ? "data: " . 'x' x 1000 . "\n\n" : 'x' x 1000;
    $part x= 100;
    out($part) while 1;
}
sub do_big         { my ($request) = @_; out("HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n"); out('x' x 100_000) for 1 .. 200; return 1 }
sub do_events {
    out("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n");
    for my $part (":hello\n\nretry: 250\n", "event: tick\nid: 7\nda", "ta: one\ndata: t\xc3", "\xa9o\n\nid: 8\r\ndata: crlf\r\n\r\n", "data: lost") {
        out(sprintf "%x\r\n%s\r\n", length $part, $part);
        select undef, undef, undef, 0.01;
    }
    out("0\r\n\r\n");
    return 1;
}

# --- WebSocket

sub do_ws {
    my ($request) = @_;
    my $key = value($request, 'sec-websocket-key');
    return reply(401, 'who are you?', 'X-Why: no cookie') if $request->{target} =~ /deny/;
    my $accept = sha1_base64($key . ($request->{target} =~ /wrong/ ? 'x' : '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')) . '=';
    my ($protocol) = split /, /, value($request, 'sec-websocket-protocol') // '';
    out("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: $accept\r\nSet-Cookie: ws=1\r\n",
        defined $protocol ? "Sec-WebSocket-Protocol: $protocol\r\n" : '', "\r\n");
    while (1) {
        my ($opcode, $payload) = read_frame();
        if ($opcode == 8) {
            out(frame(8, $payload));
            return 0;
        }
        elsif ($opcode == 1 && $payload eq 'headers')  { out(frame(1, encode_json($request->{headers}))) }
        elsif ($opcode == 1 && $payload eq 'fragment') { out("\x01\x03fra", frame(9, 'ping'), "\x00\x02gm", "\x80\x05ented") }
        elsif ($opcode == 1 && $payload eq 'bye')      { out(frame(8, pack('n', 4002) . "caf\xc3\xa9")); read_frame(); return 0 }
        elsif ($opcode == 1 && $payload eq 'vanish')   { return 0 }
        elsif ($opcode == 1 && $payload eq 'masked')   { out("\x81\x81abcd\x00"); sleep 5; return 0 }
        elsif ($opcode == 1 && $payload eq 'no utf8')  { out(frame(1, "\xff")); sleep 5; return 0 }
        elsif ($opcode == 1 && $payload eq 'big')      { out(frame(2, 'b' x 70_000)) }
        elsif ($opcode == 10)                          { out(frame(1, "pong $payload")) }
        else                                           { out(frame($opcode, $payload)) }
    }
}

sub frame {
    my ($opcode, $payload) = @_;
    my $length = length $payload;
    return chr(0x80 | $opcode) . ($length < 126 ? chr $length : $length < 65_536 ? pack('Cn', 126, $length) : pack('CQ>', 127, $length)) . $payload;
}

sub read_frame {
    my ($first, $second) = unpack 'CC', take(2);
    die 'not masked' unless $second & 0x80;
    my $length = $second & 0x7f;
    $length = unpack 'n', take(2) if $length == 126;
    $length = unpack 'Q>', take(8) if $length == 127;
    my $mask = take(4);
    my $payload = take($length) ^ substr $mask x (1 + $length / 4), 0, $length;
    return ($first & 0x0f, $payload);
}

1;
