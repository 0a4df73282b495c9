use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGI::Simple::Request;
use PAGITest::Backends qw(each_backend);

# Everything a request can be asked, and its text in every decoding.

each_backend('t/simple/apps/request.pl', sub ($client, $backend) {
    my %htmx = map { $_->[0] => $_->[1] } (
        [ 'HX-Request' => 'true' ], [ 'HX-Boosted' => 'true' ], [ 'HX-History-Restore-Request' => 'true' ], [ 'HX-Target' => 'list' ],
        [ 'HX-Trigger' => 'button-1' ], [ 'HX-Trigger-Name' => 'save' ], [ 'HX-Current-URL' => 'https://a.example/x' ], [ 'HX-Prompt' => 'sure' ],
    );
    my $seen = $client->put('/properties/J%C3%BC?a=b', body => '{}', headers => {
        %htmx, 'Content-Type' => 'Application/JSON; charset=utf-8', 'User-Agent' => 'me', Host => 'a.example', 'X-One' => 1, 'x-two' => 2,
    })->json;
    # the test client leaves the path as it is given
    my $name = $backend eq 'server' ? "J\x{fc}" : 'J%C3%BC';
    is $seen, {
        method => 'PUT', path => "/properties/$name", query_string => 'a=b', raw_query_string => 'a=b',
        content_type => 'Application/JSON; charset=utf-8', content_length => 2, host => 'a.example', user_agent => 'me',
        scheme => 'http', is_secure => 0, client_ip => '127.0.0.1', is_multipart => 0, is_json => 1, is_form => 0,
        is_htmx => 1, is_boosted => 1, htmx_boosted => 1, htmx_history_restore_request => 1, htmx_target => 'list', htmx_trigger => 'button-1',
        htmx_trigger_name => 'save', htmx_current_url => 'https://a.example/x', htmx_prompt => 'sure',
        path_params => { id => $name }, id => $name, none => undef, ports => [ 1, 1 ], server => 1, same => 1, names => [ 'x-one', 'x-two' ],
        triple => [ 'HASH', 'CODE', 'CODE' ], state => 'HASH', started => 0,
    }, 'properties';
    my $bare = $client->get('/properties/1', headers => { 'HX-Request' => 'TRUE', 'HX-Boosted' => '1' })->json;
    is [ @$bare{qw(content_type content_length user_agent is_htmx is_boosted htmx_history_restore_request htmx_target htmx_prompt is_json is_form)} ],
        [ '', undef, '', 0, 0, 0, undef, undef, 0, 0 ], 'what is not there; flags are the word true and nothing else';

    is $client->get('/query?k=1&K=2&k=3&bad=%FF')->json,
        { one => 1, all => [ 1, 3 ], case => 2, bad => "\x{fffd}", raw => [ ('ff') x 3 ], strict => 'refused', cached => 1 }, 'query: replacement, raw, strict';
    is $client->post('/form', form => [ [ n => "\x{263a}" ], [ m => 1 ] ])->json,
        { raw => [ ('e298ba') x 2 ], n => "\x{263a}", keys => [ 'n', 'm' ], param => "\x{263a}", strict => 'taken' }, 'form: characters and bytes';
    is $client->post('/form', headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }, body => 'n=%FF')->json,
        { raw => [ ('ff') x 2 ], n => "\x{fffd}", keys => ['n'], param => "\x{fffd}", strict => 'refused' }, 'form: bytes that are no UTF-8';
    is $client->get('/headers', headers => { 'X-Text' => "caf\xc3\xa9", 'X-Bad' => "a\xff" })->json,
        [ "caf\x{e9}", undef, 'refused', "a\x{fffd}" ], 'header_utf8';
    is $client->get('/wants', headers => { Accept => 'application/json, text/html;q=0.5' })->json, [ 1, 0, 'json', undef ], 'accepts_type, preferred_type';
    my $r = $client->get('/accepts', headers => { Accept => 'a/b' });
    is [ $r->json, $r->header('x-alias') ], [ [ [ 'a/b', 1 ] ], 1 ], 'header and accepts of the context';

    my $part = sub ($disposition, $content) { qq{--b\r\nContent-Disposition: form-data; $disposition\r\n\r\n$content\r\n} };
    is $client->post('/uploads', headers => { 'Content-Type' => 'multipart/form-data; boundary=b' },
        body => $part->('name="f"; filename="1.txt"', "one\ntwo") . $part->('name="f"; filename="2.txt"', '') . $part->('name="note"', 'x') . "--b--\r\n")->json,
        { fields => [ 'f', 'f' ], all => [ '1.txt', '2.txt' ], line => "one\n", none => 0 }, 'uploads_all, uploads, upload, filehandle';
});

subtest 'a scope with nothing in it' => sub {
    my $req = PAGI::Simple::Request->new({ type => 'http' });
    is [ map { $req->$_ } qw(method path query_string content_type host user_agent scheme is_secure server_name server_port client_ip client_port content_length) ],
        [ '', '/', '', '', '', '', 'http', 0, '', 80, '', 0, undef ], 'defaults';
    is [ map { PAGI::Simple::Request->new({ type => 'http', scheme => $_ })->is_secure } qw(http https ws wss) ], [ 0, 1, 0, 1 ], 'is_secure';
    my $given = PAGI::Simple::Request->new({ server => [ 'a.example', 8443 ], client => [ '192.0.2.1', 4000 ], path_params => { x => 1 } });
    is [ map { $given->$_ } qw(server_name server_port client_ip client_port) ], [ 'a.example', 8443, '192.0.2.1', 4000 ], 'both ends';
    is $given->path_param('x'), 1, 'captures of another router';
    ref_is $given->scope, $given->{scope}, 'scope';

    my $headers = PAGI::Simple::Request->new({ headers => [ [ 'X-A' => 1 ], [ 'x-a' => 2 ] ] })->headers;
    is [ $headers->get_all('x-a'), $headers->get('X-A') ], [ 1, 2, undef ], 'headers: names in lower case';
};

done_testing;
