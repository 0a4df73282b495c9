use strict;
use warnings;
use experimental 'signatures';
use lib 't/lib';
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# What middleware asks of a server, asked of both.
my $file = 't/apps/middleware/connections.pl';
my $source = do { open my $in, '<:raw', $file or die "$file: $!"; local $/; <$in> };

each_backend($file, sub ($client, $name) {
    is($client->get('/live/')->status, 200, 'a visit makes a session') for 1 .. 2;
    my $sse = $client->sse('/live/events');
    my @events = map { $sse->receive_event(timeout => 20) } 1, 2;
    is([ @{ $events[0] }{qw(event retry)} ], [ 'retry', 1500 ], 'the retry hint reaches the client, under a name of its own');
    is($events[1]{data}, 'visits 2', 'the stream reads the session');
    $sse->close;

    my $ws = $client->websocket('/live/ws');
    $ws->send_text("m$_") for 1 .. 3;
    is([ map { $ws->receive_text(20) } 1 .. 3 ], [ 'm1 2', 'm2 2', 'm3 2' ], 'so does the websocket');
    $ws->send_text('one too many');
    is($ws->receive_text(20), undef, 'the rate limit closes');
    is([ $ws->close_code, $ws->close_reason ], [ 1008, 'Rate limit exceeded' ], 'with its code and reason');

    is($client->get('/guarded')->status, 401, 'http refused');
    my $declined = $client->sse('/guarded', decline_ok => 1);
    is([ $declined->response->status, $declined->response->text ], [ 401, 'Unauthorized' ], 'event stream refused');
    my $denied = $client->websocket('/guarded', decline_ok => 1);
    is($denied->response->status, 401, 'websocket refused');

    my %gzip = (headers => { 'accept-encoding' => 'gzip' });
    my $stream = $client->get('/body/stream', %gzip);
    is([ length $stream->content, $stream->header('content-encoding') ], [ 3 * 300 * 7 + 3, undef ], 'a streamed body passes whole');
    is($client->get('/body/trailers', %gzip)->text, 'with trailers', 'so does one with trailers');
    my $head = $client->head('/body/');
    is([ $head->content, $head->header('content-length') ], [ '', 5 ], 'HEAD');
    is($client->head('/body/trailers')->status, 200, 'HEAD of a response with trailers completes');

    is($client->get('/files/connections.pl', %gzip)->content, $source, 'a file passes whole');
    my $part = $client->get('/files/connections.pl', headers => { range => 'bytes=4-9' });
    is([ $part->status, $part->content ], [ 206, substr $source, 4, 6 ], 'a part of it too');
    my $proxied = $client->get('/proxied/connections.pl');
    is([ $proxied->status, $proxied->content, $proxied->exception ], [ 200, '', undef ], 'a file left to the proxy is a complete, empty response');
    like($proxied->header('x-sendfile'), qr{/t/apps/middleware/connections\.pl\z}, 'with its name');

    my $slow = $client->get('/slow');
    is([ $slow->status, $slow->text ], [ 504, 'Request timeout' ], 'timeout');
});

done_testing;
