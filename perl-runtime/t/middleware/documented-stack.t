use strict;
use warnings;
use experimental 'signatures';
use lib 't/lib';
use Test2::V0;
use Cwd ();
use File::Temp qw(tempdir);
use IO::Uncompress::Gunzip ();
use PAGITest::Backends qw(each_backend);

# The stack in docs/middleware.md is read from there, so that page cannot go stale.
my $page = do { open my $in, '<', '../docs/middleware.md' or die "docs/middleware.md: $!"; local $/; <$in> };
my ($code) = $page =~ /^```perl\n(.*?)^```/ms;
ok($code, 'the page has a stack');

my $public = Cwd::realpath(tempdir(CLEANUP => 1));
mkdir "$public/assets";
{ open my $out, '>', "$public/assets/a.css" or die $!; print {$out} 'body { }' }
ok($code =~ s/root => 'public'/root => '$public'/, 'which serves files');

each_backend($code, sub ($client, $name) {
    my $hello = $client->get('/hello');
    is([ $hello->status, $hello->text ], [ 200, "Hello, visit 0\n" ], 'answers');
    like($hello->header('x-request-id'), qr/\A[0-9a-f-]+\z/, 'request id');
    like($hello->header('x-runtime'), qr/\A[\d.]+\z/, 'runtime');
    is($hello->header('x-frame-options'), 'SAMEORIGIN', 'security headers');
    is($hello->header('content-length'), 15, 'length');
    is($hello->header('x-ratelimit-limit'), 200, 'limit');

    my $etag = $hello->header('etag');
    like($etag, qr/\A"[0-9a-f]{32}"\z/, 'tag');
    my $again = $client->get('/hello', headers => { 'if-none-match' => $etag });
    is([ $again->status, $again->content ], [ 304, '' ], 'not modified');

    my $head = $client->head('/hello');
    is([ $head->status, $head->content, $head->header('content-length'), $head->header('etag') ], [ 200, '', 15, $etag ], 'HEAD is the GET without body');

    my $long = $client->get('/long', headers => { 'accept-encoding' => 'gzip' });
    is($long->header('content-encoding'), 'gzip', 'compressed');
    IO::Uncompress::Gunzip::gunzip(\$long->content, \my $unpacked);
    is($unpacked, 'a page worth compressing ' x 100, 'and whole');
    my $packed_etag = $long->header('etag');
    is($client->get('/long', headers => { 'accept-encoding' => 'gzip', 'if-none-match' => $packed_etag })->status, 304, 'not modified either');

    is([ map { $client->get('/count')->text } 1, 2 ], [ "Hello, visit 1\n", "Hello, visit 2\n" ], 'the session counts');

    my $token = $client->cookie('csrf_token');
    like($token, qr/\A[0-9a-f]{64}\z/, 'CSRF cookie');
    is($client->post('/hello', json => { name => 'x' })->status, 403, 'a POST without token');
    my $post = $client->post('/hello?_method=PUT', json => { name => 'J' }, headers => { 'x-csrf-token' => $token });
    is([ $post->status, $post->text ], [ 200, "Hello, visit 2\nPUT J\n" ], 'with token, JSON, method override');
    $post = $client->post('/hello', form => { name => 'F' }, headers => { 'x-csrf-token' => $token });
    is($post->text, "Hello, visit 2\nPOST F\n", 'form');

    my $css = $client->get('/assets/a.css');
    is([ $css->status, $css->text, $css->header('content-type') ], [ 200, 'body { }', 'text/css' ], 'file');
    is($client->get('/assets/../secret')->status, 404, 'outside is not there');
    is($client->get('/health')->json->{status}, 'ok', 'health');
    is($client->get('/admin')->status, 401, 'authentication');
    is($client->get('/admin', headers => { authorization => 'Basic YWRtaW46c2VjcmV0' })->status, 200, 'authenticated');
    is($client->get('/', headers => { host => 'evil.example' })->status, 400, 'unknown host');

    my $broken = $client->get('/broken');
    is($broken->status, 500, 'error page');
    like($broken->text, qr/Internal Server Error/, 'without details');
    ok($broken->header('x-request-id'), 'with request id');

    my $cors = $client->options('/hello', headers => { origin => 'https://app.example.org' });
    is([ $cors->status, $cors->header('access-control-allow-origin') ], [ 204, 'https://app.example.org' ], 'preflight');
});

done_testing;
