use v5.36;
use lib 't/lib';
use Test2::V0;
use Future;
use PAGI::Simple;
use PAGI::Test::Client;
use PAGITest::Backends qw(each_backend);

# What concerns the client: sessions, cookies, CORS, negotiation, headers.

each_backend('t/simple/apps/client.pl', sub ($client, $backend) {
    my @wait = $backend eq 'server' ? 20 : ();
    is [ map { $client->get('/visits')->json } 1 .. 3 ], [ [ 1, 1 ], [ 2, 2 ], [ 3, 3 ] ], 'a session, in a store of plain methods';
    my $before = $client->cookie('pagi_session');
    my $login = $client->get('/login');
    isnt $client->cookie('pagi_session'), $before, 'regenerated in the same response';
    is $client->get('/who')->text, 'ann', 'still the same session';
    is $client->websocket('/ws')->receive_text(@wait), 'ann', 'read by a WebSocket';
    is $client->sse('/sse')->receive_event(@wait ? (timeout => 20) : ())->{data}, 'ann', 'and an event stream';
    $client->set_cookie(pagi_session => $before);
    is $client->get('/who')->text, 'nobody', 'the old id is gone';
    $client->clear_cookies;
    $client->get('/login');
    like $client->get('/logout')->header('set-cookie'), qr/Max-Age=0/, 'destroyed in the same response';
    $client->clear_cookies;

    is $client->get('/cookies', headers => [ [ Cookie => 'a=%C3%BC; b="q"; a=2; flag' ] ])->json, [ { a => "\x{fc}", b => 'q' }, "\x{fc}" ], 'cookies';
    is [ sort $client->get('/set')->header_all('set-cookie') ], [
        'old=; Path=/x; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'plain=1; Path=/',
        'theme=d%C3%A4rk%3B; Path=/; Domain=example.org; Max-Age=60; Secure; HttpOnly; SameSite=Strict',
    ], 'Set-Cookie';
    $client->clear_cookies;

    my $cors = sub ($method, $path, $origin) {
        my $r = $client->$method($path, headers => { $origin ? (Origin => $origin) : () });
        return [ $r->status, map { scalar $r->header("access-control-$_") } qw(allow-origin allow-credentials expose-headers max-age) ];
    };
    is $cors->(options => '/anything', 'https://b.example'), [ 204, 'https://b.example', 'true', 'x-total', 60 ], 'preflight';
    is $cors->(get => '/own-cors', 'https://a.example'), [ 200, 'https://a.example', 'true', 'x-total', undef ], 'a request with an origin';
    is $cors->(get => '/own-cors', 'https://evil.example'), [ 200, (undef) x 4 ], 'an origin that is not allowed';
    is $cors->(get => '/own-cors', undef), [ 200, (undef) x 4 ], 'none';

    my $accept = sub ($path, $value) { my $r = $client->get($path, headers => { $value ? (Accept => $value) : () }); [ $r->status, $r->content_type, $r->text ] };
    is $accept->('/negotiate', 'application/json'), [ 201, 'application/json; charset=utf-8', '{"a":1}' ], 'json';
    is $accept->('/negotiate', '*/*'), [ 200, 'text/html; charset=utf-8', '<p>html</p>' ], 'the first declared for */* (defect 23)';
    is $accept->('/negotiate', undef)->[1], 'text/html; charset=utf-8', 'and without Accept';
    is $accept->('/negotiate', 'application/xml')->[2], '<a/>', 'data in the type asked for';
    is $accept->('/negotiate', 'image/png'), [ 406, 'text/plain; charset=utf-8', 'Not Acceptable' ], '406';
    is $accept->('/any', 'image/png')->[2], 'any', 'any';
    is $client->get('/accept', headers => { Accept => 'text/html;q=0.5, application/json' })->json, [ [ 'application/json', 1 ], [ 'text/html', 0.5 ] ], 'accepts';

    my $headers = $client->get('/headers', headers => [ [ 'X-Two' => 'a' ], [ 'X-Two' => 'b' ], [ 'X-Name' => "\xc3\xa9" ], [ 'User-Agent' => 'me' ], [ 'HX-Request' => 'true' ], [ 'HX-Target' => 't' ] ])->json;
    is $headers, [ 'a', [ 'a', 'b' ], "\x{e9}", 'me', undef, 1, 't', 1, 'http' ], 'headers: the first of repeated ones (defect 34)';
    is $client->get('/connected')->json, [ 0, 0 ], 'the connection can be seen (defect 36)';
});

subtest 'in one process' => sub {
    require PAGI::Simple::Request;
    my $req = PAGI::Simple::Request->new({ headers => [ [ cookie => 'a=1' ], [ cookie => 'b=2' ] ] });
    is $req->cookies, { a => 1, b => 2 }, 'several Cookie headers are merged (defect 34)';
    is [ $req->method, $req->path, $req->query_string, $req->host, $req->server_port, $req->scheme, $req->body->get ],
        [ '', '/', '', '', 80, 'http', '' ], 'defaults';

    my $bytes = PAGI::Simple::Request->new({ headers => [], query_string => 'a=%FF&b=%C3%A9&c' });
    is [ $bytes->query_param('a'), $bytes->raw_query_param('b'), $bytes->query_params('none'), $bytes->query_param('c') ],
        [ "\x{fffd}", "\xc3\xa9", [], '' ], 'replacement, raw, absent, without a value';
    like dies { $bytes->query(strict => 1) }, qr/does not map to Unicode/, 'strict';
    like dies { $bytes->query(lax => 1) }, qr/Unknown options to query: lax/, 'an unknown option';

    my $connection = do { require PAGI::Test::ConnectionState; PAGI::Test::ConnectionState->new };
    require PAGI::Simple::Context;
    my $app = PAGI::Simple->new(name => 'x', quiet => 1);
    my $c = PAGI::Simple::Context->new(app => $app, scope => { type => 'http', 'pagi.connection' => $connection });
    my $gone = $c->disconnect_future;
    is [ $c->is_disconnected, $gone->is_ready ? 1 : 0 ], [ 0, 0 ], 'connected';
    like dies { $c->session }, qr/There is no session/, 'no session unless enabled';
    like dies { $c->render('x') }, qr/No view configured/, 'no view';
    like dies { $c->run_blocking(sub { }) }, qr/requires worker configuration: PAGI::Simple->new/, 'no workers';
    like dies { $c->cookie('a b' => 1) }, qr/cookie needs a name/, 'a bad cookie name';
    like dies { $c->cookie(a => 1, samesite => 'maybe') }, qr/samesite/, 'a bad option';
    like dies { $c->res_header('x', "a\r\nb") }, qr/line breaks/, 'header injection';
    is $c->cors(origin => '*')->response_headers, [], 'no CORS headers without an origin';

    # a client whose body comes later, in pieces
    my $slow = PAGI::Simple->new(name => 'Slow', quiet => 1);
    $slow->post('/' => sub ($c) { $c->json($c->json_body) });
    my (@waiting, @sent);
    my $life = $slow->to_app->(
        { type => 'http', method => 'POST', path => '/', headers => [ [ 'content-length', 9 ] ] },
        sub { push @waiting, my $future = Future->new; return $future }, sub ($event) { push @sent, $event; Future->done },
    );
    ok !@sent, 'the handler waits for a small body';
    (shift @waiting)->done({ type => 'http.request', body => '{"a":', more => 1 });
    (shift @waiting)->done({ type => 'http.request', body => '[1]}', more => 0 });
    ok $life->is_done, 'then it runs';
    is $sent[1]{body}, '{"a":[1]}', 'with data at once';

    my $dev = PAGI::Simple->new(name => 'Dev', quiet => 1, development => 1);
    $dev->get('/' => sub { die "detail\n" });
    local $SIG{__WARN__} = sub { };
    is(PAGI::Test::Client->new(app => $dev)->get('/')->text, 'Internal Server Error: detail', 'detail in development (defect 16)');
};

done_testing;
