use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future;
use PAGI::Middleware::Builder;
use PAGI::Middleware::CORS;
use PAGI::Middleware::CSRF;
use PAGI::Middleware::HTTPSRedirect;
use PAGI::Middleware::SecurityHeaders;
use PAGI::Middleware::TrustedHosts;

my $called = 0;
my $last;
my $counting = sub ($scope, $receive, $send) {
    $called++;
    $last = $scope;
    return hello_app()->($scope, $receive, $send) if $scope->{type} eq 'http';
    return $send->({ type => 'sse.start', status => 200, headers => [] }) if $scope->{type} eq 'sse';
    return $send->({ type => 'websocket.accept' });
};
sub with ($mw, $scope) { $called = 0; undef $last; return drive($mw->wrap($counting), $scope) }

subtest 'CORS' => sub {
    my $origin = [ [ origin => 'https://app.example' ] ];
    my $mw = PAGI::Middleware::CORS->new(origins => ['https://app.example']);

    my $pre = with($mw, http_scope(method => 'OPTIONS', add_headers => $origin));
    is([ $called, $pre->status, $pre->body ], [ 0, 204, '' ], 'preflight answered without the application');
    is([ $pre->headers ], [
        [ 'Access-Control-Allow-Origin',  'https://app.example' ],
        [ 'Vary',                         'Origin' ],
        [ 'Access-Control-Allow-Methods', 'GET, POST, PUT, DELETE, PATCH, OPTIONS' ],
        [ 'Access-Control-Allow-Headers', 'Content-Type, Authorization, X-Requested-With' ],
        [ 'Access-Control-Max-Age',       86400 ],
    ], 'headers in order');
    $pre = with($mw, http_scope(method => 'OPTIONS', add_headers => [ [ origin => 'https://evil.example' ] ]));
    is([ $called, $pre->status, [ $pre->headers ] ], [ 0, 204, [] ], 'disallowed: 204 without headers');
    with($mw, http_scope(method => 'OPTIONS'));
    is($called, 1, 'OPTIONS without origin reaches the application');

    is(with($mw, http_scope(add_headers => $origin))->header('Access-Control-Allow-Origin'), 'https://app.example', 'simple request');
    is([ map { $_->[0] } with($mw, http_scope(add_headers => [ [ origin => 'https://app.example.evil' ] ]))->headers ],
        ['content-type'], 'an unknown origin gets nothing');
    is(scalar(with($mw, http_scope())->headers), 1, 'nor does none');

    my $credentials = PAGI::Middleware::CORS->new(origins => 'https://app.example', credentials => 1, expose_headers => [qw(X-A X-B)]);
    is([ with($credentials, http_scope(add_headers => $origin))->headers ], [
        [ 'content-type', 'text/plain' ],
        [ 'Access-Control-Allow-Origin',      'https://app.example' ],
        [ 'Access-Control-Allow-Credentials', 'true' ],
        [ 'Access-Control-Expose-Headers',    'X-A, X-B' ],
        [ 'Vary',                             'Origin' ],
    ], 'credentials and exposed headers; a scalar origin is a list of one');

    is(with(PAGI::Middleware::CORS->new, http_scope(add_headers => $origin))->header('Access-Control-Allow-Origin'), '*', 'the default is *');
    is(with(PAGI::Middleware::CORS->new(origins => '*'), http_scope(add_headers => $origin))->header('Access-Control-Allow-Origin'), '*', 'as a scalar too');

    my $no_headers = PAGI::Middleware::CORS->new->wrap(sub ($scope, $receive, $send) { $send->({ type => 'http.response.start', status => 200 }) });
    is(drive($no_headers, http_scope(add_headers => $origin))->header('Access-Control-Allow-Origin'), '*', 'a start without headers key');

    is(with($mw, sse_scope(add_headers => $origin))->header('Access-Control-Allow-Origin'), 'https://app.example', 'event streams too');
    with($mw, ws_scope(add_headers => $origin));
    is($called, 1, 'websockets pass');
};

subtest 'CORS warning' => sub {
    my $warned = warns { PAGI::Middleware::CORS->new(origins => ['*'], credentials => 1) };
    is($warned, 1, 'exactly one');
    like(warning { PAGI::Middleware::CORS->new(origins => ['*'], credentials => 1) }, qr/wildcard.*credentials/i, 'text');
    is(warns { PAGI::Middleware::CORS->new(@$_) }, 0, 'none') for
        [ origins => ['*'] ], [ origins => ['https://a'], credentials => 1 ], [ origins => ['https://a'] ];
};

subtest 'SecurityHeaders' => sub {
    my $default = with(PAGI::Middleware::SecurityHeaders->new, http_scope());
    is([ $default->headers ], [
        [ 'content-type', 'text/plain' ],
        [ 'X-Frame-Options', 'SAMEORIGIN' ],
        [ 'X-Content-Type-Options', 'nosniff' ],
        [ 'X-XSS-Protection', '1; mode=block' ],
        [ 'Referrer-Policy', 'strict-origin-when-cross-origin' ],
    ], 'defaults in order');
    my $mw = PAGI::Middleware::SecurityHeaders->new(
        x_frame_options => 'DENY', x_xss_protection => undef, strict_transport_security => 'max-age=1',
        content_security_policy => "default-src 'self'", permissions_policy => 'camera=()');
    my $plain = with($mw, http_scope());
    is([ $plain->header('X-Frame-Options'), $plain->header('X-XSS-Protection') ], [ 'DENY', undef ], 'override and undef');
    is($plain->header('Strict-Transport-Security'), undef, 'no HSTS on http');
    is([ $plain->header('Content-Security-Policy'), $plain->header('Permissions-Policy') ], [ "default-src 'self'", 'camera=()' ], 'policies');
    is(with($mw, http_scope(scheme => 'https'))->header('Strict-Transport-Security'), 'max-age=1', 'HSTS on https');
    my $bare = PAGI::Middleware::SecurityHeaders->new->wrap(sub ($s, $r, $send) { $send->({ type => 'http.response.start', status => 200 }) });
    is(drive($bare, http_scope())->header('X-Frame-Options'), 'SAMEORIGIN', 'a start without headers key');
};

subtest 'TrustedHosts' => sub {
    my $at = sub ($mw, $host, $make = \&http_scope) { with($mw, $make->(headers => defined $host ? [ [ host => $host ] ] : [])) };
    my $mw = PAGI::Middleware::TrustedHosts->new(hosts => [ 'example.com', '*.example.org', 'localhost:*' ]);
    for my $good (qw(example.com EXAMPLE.com a.example.org a.b.example.org localhost:5000)) {
        is($at->($mw, $good)->status, 200, $good);
    }
    for my $bad (qw(example.com:80 example.org example.com.evil xexample.com exampleXcom localhost), "example.com\n") {
        my $result = $at->($mw, $bad);
        is([ $result->status, $result->body, $called ], [ 400, 'Invalid Host header', 0 ], "not $bad");
    }
    my $missing = $at->($mw, undef);
    is([ $missing->status, $missing->body ], [ 400, 'Missing Host header' ], 'none');
    is([ $missing->headers ], [ [ 'content-type', 'text/plain' ], [ 'content-length', 19 ] ], 'its headers');
    is($at->($mw, '')->status, 400, 'empty');
    is($at->(PAGI::Middleware::TrustedHosts->new(hosts => ['a'], allow_empty => 1), undef)->status, 200, 'allow_empty');
    is($at->(PAGI::Middleware::TrustedHosts->new(hosts => ['*']), 'anything:1')->status, 200, '* matches all');
    is($at->(PAGI::Middleware::TrustedHosts->new(hosts => []), 'a')->status, 400, 'an empty list matches none');
    like(dies { PAGI::Middleware::TrustedHosts->new }, qr/TrustedHosts requires 'hosts' option/, 'required');

    my $sse = $at->($mw, 'evil', \&sse_scope);
    is([ $sse->types->[0], $sse->status ], [ 'sse.http.response.start', 400 ], 'event streams are declined');
};

subtest 'CSRF' => sub {
    my $mw = PAGI::Middleware::CSRF->new(secret => 's');
    my $cookie = sub ($token) { [ cookie => "a=b; csrf_token=$token; c=d" ] };
    my $header = sub ($token) { [ 'x-csrf-token' => $token ] };

    my $get = with($mw, http_scope());
    like($last->{csrf_token}, qr/\A[0-9a-f]{64}\z/, 'GET issues a token');
    is($get->header('Set-Cookie'), "csrf_token=$last->{csrf_token}; Path=/; HttpOnly; SameSite=Strict", 'and its cookie');
    isnt($mw->_generate_token, $mw->_generate_token, 'tokens differ');

    my $post = with($mw, http_scope(method => 'POST'));
    is([ $post->status, $post->body, $called ], [ 403, 'CSRF token validation failed', 0 ], 'POST without token');
    is([ $post->headers ], [ [ 'content-type', 'text/plain' ], [ 'content-length', 28 ] ], 'its headers');

    my %case = (
        'both, equal'     => [ 200, $cookie->('abc'), $header->('abc') ],
        'both, different' => [ 403, $cookie->('abc'), $header->('abd') ],
        'shorter'         => [ 403, $cookie->('abc'), $header->('ab') ],
        'cookie only'     => [ 403, $cookie->('abc') ],
        'header only'     => [ 403, $header->('abc') ],
        'both empty'      => [ 403, $cookie->(''), $header->('') ],
    );
    for my $name (sort keys %case) {
        my ($status, @headers) = @{ $case{$name} };
        my $result = with($mw, http_scope(method => 'POST', add_headers => \@headers));
        is([ $result->status, $called ], [ $status, $status == 200 ? 1 : 0 ], "POST, $name: $status");
        is($result->header('Set-Cookie'), undef, 'no cookie is sent');
    }
    is($last, undef, 'nothing called');

    my $known = with($mw, http_scope(add_headers => [ $cookie->('known') ]));
    is([ $last->{csrf_token}, $known->header('Set-Cookie') ], [ 'known', undef ], 'an existing token is kept and not re-issued');

    is(with(PAGI::Middleware::CSRF->new(secret => 's', cookie_name => 'tok', token_header => 'X-Tok'),
        http_scope(method => 'DELETE', add_headers => [ [ cookie => 'xtok=no; tok=yes' ], [ 'x-tok', 'yes' ] ]))->status, 200, 'own names');
    is(with($mw, http_scope(method => 'get'))->status, 403, 'methods are case-sensitive');

    my $app_mode = PAGI::Middleware::CSRF->new(secret => 's', enforce => 'app');
    is(with($app_mode, http_scope(method => 'POST'))->status, 200, 'app mode never rejects');
    like($last->{csrf_token}, qr/\A[0-9a-f]{64}\z/, 'a fresh token');
    with($app_mode, http_scope(method => 'POST', add_headers => [ $cookie->('mine') ]));
    is($last->{csrf_token}, 'mine', 'or the one in the cookie');

    is(with(PAGI::Middleware::CSRF->new(secret => 's', enforce => 'header'), http_scope(method => 'POST'))->status, 403, 'explicit header mode');
    like(dies { PAGI::Middleware::CSRF->new }, qr/CSRF middleware requires 'secret' option/, 'secret');
    like(dies { PAGI::Middleware::CSRF->new(secret => 's', enforce => 'x') }, qr/'enforce' must be 'header' or 'app', got 'x'/, 'enforce');

    my $cookie_of = sub ($secure, $scheme) {
        with(PAGI::Middleware::CSRF->new(secret => 's', (defined $secure ? (secure => $secure) : ())), http_scope(scheme => $scheme))->header('Set-Cookie');
    };
    unlike($cookie_of->(undef, 'http'), qr/Secure/, 'no Secure on http');
    like($cookie_of->(1, 'http'), qr/; Secure\z/, 'secure => 1');
    like($cookie_of->(undef, 'https'), qr/; Secure\z/, 'by itself on https');
    unlike($cookie_of->(0, 'https'), qr/Secure/, 'unless secure => 0');

    is(with($mw, sse_scope(method => 'POST'))->types->[0], 'sse.http.response.start',
        'a POST cannot step around by asking for an event stream');
    my $sse = with($mw, sse_scope());
    like($sse->header('Set-Cookie'), qr/\Acsrf_token=/, 'a stream carries the cookie');
};

subtest 'HTTPSRedirect' => sub {
    my $mw = PAGI::Middleware::HTTPSRedirect->new;
    my $to = sub (%over) { my $r = with($mw, http_scope(headers => [ [ host => 'example.org:8080' ] ], %over)); return $r->header('Location') };
    my $result = with($mw, http_scope(path => '/a/b', query_string => 'c=d', headers => [ [ host => 'example.org' ] ]));
    is([ $result->status, $called ], [ 301, 0 ], '301 without the application');
    is([ $result->headers ], [ [ 'Content-Type', 'text/plain' ], [ 'Content-Length', 42 ], [ 'Location', 'https://example.org/a/b?c=d' ] ], 'headers');
    is($result->body, 'Redirecting to https://example.org/a/b?c=d', 'body');
    is($to->(path => '/x'), 'https://example.org:8080/x', 'port kept');
    is($to->(path => "/caf\x{e9} \x{263a}%", raw_path => undef), 'https://example.org:8080/caf%C3%A9%20%E2%98%BA%25', 'path encoded');
    is($to->(path => '/m x', raw_path => '/app/m%20x', root_path => '/app'), 'https://example.org:8080/app/m%20x', 'raw_path is the whole path');
    is($to->(path => '/x', raw_path => undef, root_path => '/app'), 'https://example.org:8080/app/x', 'else root_path and path');
    is($to->(path => "/a\r\nSet-Cookie: b", raw_path => undef), 'https://example.org:8080/a%0D%0ASet-Cookie:%20b', 'no header can be injected');
    is($to->(headers => []), 'https://localhost/', 'no host');
    is($to->(headers => [ [ host => 'a/../b?' ] ]), 'https://localhost/', 'a malformed host is not used');

    is(with($mw, http_scope(scheme => 'https'))->status, 200, 'https passes');
    my $exclude = PAGI::Middleware::HTTPSRedirect->new(exclude => [ '/health', qr{^/open/} ], redirect_code => 308);
    is(with($exclude, http_scope(path => '/health'))->status, 200, 'excluded string');
    is(with($exclude, http_scope(path => '/open/x'))->status, 200, 'excluded pattern');
    is(with($exclude, http_scope(path => '/health/x'))->status, 308, 'strings are exact, code as configured');

    is(with($mw, http_scope(scheme => 'https'))->header('Strict-Transport-Security'), undef, 'no HSTS by default');
    my $hsts = PAGI::Middleware::HTTPSRedirect->new(hsts => 1, hsts_max_age => 60);
    is(with($hsts, http_scope(scheme => 'https'))->header('Strict-Transport-Security'), 'max-age=60; includeSubDomains', 'HSTS');
    is(with($hsts, http_scope())->header('Strict-Transport-Security'), undef, 'never over http');
    is(with($mw, sse_scope())->status, 301, 'event streams are redirected');
    with($mw, ws_scope());
    is($called, 1, 'websockets pass');
};

subtest 'scope_types' => sub {
    my $mw = PAGI::Middleware::TrustedHosts->new(hosts => ['none'], scope_types => [qw(http sse websocket)]);
    my $denied = with($mw, ws_scope());
    is([ $denied->types->[0], $denied->status, $called ], [ 'websocket.http.response.start', 400, 0 ], 'a websocket is denied');
    is(with($mw, ws_scope(extensions => {}))->types, ['websocket.close'], 'or closed before accept');
    with(PAGI::Middleware::TrustedHosts->new(hosts => ['none'], scope_types => ['http']), sse_scope());
    is($called, 1, 'and it can be narrowed');
    like(dies { PAGI::Middleware::TrustedHosts->new(hosts => ['a'], scope_types => ['lifespan']) },
        qr/'scope_types' must be an arrayref of http, sse, websocket/, 'checked');
};

done_testing;
