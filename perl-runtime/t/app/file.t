use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(call_app header http_scope text_of);
use File::Temp ();
use FileTree qw(file_tree);
use HTTP::Date qw(time2str);
use PAGI::App::File;
use PAGITest::Backends qw(each_backend);

my $tree = file_tree();
my $root = "$tree/www";
my $app = PAGI::App::File->new(root => $root)->to_app;

sub get_events ($path, %more) { return (call_app($more{app} // $app, http_scope($path, %more)))[0] }
sub with (@headers) { my @pairs; while (my ($name, $value) = splice @headers, 0, 2) { push @pairs, [$name, $value] } return (headers => \@pairs) }

subtest 'a file' => sub {
    my $sent = get_events('/test.txt');
    my %headers = map { @$_ } @{ $sent->[0]{headers} };
    is [map { $_->[0] } @{ $sent->[0]{headers} }], [qw(content-type content-length accept-ranges etag last-modified)], 'headers in order';
    is [@headers{qw(content-type content-length accept-ranges)}], ['text/plain', 11, 'bytes'], 'values';
    like $headers{etag}, qr/\A"[0-9a-f]{32}"\z/, 'etag';
    is $headers{'last-modified'}, time2str((stat "$root/test.txt")[9]), 'last-modified';
    is $sent->[1], { type => 'http.response.body', file => "$root/test.txt" }, 'the server gets the file';

    is header(get_events("/$_->[0]")->[0], 'content-type'), $_->[1], $_->[0]
        for ['data.json', 'application/json'], ['style.css', 'text/css'], ['index.html', 'text/html'], ['unknown.xyz', 'application/octet-stream'];
    is header(get_events('/unknown.xyz', app => PAGI::App::File->new(root => $root, default_type => 'x/y')->to_app)->[0], 'content-type'), 'x/y', 'default_type';
    local $PAGI::App::File::MIME_TYPES{xyz} = 'x/z';
    is header(get_events('/unknown.xyz')->[0], 'content-type'), 'x/z', 'extended table';
};

# The table of the documentation; the static middleware has the same.
subtest 'types' => sub {
    my %type = (
        (map { $_ => 'text/html' } qw(html htm)), (map { $_ => 'text/plain' } qw(txt pl md)), (map { $_ => 'image/jpeg' } qw(jpg jpeg)),
        css => 'text/css', js => 'application/javascript', json => 'application/json', xml => 'application/xml', png => 'image/png', gif => 'image/gif',
        svg => 'image/svg+xml', ico => 'image/x-icon', webp => 'image/webp', woff => 'font/woff', woff2 => 'font/woff2', ttf => 'font/ttf',
        pdf => 'application/pdf', zip => 'application/zip', mp3 => 'audio/mpeg', mp4 => 'video/mp4', webm => 'video/webm',
    );
    my $dir = File::Temp->newdir;
    my $own = PAGI::App::File->new(root => "$dir")->to_app;
    my %seen;
    for my $extension (sort keys %type) {
        open my $file, '>', "$dir/a.$extension" or die "Cannot write $dir/a.$extension: $!";
        close $file;
        $seen{$extension} = header(get_events("/a.$extension", app => $own)->[0], 'content-type');
    }
    is \%seen, \%type, 'by extension';
    is \%PAGI::App::File::MIME_TYPES, \%type, 'and no others';
};

subtest 'names' => sub {
    is get_events('/')->[1]{file}, "$root/index.html", 'index';
    is get_events('/sub/indexed')->[1]{file}, "$root/sub/indexed/index.htm", 'the other index, without a slash';
    is get_events('/sub')->[0]{status}, 404, 'a directory without index';
    is get_events('/data.json', app => PAGI::App::File->new(root => $root, index => ['data.json'])->to_app)->[1]{file}, "$root/data.json", 'index option';
    is get_events("/caf\x{e9}.txt")->[1]{file}, "$root/caf\xc3\xa9.txt", 'UTF-8 name';
    is get_events("/caf\x{e9}.bin")->[1]{file}, "$root/caf\xe9.bin", 'a name that is not UTF-8';
    is get_events('/two..dots.txt')->[0]{status}, 200, 'dots inside a name';
    is get_events('/sub//nested.txt')->[0]{status}, 200, 'a double slash';
    is get_events('/inside.txt')->[1]{file}, "$root/test.txt", 'a link that stays inside';
    like dies { PAGI::App::File->new(root => '/no/such/dir') }, qr{\AThe root directory '/no/such/dir' does not exist at \Q$0\E}, 'no root';
};

subtest 'refusals' => sub {
    my @cases = (
        ['/none.txt', 404, 'Not Found'], ['/test.txt/', 404, 'Not Found'], ["/test.txt\0", 400, 'Bad Request'], ['/../secret.txt', 403, 'Forbidden'],
        ['/.hidden', 403, 'Forbidden'], ['/link.txt', 403, 'Forbidden'], ['/sub\\..\\..\\secret.txt', 403, 'Forbidden'],
        ['/evil/secret.txt', 403, 'Forbidden'],
    );
    for my $case (@cases) {
        my ($path, $status, $text) = @$case;
        my $sent = get_events($path);
        is [$sent->[0]{status}, $sent->[0]{headers}, text_of($sent)],
            [$status, [['content-type', 'text/plain'], ['content-length', length $text]], $text], "$status for " . $path =~ s/\0/NUL/r;
    }
    my $order = sub ($path, @more) { get_events($path, @more)->[0]{status} };
    is [$order->("/../x\0", method => 'PUT'), $order->("/../x\0"), $order->('/.none'), $order->('/none', with('if-none-match', '*'))], [405, 400, 403, 404],
        'the method is looked at first, then NUL, then dots, then whether it exists';
    my $sent = get_events('/test.txt', method => 'POST');
    is [$sent->[0]{status}, header($sent->[0], 'allow'), text_of($sent)], [405, 'GET, HEAD', 'Method Not Allowed'], '405 with allow';
    like dies { call_app($app, http_scope('/', type => $_)) }, qr/\AUnsupported scope type: $_ at /, "$_ rejected" for qw(websocket sse lifespan);
};

subtest 'conditions' => sub {
    my $start = get_events('/test.txt')->[0];
    my ($etag, $modified) = map { scalar header($start, $_) } qw(etag last-modified);
    my $mtime = (stat "$root/test.txt")[9];
    my $status = sub (@headers) { get_events('/test.txt', with(@headers))->[0]{status} };
    is get_events('/test.txt', with('if-none-match', $etag)),
        [{ type => 'http.response.start', status => 304, headers => [['etag', $etag]] }, { type => 'http.response.body', body => '', more => 0 }], '304 with etag only';
    is $status->('if-none-match', $_), 304, "If-None-Match: $_" for "\"x\", $etag", "W/$etag", '*';
    is $status->('if-none-match', '"x"', 'if-none-match', $etag), 304, 'in two lines';
    is $status->('if-none-match', '"other"'), 200, 'another tag';
    is $status->('if-modified-since', $modified), 304, 'If-Modified-Since';
    is $status->('if-modified-since', time2str($mtime - 10)), 200, 'changed since';
    is $status->('if-modified-since', 'yesterday'), 200, 'no date';
    is $status->('if-none-match', '"other"', 'if-modified-since', $modified), 200, 'the tag goes first';
    is $status->('if-match', '"other"'), 412, 'If-Match';
    is $status->('if-match', $_), 200, "If-Match: $_" for $etag, '*';
    is $status->('if-match', "W/$etag"), 412, 'a weak tag does not match strongly';
    is $status->('if-unmodified-since', time2str($mtime - 10)), 412, 'If-Unmodified-Since';
    is $status->('if-unmodified-since', $modified), 200, 'unmodified';
    utime $mtime + 5, $mtime + 5, "$root/test.txt";
    isnt header(get_events('/test.txt')->[0], 'etag'), $etag, 'another time, another tag';
};

subtest 'ranges' => sub {
    my $range = sub ($value, @more) { my $sent = get_events('/test.txt', with(range => $value, @more)); return [$sent->[0]{status}, header($sent->[0], 'content-range') // '', @{ $sent->[1] }{qw(offset length)}] };
    is $range->('bytes=0-4'), [206, 'bytes 0-4/11', 0, 5], 'first bytes';
    is $range->('bytes=7-'), [206, 'bytes 7-10/11', 7, 4], 'to the end';
    is $range->('bytes=-4'), [206, 'bytes 7-10/11', 7, 4], 'the last four';
    is $range->('bytes=5-999'), [206, 'bytes 5-10/11', 5, 6], 'cut to the size';
    is $range->('bytes=11-'), [416, 'bytes */11', undef, undef], 'behind the end';
    is $range->('bytes=0-1,4-5'), [200, '', undef, undef], 'several: the whole file';
    is $range->('bytes=0-4 nonsense'), [200, '', undef, undef], 'no range at all';
    my $beyond = get_events('/test.txt', with(range => 'bytes=11-'));
    is [$beyond->[0]{headers}, text_of($beyond)], [[['content-type', 'text/plain'], ['content-length', 21], ['content-range', 'bytes */11']], 'Range Not Satisfiable'], 'all of a 416';
    my $etag = header(get_events('/test.txt')->[0], 'etag');
    is $range->('bytes=0-4', 'if-range', $etag)->[0], 206, 'If-Range';
    is $range->('bytes=0-4', 'if-range', '"other"')->[0], 200, 'If-Range of another';
    my $sent = get_events('/test.txt', with(range => 'bytes=0-4'));
    is [map { $_->[0] } @{ $sent->[0]{headers} }], [qw(content-type content-length content-range accept-ranges etag last-modified)], 'headers of 206';
    is header($sent->[0], 'content-length'), 5, 'length';
    is get_events('/test.txt', with(range => 'bytes=0-4'), app => PAGI::App::File->new(root => $root, handle_ranges => 0)->to_app)->[0]{status}, 200, 'handle_ranges 0';
    is get_events('/empty.txt', with(range => 'bytes=0-'))->[0]{status}, 416, 'nothing in an empty file';
    $sent = get_events('/test.txt', method => 'HEAD', with(range => 'bytes=0-4'));
    is [$sent->[0]{status}, header($sent->[0], 'content-length'), $sent->[1]], [200, 11, { type => 'http.response.body', body => '', more => 0 }], 'HEAD';
};

each_backend("$FindBin::Bin/apps/files.pl", sub ($client, $backend) {
    my $response = $client->get('/files/');
    is [$response->status, $response->content], [200, '<h1>index</h1>'], 'index';
    is $client->get('/files/sub/nested.txt')->content, 'nested', 'nested';
    $response = $client->get('/files/big.bin');
    is [length $response->content, $response->header('content-length')], [66_000, 66_000], 'a larger file';
    my $etag = $response->header('etag');
    $response = $client->get('/files/big.bin', headers => { Range => 'bytes=65000-65999' });
    is [$response->status, $response->header('content-range'), $response->content], [206, 'bytes 65000-65999/66000', join '', map { chr($_ % 251) } 65_000 .. 65_999], 'range';
    is $client->get('/noranges/big.bin', headers => { Range => 'bytes=0-9' })->status, 200, 'no ranges';
    $response = $client->get('/files/big.bin', headers => { 'If-None-Match' => $etag });
    is [$response->status, $response->content], [304, ''], '304';
    $response = $client->head('/files/big.bin');
    is [$response->status, $response->header('content-length'), $response->content], [200, 66_000, ''], 'HEAD';
    is [$client->get('/files/none')->status, $client->post('/files/test.txt')->status], [404, 405], 'refusals';
    is $client->get('/files/empty.txt')->content, '', 'an empty file';
}, env => { TEST_ROOT => $root });

done_testing;
