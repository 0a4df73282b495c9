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
        # answers and ticks are told in any order, as the machine is fast or slow
        my @got;
        my $next = sub {
            my ($text) = @_;
            push @got, $ws->receive_text(20) until @got > 50 || grep { $_ eq $text } @got;
            return scalar grep { $_ eq $text } @got;
        };
        $ws->send_text("hello \x{e9}");
        is $next->("you said: HELLO \x{c9}"), 1, 'answer';
        is $next->('server tick #1'), 1, 'tick';
        $ws->send_text('again');
        is $next->('you said: AGAIN'), 1, 'answers go on';
        is $next->('server tick #2'), 1, 'so do ticks';
    });
    is $client->get('/')->status, 500, 'WebSocket only';
});

done_testing;
