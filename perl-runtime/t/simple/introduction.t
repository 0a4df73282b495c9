use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# What the public introduction shows, and the forms that were shipped, side by side; on the server with four workers.

each_backend('t/simple/apps/introduction.pl', sub ($client, $backend) {
    my $wait = $backend eq 'server' ? 20 : undef;
    my @wait = $wait ? (timeout => $wait) : ();
    is $client->get('/')->text, 'Hello, World!', 'text';
    is $client->get('/users/42')->json, { id => 42 }, 'JSON';
    is [ map { $_->status, $_->json } $client->post('/users', json => { name => 'Ann' }) ], [ 201, { created => 'Ann' } ], 'json_body in a plain sub';
    is $client->post('/shipped', json => { name => 'Bob' })->json, { created => 'Bob' }, 'await req->json_body';
    is $client->post('/await-data', json => { name => 'Bob' })->text, 'plain data cannot be awaited', 'the two are not mixed up';
    my $large = { name => 'x' x 100_000 };
    is length $client->post('/users', json => $large)->json->{created}, 100_000, 'json_body of a body that was not read ahead';

    my $ws = $client->websocket('/chat');
    is $ws->receive_text($wait), 'open', 'on(open)';
    $ws->send_text('hello');
    is $ws->receive_text($wait), 'hello', 'broadcast with one argument';
    $ws->close;
    $ws = $client->websocket('/room/red');
    $ws->send_text('hello');
    is $ws->receive_json($wait), { sent => 'hello' }, 'broadcast_others and send_json';

    is $client->sse('/dashboard')->receive_json(@wait), { status => 'connected' }, 'on(connect), send with a hashref';
    is $client->sse('/shipped-events')->receive_event(@wait), { event => 'list', data => '[1,2]', id => 5, retry => undef }, 'send_event';

    my $refused = $client->websocket('/guarded', decline_ok => 1);
    ok $refused->response->status >= 400, 'PAGI middleware refuses a WebSocket';
    $ws = $client->websocket('/trusted');
    $ws->send_text('side');
    is $ws->receive_text($wait), 'in side', 'or stays around it';
}, server_args => [ '--workers', 4 ]);

done_testing;
