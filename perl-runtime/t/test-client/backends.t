use v5.36;
use utf8;
use lib 't/lib';
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# One application, one test, two ways to run it: what holds in the test client holds on the server.
each_backend('t/apps/test-client/everything.pl', sub ($client, $backend) {
    is $client->get('/count')->text, 1, 'state from the lifespan';
    is $client->get('/count')->text, 2, 'shared by requests';

    my $r = $client->post('/double', json => { n => 21 });
    is [$r->status, $r->content_type, $r->json], [201, 'application/json', { double => 42 }], 'JSON there and back';
    $r = $client->get('/nowhere');
    is [$r->status, $r->text, $r->is_error], [404, 'Not Found', 1], '404';
    is [$r->header('X-Twice'), $r->header_all('x-twice')], ['a', 'a', 'b'], 'repeated headers';
    is $client->head('/nowhere')->content, '', 'HEAD has no body';

    is $client->get('/echo?a=b', query => { c => 'd é' }, headers => { 'X-One' => [1, 2] })->text, "a=b&c=d%20%C3%A9\nx-one=1\nx-one=2", 'query and headers';
    is $client->cookie('seen'), 1, 'a cookie is kept';
    is $client->get('/echo')->text, "\ncookie=seen=1", 'and sent';
    $client->clear_cookies;

    my $ws = $client->websocket('/ws', subprotocols => ['a', 'b']);
    is $ws->subprotocol, 'b', 'subprotocol';
    is $ws->send_text('hällo ☺')->receive_text, 'echo: hällo ☺', 'text';
    is $ws->send_bytes("\x00\xff" . 'x' x 60_000)->receive_bytes, 'x' x 60_000 . "\xff\x00", 'bytes';
    $ws->send_text('bye');
    is $ws->receive_text, undef, 'nothing more';
    is [$ws->is_closed, $ws->close_code, $ws->close_reason], [1, 4001, 'tschüss'], 'closed by the app';
    like dies { $client->websocket('/ws/refuse') }, qr/WebSocket connection not accepted \(the application answered with HTTP 403\)/, 'refused';
    is $client->websocket('/ws/refuse', decline_ok => 1)->response->status, 403, 'with a status to look at';
    $client->websocket('/ws', sub ($ws) { is $ws->send_text('x')->receive_text, 'echo: x', 'callback style' });

    my $sse = $client->sse('/events', method => 'post');
    is $sse->receive_json, { method => 'POST', smile => '☺' }, 'an event stream for POST';
    is $sse->receive_event, { event => undef, data => "two\nlines", id => undef, retry => undef }, 'data of two lines';
    is $sse->receive_event, undef, 'the end';
    is [$sse->status, $sse->comments], [200, 'between'], 'status and comments';
    my $event = $client->sse('/events')->receive_event;
    is [@$event{qw(event id retry)}], ['hello', 'x7', 1500], 'all fields';
    my $declined = $client->sse('/nowhere', decline_ok => 1);
    is [$declined->response->status, $declined->response->text], [404, 'no such stream'], 'a declined stream';
}, lifespan => 1);

like dies { each_backend('t/apps/no-such-file.pl', sub { }) }, qr{There is no application file t/apps/no-such-file\.pl}, 'a missing file';

done_testing;
