use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Future::IO::Impl::IOAsync;
use PAGITest::Backends qw(each_backend);

my $examples = "$FindBin::Bin/../../../examples/toolkit";

each_backend("$examples/app-01-file/app.pl", sub ($client, $backend) {
    like $client->get('/')->content, qr/<h1>Files/, 'index';
    is $client->get("/$_->[0]")->header('content-type'), $_->[1], $_->[0]
        for ['test.txt', 'text/plain'], ['data.json', 'application/json'], ['style.css', 'text/css'], ['subdir/nested.txt', 'text/plain'];
    my $response = $client->get('/test.txt', headers => { Range => 'bytes=0-4' });
    is [$response->status, $response->content], [206, 'Hello'], 'range';
    is $client->get('/test.txt', headers => { 'If-None-Match' => $response->header('etag') })->status, 304, '304';
    is [map { $client->get($_)->status } '/none', '/subdir', '/../app.pl'], [404, 404, 403], 'refusals';
});

each_backend("$examples/psgi-bridge/app.pl", sub ($client, $backend) {
    my $response = $client->post('/any/path', body => 'some data');
    is [$response->status, $response->header('content-type'), $response->content], [200, 'text/plain', "PSGI says hi\nBody: some data"], 'POST';
    is $client->get('/')->content, "PSGI says hi\nBody: ", 'GET';
});

each_backend("$examples/full-demo/app.pl", sub ($client, $backend) {
    is $client->get('/')->content, 'Hello, World!', 'home';
    my $response = $client->post('/echo', body => 'abc', headers => { 'Content-Type' => 'text/x' });
    is [$response->content, $response->header('content-type'), $response->header('x-echoed-length')], ['abc', 'text/x', 3], 'echo';
    is $client->post('/echo', body => 'abc')->header('content-type'), 'application/octet-stream', 'default type';
    like $client->get('/stream')->content, qr/\AThis is request \d+\n(?:Chunk [2-5]\n){4}\z/, 'stream';
    is [$client->get('/echo')->status, $client->get('/none')->status], [405, 404], 'routing';
    $client->websocket('/ws/echo', sub ($ws) {
        $ws->send_text('hi');
        is $ws->receive_text(20), 'Echo: hi', 'text';
        $ws->send_bytes("\xff");
        is $ws->receive_bytes(20), "\xff", 'binary';
    });
    $client->sse('/events', sub ($sse) {
        my $event = $sse->receive_event(timeout => 20);
        is [@$event{qw(event id)}], ['tick', 1], 'first tick';
    });
}, lifespan => 1);

done_testing;
