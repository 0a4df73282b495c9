use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# Routing, responses and errors, in-process and through the server.

each_backend('t/simple/apps/core.pl', sub ($client, $backend) {
    my $get = sub ($path, %options) {
        local $SIG{__WARN__} = sub { };
        my $r = $client->get($path, %options);
        return [ $r->status, $r->text, $r->content_type ];
    };
    my $plain = 'text/plain; charset=utf-8';
    is $get->('/'), [ 200, 'Hello', $plain ], 'text';
    is $get->('/json'), [ 200, qq({"a":"\x{e9}","b":[1,null]}), 'application/json; charset=utf-8' ], 'json: canonical, UTF-8';
    is $get->('/scalar'), [ 200, '"just a string"', 'application/json; charset=utf-8' ], 'top-level scalars';
    is $get->('/html'), [ 200, "<p>\x{263a}</p>", 'text/html; charset=utf-8' ], 'html';
    is $client->get('/html')->content_length, 10, 'the length is in bytes';
    is $get->('/awaited'), [ 202, 'awaited', $plain ], 'an async handler, a status argument';
    is $get->('/type'), [ 200, 'a,b', 'text/csv; charset=utf-8' ], 'a chosen type wins, in one header (defect 18)';
    is [ $client->get('/type')->header_all('content-type') ], ['text/csv; charset=utf-8'], 'really one';
    is [ $client->get('/status')->header_all('x-one') ], [ 1, 2 ], 'res_header appends';
    is $client->get('/empty')->status, 204, 'no content';
    is $client->get('/raw')->content, "\xff\x00", 'bytes';
    is [ map { $_->content, $_->content_type } $client->get('/latin') ], [ "h\xe9", 'text/plain; charset=iso-8859-1' ], 'send_utf8 in a charset';

    is $get->('/users/new')->[1], 'form', 'the first declared wins';
    is $get->('/users/7')->[1], 'user 7', 'a capture';
    is $get->('/users/7/')->[0], 404, 'a trailing slash is another path';
    is $client->get('/number/12.5/x')->json, { n => '12.5', rest => 'x' }, 'a constraint with a group';
    is $get->('/number/abc/x')->[0], 404, 'a constraint that does not hold';
    is $get->('/files/a/b.txt')->[1], 'file a/b.txt', 'a wildcard';
    is $get->('/files/')->[1], 'file ', 'an empty wildcard';
    is $get->('/files')->[0], 404, 'no wildcard without its slash';
    is $client->delete('/any')->text, 'DELETE', 'any';
    is $client->delete('/item')->text, 'deleted', 'del';
    is $get->('/v:id')->[1], 'literal', 'a colon inside a segment is literal';
    my $wrong = $client->delete('/users/7');
    is [ $wrong->status, $wrong->header('allow'), $wrong->text ], [ 405, 'GET, HEAD, POST', 'Method Not Allowed' ], '405 with Allow';
    is $get->('/nowhere'), [ 404, 'Not Found', $plain ], '404';

    my $head = $client->head('/');
    is [ $head->status, $head->content, $head->content_length ], [ 200, '', 5 ], 'HEAD on a GET route (defect 6)';

    is $client->get('/query?a=1;a=2&b&=x&c=%C3%A9+')->json, [ 1, [ 1, 2 ], 'a=1;a=2&b&=x&c=%C3%A9+', [qw(a a b c)] ], 'query';
    is $client->post('/echo', json => { n => "\x{263a}" })->json, { n => "\x{263a}" }, 'json_body in a plain handler';
    is $client->post('/echo-async', json => [ 1, 2 ])->json, [ 1, 2 ], 'awaited json_body';
    my $bad = $client->post('/echo', body => '{');
    is $bad->status, 400, 'bad JSON is the fault of the client';
    like $bad->text, qr/\ABad Request: Invalid JSON/, 'and told so';
    is $client->get('/stash')->text, 1, 'a stash per request' for 1, 2;

    is $client->get('/url')->json, [
        '/users/%C3%BC%20%2F?page=3&tag=a%20b&tag=c', '/files/a%20b/c', undef, undef, '/v:id?id=1',
    ], 'url_for: UTF-8 (defect 9), query, wildcard, unknown, literal segments';
    is [ map { $_->status, $_->location, $_->content } $client->get('/old') ], [ 301, '/new?x=1', '' ], 'redirect';
    is [ map { $_->status, $_->location } $client->get('/to-user') ], [ 303, '/users/J%2Fn?tab=log' ], 'redirect_to';

    {
        local $SIG{__WARN__} = sub { };
        is $get->('/die'), [ 500, 'Internal Server Error', $plain ], 'an exception stays private (defect 16)';
        is $get->('/async-die')->[0], 500, 'an exception of an async handler';
        is $get->('/silent')->[0], 500, 'a handler without a response (defect 13)';
        is $get->('/twice')->[1], 'first', 'a second response is refused';
    }
    is $get->('/abort/403')->[1], 'Forbidden: because', 'abort';
    is $get->('/abort/499')->[1], 'Error 499: because', 'an unusual code';
    is $get->('/gone')->[0], 404, 'not_found';
    is $client->get('/abort/410')->json, { gone => 410 }, 'an error handler of one parameter (defect 15), the status preset';
    is $client->get('/abort/410')->status, 410, 'its status';
    is [ $get->('/teapot')->@[0, 1] ], [ 418, 'I am a teapot: short and stout' ], 'the status of an exception (defect 17)';
});

done_testing;
