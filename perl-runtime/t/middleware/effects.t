use strict;
use warnings;
use experimental 'signatures';
use lib 't/lib';
use Test2::V0;
use IO::Uncompress::Gunzip ();
use MIME::Base64 qw(encode_base64);
use PAGITest::Backends qw(each_backend);

# What each middleware is for, in-process and on the server.

my $file = 't/apps/middleware/effects.pl';
my $source = do { open my $in, '<:raw', $file or die "$file: $!"; local $/; readline $in };

each_backend($file, sub ($client, $backend) {
    my $on_server = $backend eq 'server';
    my $seen = sub ($path, %options) { $client->get($path, %options)->json };
    my $status = sub ($path, @headers) { $client->get($path, headers => \@headers)->status };

    $client->get('/accesslog/x?a=1');
    like($seen->('/notes')->{lines}, [ qr{\AGET /x\?a=1 200 \d+\.\d{3}s\n\z} ], 'AccessLog');

    my $basic = sub ($text) { [ Authorization => 'Basic ' . encode_base64($text, '') ] };
    is([ $status->('/basic/'), $status->('/basic/', $basic->('ann:no')), $status->('/basic/', $basic->('ann:pw')) ], [ 401, 401, 200 ], 'Auth::Basic, with an async authenticator');
    is($client->get('/basic/')->header('www-authenticate'), 'Basic realm="Back", charset="UTF-8"', 'its challenge');
    is($client->sse('/basic/', decline_ok => 1)->response->status, 401, 'an event stream is no way around');
    is($client->sse('/basic/', headers => [ $basic->('ann:pw') ])->receive_json(timeout => 20)->{auth}, 'ann', 'but may be opened by who may');

    my $token = $seen->('/tokens');
    is({ map { $_ => $status->('/bearer/', [ Authorization => "Bearer $token->{$_}" ]) } keys %$token }, { good => 200, old => 401, forged => 401 }, 'Auth::Bearer');
    is($seen->('/bearer/', headers => { Authorization => "Bearer $token->{good}" })->{auth}{claims}, { sub => 'ann' }, 'its claims');

    my $preflight = $client->options('/cors/', headers => { Origin => 'https://a.example' });
    is([ $preflight->status, $preflight->content, $preflight->header('access-control-allow-origin') ], [ 204, '', 'https://a.example' ], 'CORS: a preflight');
    is([ map { $client->get('/cors/', headers => { Origin => $_ })->header('access-control-allow-credentials') } 'https://a.example', 'https://b.example' ], [ 'true', undef ], 'requests');

    my $csrf = $seen->('/csrf/')->{csrf};
    is($client->cookie('csrf_token'), $csrf, 'CSRF: the token is in a cookie');
    is([ map { $client->post('/csrf/', headers => { 'X-CSRF-Token' => $_ })->status } 'wrong', $csrf ], [ 403, 200 ], 'and must come back in a header');
    $client->clear_cookies;

    my $etag = $client->get('/conditional/')->header('etag');
    is([ map { $client->get('/conditional/', headers => { 'If-None-Match' => $_ })->status } $etag, '"other"' ], [ 304, 200 ], 'ConditionalGet and ETag');
    is($client->get('/conditional/', headers => { 'If-Modified-Since' => 'Sun, 06 Nov 1994 08:49:37 GMT' })->content, '', 'by time too');

    is([ map { $seen->('/negotiation/', headers => { Accept => $_ })->{preferred} } 'text/*', '*/*' ], [ 'text/html', 'application/json' ], 'ContentNegotiation');
    is($status->('/negotiation/', [ Accept => 'image/png' ]), 406, 'strict');
    is($client->get('/length/html')->header('content-length'), 2026, 'ContentLength');

    my $cookies = $client->get('/cookie/', headers => { Cookie => 'a=caf%C3%A9; b="q"' });
    is([ $cookies->json->{cookies}, $cookies->header('set-cookie') ], [ { a => "caf\xc3\xa9", b => 'q' }, 'from_jar=a%20b%3B; path=/; HttpOnly' ], 'Cookie: those of the request, and of the jar');
    $client->clear_cookies;

    my $page = $client->get('/debug/html');
    like($page->content, qr{id="pagi-debug-panel".*</body></html>\z}s, 'Debug');
    unlike($client->get('/debug/')->content, qr/debug-panel/, 'in HTML only');

    my $error = $client->get('/errors/die');
    is([ $error->status, $error->json ], [ 500, { status => 500, error => 'Internal Server Error' } ], 'ErrorHandler');
    is($seen->('/notes')->{errors}, ["told to die\n"], 'on_error');

    my $posted = $client->post('/form/', form => [ [ a => 1 ], [ a => 2 ], [ b => 'x y' ] ])->json;
    is([ @$posted{qw(parsed raw body)} ], [ { a => [ 1, 2 ], b => 'x y' }, 'a=1&a=2&b=x%20y', '' ], 'FormBody');
    is($client->post('/form/', form => { a => 'x' x 60 })->status, 413, 'its limit');
    is($client->post('/json/', json => { a => [1] })->json->{parsed}, { a => [1] }, 'JSONBody');
    my $bad = $client->post('/json/', body => '{', headers => { 'Content-Type' => 'application/json' });
    is([ $bad->status, $client->post('/json/', json => 'x' x 60)->status ], [ 400, 413 ], 'bad and large ones');
    is($client->post('/json/', body => 'text', headers => { 'Content-Type' => 'text/plain' })->json->{body}, 'text', 'other types are left to the application');

    my $packed = $client->get('/gzip/html', headers => { 'Accept-Encoding' => 'gzip' });
    is([ $packed->header('content-encoding'), $packed->header('vary') ], [ 'gzip', 'Accept-Encoding' ], 'GZip');
    IO::Uncompress::Gunzip::gunzip(\$packed->content, \my $unpacked);
    is(length $unpacked, 2026, 'whole');
    is($client->get('/gzip/html', headers => { 'Accept-Encoding' => 'gzip;q=0' })->header('content-encoding'), undef, 'unless it is not wanted');

    my $secure = $client->get('/https/a%20b?c=d', headers => { Host => 'www.example.org' });
    is([ $secure->status, $secure->header('location') ], [ 301, 'https://www.example.org' . ($on_server ? '/https/a%20b?c=d' : '/https/a%2520b?c=d') ], 'HTTPSRedirect');
    is($status->('/https/open'), 200, 'but for what is excluded');

    my ($head, $get) = ($client->head('/head/html'), $client->get('/head/html'));
    is([ $head->status, $head->content, $head->header('content-length') ], [ 200, '', length $get->content ], 'Head');
    is([ $client->get('/health/health')->json->{checks}, $client->get('/health/live')->json ], [ { disk => { status => 'ok' }, db => { status => 'ok' } }, { status => 'ok' } ], 'Healthcheck');

    my $closed = $client->get('/maintenance/');
    is([ $closed->status, $closed->header('retry-after'), $status->('/maintenance/open') ], [ 503, 30, 200 ], 'Maintenance');
    is($client->sse('/maintenance/', decline_ok => 1)->response->status, 503, 'for streams too');

    my $overridden = $client->post('/override/', headers => { 'X-HTTP-Method-Override' => 'delete' })->json;
    is([ @$overridden{qw(method original_method)} ], [ 'DELETE', 'POST' ], 'MethodOverride');

    is([ map { $status->('/rate/', [ 'X-Forwarded-For' => "192.0.2.$_" ]) } 1 .. 3 ], [ 200, 200, 429 ], 'RateLimit, whatever the client claims');
    is($client->get('/rate/')->header('x-ratelimit-remaining'), 0, 'its headers');

    my $id = $client->get('/requestid/', headers => { 'X-Request-ID' => 'mine-1' });
    is([ $id->json->{request_id}, $id->header('x-request-id') ], [ 'mine-1', 'mine-1' ], 'RequestId');
    like($client->get('/requestid/', headers => { 'X-Request-ID' => 'x' x 300 })->header('x-request-id'), qr/\A[0-9a-f]{8}-/, 'but no endless ones');

    my $forwarded = $seen->('/proxy/', headers => [ [ 'X-Forwarded-For' => '203.0.113.5' ], [ 'X-Forwarded-Proto' => 'https' ] ]);
    is([ @$forwarded{qw(client scheme)} ], [ '203.0.113.5', 'https' ], 'ReverseProxy');
    is($client->sse('/proxy/', headers => { 'X-Forwarded-For' => '203.0.113.6' })->receive_json(timeout => 20)->{client}, '203.0.113.6', 'for streams');

    is([ @{ $seen->('/rewrite/u/7') }{qw(path original_path root)} ], [ '/users/7', '/u/7', '/rewrite' ], 'Rewrite');
    is([ map { $_->status, $_->header('location') } $client->get('/redirect/old/x?a=1') ], [ 308, '/new/x?a=1' ], 'as a redirect');
    like($client->get('/runtime/')->header('x-runtime'), qr/\A\d+\.\d{3}\z/, 'Runtime');
    my $headers = $client->get('/security/');
    is([ map { $headers->header($_) } qw(x-frame-options x-content-type-options x-xss-protection content-security-policy strict-transport-security) ],
        [ 'SAMEORIGIN', 'nosniff', undef, "default-src 'self'", undef ], 'SecurityHeaders');

    is([ map { $seen->('/session/')->{session} } 1 .. 3 ], [ 1, 2, 3 ], 'Session');
    is($client->sse('/session/')->receive_json(timeout => 20)->{session}, 3, 'read by a stream');
    $client->set_cookie(sid => 'f' x 64);
    is($seen->('/session/')->{session}, 1, 'an id from outside is no session');
    isnt($client->cookie('sid'), 'f' x 64, 'nor becomes one');
    $client->clear_cookies;

    my $static = $client->get('/static/effects.pl');
    is([ $static->status, $static->content eq $source, $static->header('accept-ranges') ], [ 200, T(), 'bytes' ], 'Static');
    is([ map { $_->status, $_->content } $client->get('/static/effects.pl', headers => { Range => 'bytes=4-9' }) ], [ 206, substr $source, 4, 6 ], 'a range');
    is($client->get('/static/effects.pl', headers => { 'If-None-Match' => $static->header('etag') })->status, 304, 'not modified');
    is($client->head('/static/effects.pl')->header('content-length'), length $source, 'HEAD');
    is($client->get('/static/none')->json->{path}, '/none', 'pass_through');

    is([ map { $status->('/hosts/', [ Host => $_ ]) } 'testserver', 'a.example.org', 'evil.example' ], [ 200, 200, 400 ], 'TrustedHosts');
    my $left = $client->get('/xsendfile/effects.pl');
    is([ $left->status, $left->header('x-accel-redirect'), $left->content ], [ 200, '/files/effects.pl', '' ], 'XSendfile');
});

done_testing;
