use strict;
use warnings;
use experimental 'signatures';
use lib 't/lib', 't/middleware/lib';
use Test2::V0;
use Every qw(%CONFIG);
use PAGITest::Backends qw(each_backend);
use PAGITest::Wire;
use Time::HiRes qw(sleep time);

# Every middleware in front of the same application, in-process and on the server: complete, streamed and file responses, HEAD,
# a request body, exceptions, and clients that leave, over all three kinds of connection.

my $file = 't/apps/middleware/every.pl';
my $part = do { open my $in, '<:raw', $file or die "$file: $!"; local $/; substr <$in>, 4, 6 };

sub eventually ($what, $condition) {
    my $deadline = time + 60;
    until ($condition->()) {
        return fail($what) if time > $deadline;
        sleep 0.01;
    }
    return pass($what);
}

each_backend($file, sub ($client, $backend) {
    my $on_server = $backend eq 'server';
    my $wait = $on_server ? 20 : undef;
    for my $name (sort keys %CONFIG) {
        subtest $name => sub {
            my $at = '/' . $name =~ s/::/-/gr;
            my @headers = @{ $CONFIG{$name}{-headers} || [] };
            my %with = (headers => \@headers);
            my $body = sub ($r, $expected, $what) { is([ $r->status, $r->header('x-mark'), $r->content, $r->exception ], [ 201, 'kept', $expected, undef ], $what) };

            $body->($client->get("$at/hello", %with), 'hello', 'a response');
            $body->($client->get("$at/stream", %with), 'one two', 'in pieces');
            $body->($client->head("$at/hello", %with), '', 'HEAD');
            $body->($client->post("$at/echo", %with, body => 'x' x 1000), 'x' x 1000, 'a request body') if $name ne 'CSRF';
            my $sent = $client->get("$at/file", %with);
            if ($name eq 'XSendfile') { $body->($sent, $part, 'a part of a file is not left to the proxy') }
            else                      { $body->($sent, $part, 'a part of a file') }
            is($client->get("$at/die", %with)->status, 500, 'an exception');
            my $late = $client->get("$at/late", %with);
            ok(defined $late->exception || $late->status == 500 || $name eq 'ErrorHandler', 'a late one is not a complete response');

            my $ws = $client->websocket("$at/ws", %with);
            $ws->send_text("h\x{e9} \x{263a}");
            is($ws->receive_text($wait), "h\x{e9} \x{263a}", 'a WebSocket: text');
            $ws->send_bytes("\xff\x00");
            is($ws->receive_bytes($wait), "\xff\x00", 'bytes');
            $ws->close(4002);
            if ($on_server) {
                my $other = $client->websocket("$at/ws", %with);
                $other->send_text('die');
                is($other->receive_text($wait), undef, 'an exception ends it');
            }
            my $sse = $client->sse("$at/events", %with);
            my $event = $sse->receive_event(timeout => 20);
            is([ @$event{qw(data id)} ], [ "one\ntwo", 1 ], 'an event stream');
            $sse->close;
            if ($on_server) {
                my $wire = PAGITest::Wire->new($client->port);
                $wire->write("GET $at/wait HTTP/1.1\r\nHost: testserver\r\n" . join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n");
                ok(defined $wire->read_until('one', 20), 'a response that waits') if $name ne 'Debug';
                $wire->close;
            }
            my $gone = ($on_server ? 'http=gone ' : '') . 'sse=gone websocket=4002';
            eventually("the application hears who left: $gone", sub { $client->get("/left/$name")->content eq $gone });
        };
    }
});

done_testing;
