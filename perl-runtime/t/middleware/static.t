use strict;
use warnings;
use experimental 'signatures';
use utf8;
use lib 't/middleware/lib';
use Test2::V0;
use Cwd ();
use Drive;
use Encode qw(encode_utf8);
use File::Temp qw(tempdir);
use PAGI::Middleware::Static;

my $base = Cwd::realpath(tempdir(CLEANUP => 1));
my $root = "$base/www";
my $outside = "$base/wwwevil";
mkdir $_ for $root, $outside, "$root/sub", "$root/empty", "$root/.git", "$root/.well-known", "$root/sub/.well-known";
my %files = ('index.html' => 'home', 'a.html' => '<p>', 'a.JS' => 'js', 'a.css' => 'css', 'a.tar.gz' => 'gz', 'noext' => 'n',
    'data.txt' => '0123456789' x 10, 'sub/x.txt' => 'x', 'sub/index.htm' => 'sub', '.secret' => 's', '.git/config' => 'g',
    '.well-known/acme' => 'acme', 'sub/.well-known/no' => 'no', '%2e%2e' => 'literal', 'a b' => 'blank', 'zero' => '',
    encode_utf8('café') => 'cafe', encode_utf8('snow☃.txt') => 'snow', "latin\xe9" => 'latin', 'q' => 'q');
for my $name (keys %files) { open my $out, '>:raw', "$root/$name" or die "$name: $!"; print {$out} $files{$name} }
{ open my $out, '>', "$outside/key" or die $!; print {$out} 'secret' }
symlink "$outside/key", "$root/link"; symlink $outside, "$root/linkdir"; symlink 'a.html', "$root/inner"; symlink 'nowhere', "$root/dangling";

sub static (%config) { return PAGI::Middleware::Static->new(root => $root, %config)->wrap(respond_app(299, [], 'app')) }
sub get ($path, %o) {
    my $config = delete $o{config} // {};
    return drive(static(%$config), http_scope(path => $path, raw_path => '/', %o));
}
sub got ($path, %o) { my $r = get($path, %o); return [ $r->status, $r->body ] }

subtest 'files' => sub {
    my $result = get('/data.txt');
    is([ map { $_->[0] } $result->headers ], [qw(content-type etag last-modified accept-ranges content-length)], 'headers in order');
    like($result->header('etag'), qr/\A"[0-9a-f]{32}"\z/, 'etag');
    like($result->header('last-modified'), qr/\A\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\z/, 'last-modified');
    is([ $result->header('accept-ranges'), $result->header('content-length') ], [ 'bytes', 100 ], 'length');
    is([ ($result->events)[1] ], [ { type => 'http.response.body', file => "$root/data.txt" } ], 'the server sends the file');
    my %type = ('/a.html' => 'text/html', '/a.JS' => 'application/javascript', '/a.css' => 'text/css', '/a.tar.gz' => 'application/gzip', '/noext' => 'application/octet-stream', '/data.txt' => 'text/plain');
    is(get($_)->header('content-type'), $type{$_}, "$_ $type{$_}") for sort keys %type;

    is(got('/'), [ 200, 'home' ], 'index');
    is(got('/sub'), [ 200, 'sub' ], 'second index name');
    is(got('/sub/'), [ 200, 'sub' ], 'with a slash');
    is(got('/sub', config => { index => ['x.txt'] }), [ 200, 'x' ], 'own index');
    is(got('/empty'), [ 404, 'Not Found' ], 'no index');
    is(got('/none.txt'), [ 404, 'Not Found' ], 'missing');
    is(got('/a.html/x'), [ 404, 'Not Found' ], 'below a file');
    is(got('/' . 'x' x 5000), [ 404, 'Not Found' ], 'a name too long for the system');
    is(got('/sub/../a.html'), [ 200, '<p>' ], 'dots inside are resolved');
    is(got('//sub/./x.txt'), [ 200, 'x' ], 'as are empty segments');
    is(got('/q?x'), [ 200, 'q' ], 'a question mark ends the name');
    is(got('/zero'), [ 200, '' ], 'an empty file');
    is(got('/inner'), [ 200, '<p>' ], 'a link inside the root');

    my $head = get('/data.txt', method => 'HEAD');
    is([ $head->header('content-length'), ($head->events)[1] ], [ 100, { type => 'http.response.body', body => '', more => 0 } ], 'HEAD');
    is(got('/data.txt', method => 'POST'), [ 299, 'app' ], 'POST passes');
    is(drive(static(), ws_scope(path => '/data.txt'))->rejected->[0], 'http.response.start is not an event of websocket scopes', 'websockets pass');
};

subtest 'names' => sub {
    is(got('/café'), [ 200, 'cafe' ], 'UTF-8 names');
    is(got('/snow☃.txt'), [ 200, 'snow' ], 'wide characters');
    is(got("/latin\xe9"), [ 200, 'latin' ], 'a path that was not UTF-8');
    is(got('/a b'), [ 200, 'blank' ], 'blank');
    is(got('/%2e%2e'), [ 200, 'literal' ], 'never decoded again');
    is(got('/a%20b'), [ 404, 'Not Found' ], 'nor here');
};

subtest 'what is not served' => sub {
    is(got($_), [ 403, 'Forbidden' ], "$_: 403") for '/..', '/../wwwevil/key', '/sub/../../wwwevil/key', '/a/../../www/a.html';
    is(got($_)->[0] >= 400, 1, "$_: no") for '/%2e%2e/etc/passwd', '/..%2f..%2fetc/passwd', '/....//etc/passwd';
    is(warns { is(got("/a.html\0.txt"), [ 404, 'Not Found' ], 'NUL') }, 0, 'without a warning');
    is(got($_), [ 403, 'Forbidden' ], "$_: 403") for '/.secret', '/.git/config', '/.git', '/sub/.well-known/no', '/.nonexistent';
    is(got('/.well-known/acme'), [ 200, 'acme' ], 'but .well-known');
    is(got('/.secret', config => { show_dotfiles => 1 }), [ 200, 's' ], 'show_dotfiles');
    is(got('/../x', config => { show_dotfiles => 1 }), [ 403, 'Forbidden' ], 'does not open ..');
    is(got($_), [ 403, 'Forbidden' ], "$_: 403") for '/link', '/linkdir/key';
    is(got('/dangling'), [ 404, 'Not Found' ], 'a dangling link');
    is(got('/link', config => { follow_outside => 1 }), [ 200, 'secret' ], 'follow_outside');
    my $error = get('/none');
    is([ $error->headers ], [ [ 'content-type', 'text/plain' ], [ 'content-length', 9 ] ], 'headers of errors');
};

subtest 'pass_through' => sub {
    my %want = ('/none' => [ 299, 'app' ], '/empty' => [ 299, 'app' ], '/a.html' => [ 200, '<p>' ], '/..' => [ 403, 'Forbidden' ], '/.secret' => [ 299, 'app' ], "/a\0" => [ 299, 'app' ]);
    is(got($_, config => { pass_through => 1 }), $want{$_}, s/\0/NUL/r) for sort keys %want;
};

subtest 'path' => sub {
    is([ map { got($_, config => { path => qr{^/sub/} })->[1] } '/sub/x.txt', '/a.html' ], [qw(x app)], 'pattern');
    is([ map { got($_, config => { path => '/sub' })->[1] } '/sub/x.txt', '/sub', '/subway', '/a.html' ], [qw(x sub app app)], 'a string is a prefix of whole segments');
    is(got('/static/a.html', config => { path => sub ($path) { $path =~ m{^/static(/.*)} ? $1 : 0 } }), [ 200, '<p>' ], 'coderef: the answer is the path');
    is(got('/static/a.html', config => { path => sub { $_[0] =~ s{^/static/}{} } }), [ 200, '<p>' ], 'coderef: changed in place, no leading slash');
    is(got('/static/a.html', config => { path => sub { s{^/static}{} } }), [ 200, '<p>' ], 'also as $_');
    is(got('/a.html', config => { path => sub ($path) { 0 } }), [ 299, 'app' ], 'coderef: false');
    is(got('/a.html', config => { path => sub ($path) { 1 } }), [ 200, '<p>' ], 'coderef: 1');
    like(dies { static(path => []) }, qr/Static 'path' must be/, 'checked');
};

subtest 'validators' => sub {
    my $etag = get('/data.txt')->header('etag');
    my $status = sub ($value) { get('/data.txt', add_headers => [ [ 'if-none-match', $value ] ])->status };
    my $hit = get('/data.txt', add_headers => [ [ 'if-none-match', $etag ] ]);
    is([ $hit->status, $hit->body, [ $hit->headers ] ], [ 304, '', [ [ 'etag', $etag ] ] ], '304 with only the etag');
    is($status->($_), 304, "304: $_") for '*', "W/$etag", "\"x\", $etag";
    is($status->($_), 200, "200: $_") for '"x"', substr($etag, 1, -1);
    isnt(get('/a.html')->header('etag'), $etag, 'tags differ between files');
    utime 1000, 1000, "$root/data.txt";
    isnt(get('/data.txt')->header('etag'), $etag, 'and with the time');
};

subtest 'ranges' => sub {
    my $range = sub ($value, @more) { get('/data.txt', add_headers => [ [ range => $value ], @more ]) };
    my $part = $range->('bytes=10-19');
    is([ $part->status, $part->body ], [ 206, '0123456789' ], '206');
    is([ map { $_->[0] } $part->headers ], [qw(content-type etag last-modified accept-ranges content-range content-length)], 'headers in order');
    is([ $part->header('content-range'), $part->header('content-length') ], [ 'bytes 10-19/100', 10 ], 'values');
    is([ ($part->events)[1] ], [ { type => 'http.response.body', file => "$root/data.txt", offset => 10, length => 10 } ], 'the server reads the part');

    my %ok = ('bytes=0-0' => '0-0', 'bytes=95-' => '95-99', 'bytes=-5' => '95-99', 'bytes=-500' => '0-99', 'bytes=90-500' => '90-99', 'bytes = 1 - 2' => '1-2', 'BYTES=1-2' => '1-2', 'bytes=0-99999999999999999999999' => '0-99');
    is([ $range->($_)->status, $range->($_)->header('content-range') ], [ 206, "bytes $ok{$_}/100" ], $_) for sort keys %ok;
    for my $bad ('bytes=100-', 'bytes=100-200', 'bytes=20-10', 'bytes=-0', 'bytes=99999999999999999999-') {
        my $result = $range->($bad);
        is([ $result->status, $result->body, $result->header('content-range') ], [ 416, 'Range Not Satisfiable', 'bytes */100' ], $bad);
    }
    is($range->($_)->status, 200, "ignored: $_") for 'bytes=-', 'bytes=0-1,5-6', 'lines=1-2', 'bytes=a-b', '', 'xbytes=0-1';
    is(get('/zero', add_headers => [ [ range => $_ ] ])->status, 416, "$_ of an empty file") for 'bytes=0-', 'bytes=-5';

    is(get('/data.txt', method => 'HEAD', add_headers => [ [ range => 'bytes=0-1' ] ])->status, 200, 'HEAD has no ranges');
    is(get('/data.txt', config => { handle_ranges => 0 }, add_headers => [ [ range => 'bytes=0-1' ] ])->status, 200, 'handle_ranges 0');
    is(get('/data.txt', config => { handle_ranges => 1 }, add_headers => [ [ range => 'bytes=0-1' ] ])->status, 206, 'handle_ranges 1');

    my ($etag, $date) = map { get('/data.txt')->header($_) } qw(etag last-modified);
    my %if_range = ($etag => 206, $date => 206, '"other"' => 200, "W/$etag" => 200, 'Thu, 01 Jan 1970 00:16:39 GMT' => 200, 'nonsense' => 200);
    is($range->('bytes=0-1', [ 'if-range', $_ ])->status, $if_range{$_}, "If-Range $_: $if_range{$_}") for sort keys %if_range;
};

subtest 'root' => sub {
    like(dies { PAGI::Middleware::Static->new }, qr/Static middleware requires 'root' option/, 'required');
    my $relative = PAGI::Middleware::Static->new(root => 't/middleware/')->wrap(hello_app());
    my $result = drive($relative, http_scope(path => '/static.t'));
    is(($result->events)[1]{file}, Cwd::getcwd() . '/t/middleware/static.t', 'made absolute');
    symlink $root, "$base/current";
    is(drive(PAGI::Middleware::Static->new(root => "$base/current")->wrap(hello_app()), http_scope(path => '/a.html'))->body, '<p>', 'a root that is a link');
};

done_testing;
