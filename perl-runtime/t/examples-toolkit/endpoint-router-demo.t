use strict;
use warnings;
use Test2::V0;
use FindBin;
use Future::IO::Impl::IOAsync;    # in-process nobody else chooses a loop for Future::IO
use lib "$FindBin::Bin/../lib";
use PAGITest::Backends qw(each_backend);

each_backend("$FindBin::Bin/../../../examples/toolkit/endpoint-router-demo/app.pl", sub {
    my ($client) = @_;

    like $client->get('/')->text, qr{<h1>Endpoint Router Demo 1\.0\.0</h1>}, 'home shows the configuration';
    like $client->get('/app.js')->content, qr/EventSource/, 'static file';
    like $client->get('/api/info')->json, { app_name => 'Endpoint Router Demo', metrics => { requests => 1 } }, 'counted by the route middleware';
    is [ map { $_->{name} } @{ $client->get('/api/users')->json } ], [ 'Alice', 'Bob' ], 'users';
    is $client->get('/api/users/2')->json, { id => 2, name => 'Bob' }, 'user';
    my $answer = $client->get('/api/users/9');
    is [ $answer->status, $answer->json ], [ 404, { error => 'User not found' } ], 'no such user';
    $answer = $client->post('/api/users', json => { name => "Jos\x{e9}" });
    is [ $answer->status, $answer->json ], [ 201, { id => 3, name => "Jos\x{e9}" } ], 'new user';
    is $client->get('/api/nowhere')->status, 404, '404';

    $client->websocket('/ws/echo', sub {
        my ($ws) = @_;
        is $ws->receive_json(20), { type => 'connected' }, 'connected';
        $ws->send_json({ a => "\x{3042}" });
        is $ws->receive_json(20), { type => 'echo', data => { a => "\x{3042}" } }, 'echo';
        like $client->get('/api/info')->json->{metrics}, { ws_active => 1, ws_messages => 1 }, 'counted';
    });

    $client->sse('/events/metrics', sub {
        my ($sse) = @_;
        my $event = $sse->receive_event(timeout => 20);
        is [ @$event{qw(event id retry)} ], [ 'connected', 1, 3000 ], 'connected';
        $event = $sse->receive_event(timeout => 20);
        is [ @$event{qw(event id)} ], [ 'metrics', 2 ], 'metrics';
    });
    $client->sse('/events/metrics', headers => { 'Last-Event-ID' => 1 }, sub {
        my ($sse) = @_;
        my $event = $sse->receive_event(timeout => 20);
        is $event->{event}, 'reconnected', 'a returning client';
        like $event->{data}, qr/"missed":1\b/, 'and what it missed';
    });
}, lifespan => 1);

done_testing;
