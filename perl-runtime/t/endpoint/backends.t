use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PAGITest::Backends qw(each_backend);

# The same through the test client and through the real server.

each_backend("$FindBin::Bin/apps/endpoints.pl", sub {
    my ($client) = @_;

    is $client->get('/a')->json, { path => '/a' }, 'GET';
    my $response = $client->post('/', json => { a => "\x{e9}" });
    is [ $response->status, $response->json ], [ 201, { a => "\x{e9}" } ], 'POST';
    is $client->put('/')->content, 'sent by the handler', 'a handler that sends';
    is $client->patch('/')->status, 500, 'a handler that forgets to return a response';
    $response = $client->delete('/');
    is [ $response->status, $response->header('allow') ], [ 405, 'GET, HEAD, OPTIONS, PATCH, POST, PUT' ], '405';
    $response = $client->options('/');
    is [ $response->status, $response->header('allow'), $response->content ], [ 204, 'GET, HEAD, OPTIONS, PATCH, POST, PUT', '' ], 'OPTIONS';
    $response = $client->head('/a');
    is [ $response->status, $response->content, $response->content_length ], [ 200, '', length '{"path":"/a"}' ], 'HEAD';

    $client->websocket('/', sub {
        my ($ws) = @_;
        for my $number (1, 2) {
            $ws->send_json({ text => "\x{3042}" });
            is $ws->receive_json, { echo => { text => "\x{3042}" }, n => $number }, "WebSocket message $number";
        }
    });
    $client->sse('/', sub {
        my ($sse) = @_;
        for my $number (1 .. 3) {
            my $event = $sse->receive_event;
            is [ @$event{qw(event id)} ], [ 'n', $number ], "SSE event $number";
        }
    });
});

done_testing;
