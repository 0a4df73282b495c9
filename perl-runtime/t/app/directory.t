use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(call_app header http_scope text_of);
use FileTree qw(file_tree);
use JSON::MaybeXS qw(decode_json);
use PAGI::App::Directory;
use PAGITest::Backends qw(each_backend);

my $tree = file_tree();
my $root = "$tree/www";
my $app = PAGI::App::Directory->new(root => $root, index => [])->to_app;
sub get_events ($path, %more) { return (call_app($more{app} // $app, http_scope($path, %more)))[0] }
sub names ($path, %more) { [map { $_->{name} } @{ decode_json(text_of(get_events($path, headers => [['accept', 'application/json']], %more))) }] }

subtest 'helpers' => sub {
    is PAGI::App::Directory::_html_escape(q{<a href="x">&'}), '&lt;a href=&quot;x&quot;&gt;&amp;&#39;', 'HTML';
    is PAGI::App::Directory::_url_encode('a b/c?d&e~-_.'), 'a%20b/c%3Fd%26e~-_.', 'URL';
    is [PAGI::App::Directory::_html_escape(undef), PAGI::App::Directory::_url_encode(undef)], ['', ''], 'undef';
    is [map { PAGI::App::Directory::_size($_) } 0, 12, 1536, 5 * 1024**2, 3 * 1024**3, 5 * 1024**4],
        ['0', '12.0 B', '1.5 KB', '5.0 MB', '3.0 GB', '5120.0 GB'], 'sizes';
};

subtest 'JSON' => sub {
    my $sent = get_events('/sub/', headers => [['accept', 'text/html, application/json;q=0.9']]);
    is [header($sent->[0], 'content-type'), header($sent->[0], 'content-length')], ['application/json', length text_of($sent)], 'headers';
    is decode_json(text_of($sent)), [
        { name => 'indexed', is_dir => 1, size => (stat "$root/sub/indexed")[7], mtime => (stat _)[9] },
        { name => 'nested.txt', is_dir => 0, size => 6, mtime => (stat "$root/sub/nested.txt")[9] },
    ], 'entries, directories first';
    is [grep { /\A\./ } @{ names('/') }], [], 'no hidden names';
    is [grep { /link|outside|evil/ } @{ names('/') }], [], 'no links that lead out';
    ok((grep { $_ eq 'inside.txt' } @{ names('/') }), 'others are there');
    ok((grep { $_ eq "caf\x{e9}.txt" } @{ names('/') }), 'names are characters');
    my $hidden = PAGI::App::Directory->new(root => $root, index => [], show_hidden => 1)->to_app;
    is [grep { /\A\./ } @{ names('/', app => $hidden) }], ['.git', '.hidden'], 'show_hidden';
    is [grep { /\A\./ } @{ names('/sub', app => $hidden) }], ['..'], 'the parent too, but not above the root';
    is get_events($_, app => $hidden)->[0]{status}, 403, "$_ is still refused" for '/.git', '/.hidden';
};

subtest 'HTML' => sub {
    open my $file, '>', "$root/sub/<script>alert('x')&.txt" or die;
    close $file;
    my $sent = get_events('/sub', root_path => '/list');
    my $html = text_of($sent);
    is [header($sent->[0], 'content-type'), header($sent->[0], 'content-length')], ['text/html', length $html], 'headers';
    like $html, qr{<title>Index of /list/sub/</title>.*<h1>Index of /list/sub/</h1>.*<th>Name</th><th>Size</th>}s, 'heading';
    like $html, qr{<a href="/list/sub/indexed/">indexed/</a></td><td>-<.*<a href="/list/sub/nested.txt">nested.txt</a></td><td>6\.0 B<}s, 'rows';
    like $html, qr{<a href="/list/">\.\./</a>}, 'the parent';
    unlike $html, qr/<script/, 'names are escaped';
    like $html, qr{<a href="/list/sub/%3Cscript%3Ealert%28%27x%27%29%26\.txt">&lt;script&gt;}, 'and encoded';
    unlike text_of(get_events('/')), qr{\.\./}, 'no parent at the root';
    like text_of(get_events('/')), qr{<a href="/caf%C3%A9\.txt">caf\xc3\xa9\.txt</a>}, 'UTF-8';
};

subtest 'files, methods, refusals' => sub {
    is get_events('/sub/nested.txt')->[1]{file}, "$root/sub/nested.txt", 'a file';
    is get_events('/sub/indexed', app => PAGI::App::Directory->new(root => $root)->to_app)->[1]{file}, "$root/sub/indexed/index.htm", 'an index';
    my $head = get_events('/sub', method => 'HEAD');
    is [$head->[0]{status}, text_of($head)], [200, ''], 'HEAD has no body';
    cmp_ok header($head->[0], 'content-length'), '>', 100, 'but the length';
    is get_events('/sub', method => 'POST')->[0]{status}, 405, 'POST';
    is get_events('/none.txt')->[0]{status}, 404, 'a missing file';
    is get_events('/none/none.txt')->[0]{status}, 403, 'below a missing directory';
    is get_events($_)->[0]{status}, 403, $_ for '/..', '/../', '/sub/../..', '/.git', '/.git/config', '/outside', '/outside/wwwevil', '/evil', '/evil/';
    chmod 0, "$root/nothing";
    is get_events('/nothing')->[0]{status}, $> ? 403 : 200, 'a directory that may not be read';
    chmod 0755, "$root/nothing";
    like dies { call_app($app, http_scope('/', type => 'websocket')) }, qr/\AUnsupported scope type/, 'other scopes';
};

each_backend("$FindBin::Bin/apps/files.pl", sub ($client, $backend) {
    my $response = $client->get('/list/sub/');
    is [$response->status, $response->header('content-type')], [200, 'text/html'], 'listing';
    like $response->content, qr{href="/list/sub/nested\.txt"}, 'with links';
    is $client->get('/list/sub', headers => { Accept => 'application/json' })->json->[0]{name}, 'indexed', 'JSON';
    is $client->get('/list/sub/nested.txt')->content, 'nested', 'file';
}, env => { TEST_ROOT => $root });

done_testing;
