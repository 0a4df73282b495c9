use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PAGITest::Backends qw(each_backend);

each_backend("$FindBin::Bin/../../../examples/toolkit/endpoint-demo/app.pl", sub {
    my ($client) = @_;

    like $client->get('/')->text, qr/<h1>Endpoints/, 'the page';
    is [ map { $_->{id} } @{ $client->get('/api/messages')->json } ], [ 1, 2 ], 'two messages to begin with';
    my $answer = $client->post('/api/messages', body => 'text=x', headers => { 'Content-Type' => 'text/plain' });
    is [ $answer->status, $answer->json ], [ 415, { error => 'Content-Type must be application/json' } ], 'JSON only';
    is $client->delete('/api/messages')->status, 405, 'no other verbs';

    $client->sse('/events', sub {
        my ($sse) = @_;
        my $hello = $sse->receive_event(timeout => 20);
        is $hello->{event}, 'connected', 'connected';
        like $hello->{data}, qr/"subscriber_id":\d+/, 'with an id';
        my $answer = $client->post('/api/messages', json => { text => "\x{e9}" });
        is [ $answer->status, $answer->json ], [ 201, { id => 3, text => "\x{e9}" } ], 'posted';
        my $event = $sse->receive_event(timeout => 20);
        is [ @$event{qw(event id)} ], [ 'message', 3 ], 'and broadcast';
    });

    $client->websocket('/ws/echo', sub {
        my ($ws) = @_;
        is $ws->receive_json(20), { type => 'connected', message => 'Welcome!' }, 'welcome';
        $ws->send_json({ n => 1 });
        like $ws->receive_json(20), { type => 'echo', original => { n => 1 }, timestamp => qr/^\d+$/ }, 'echo';
    });
});

done_testing;
