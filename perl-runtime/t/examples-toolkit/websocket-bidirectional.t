use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PAGITest::Backends qw(each_backend);

each_backend("$FindBin::Bin/../../../examples/toolkit/websocket-bidirectional/app.pl", sub {
    my ($client) = @_;
    $client->websocket('/', sub {
        my ($ws) = @_;
        $ws->send_text("hello \x{e9}");
        is $ws->receive_text(3), "you said: HELLO \x{c9}", 'answer';
        is $ws->receive_text(3), 'server tick #1', 'tick';
        $ws->send_text('again');
        is $ws->receive_text(3), 'you said: AGAIN', 'answers go on';
        is $ws->receive_text(3), 'server tick #2', 'so do ticks';
    });
    is $client->get('/')->status, 500, 'WebSocket only';
});

done_testing;
