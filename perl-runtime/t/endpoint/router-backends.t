use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PAGITest::Backends qw(each_backend);

# The same through the test client and through the real server.

each_backend("$FindBin::Bin/apps/router.pl", sub {
    my ($client) = @_;

    my $response = $client->get('/users/42');
    is [ $response->json, $response->header('x-tag') ], [ { id => 42 }, 'seen' ], 'HTTP route with middleware';
    is [ $client->get('/nowhere')->status, $client->post('/users/1')->status ], [ 404, 405 ], 'no route, other method';

    $client->websocket('/ws/lobby', sub {
        my ($ws) = @_;
        $ws->send_text("\x{3042}");
        is $ws->receive_text(20), "lobby: \x{3042}", 'WebSocket route';
    });
    $client->sse('/events', sub {
        my ($sse) = @_;
        is [ @{ $sse->receive_event(timeout => 20) }{qw(event data)} ], [ 'hello', "caf\x{e9}" ], 'SSE route';
    });

    # the server gives this the scope type sse, which the router declines
    $response = $client->get('/nowhere', headers => { Accept => 'text/event-stream' });
    is [ $response->status, $response->content ], [ 404, 'Not Found' ], 'an unmatched event stream is a real 404';
});

done_testing;
