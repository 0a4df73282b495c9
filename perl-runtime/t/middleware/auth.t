use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Digest::SHA qw(hmac_sha256);
use Drive;
use Future;
use JSON::MaybeXS ();
use MIME::Base64 qw(encode_base64 encode_base64url);
use PAGI::Middleware::Auth::Basic;
use PAGI::Middleware::Auth::Bearer;

my $auth;
my $inner = sub ($scope, $receive, $send) {
    $auth = $scope->{'pagi.auth'} // 'none';
    return $scope->{type} eq 'http' ? hello_app()->($scope, $receive, $send)
        : $send->({ type => $scope->{type} eq 'sse' ? 'sse.start' : 'websocket.accept' });
};
sub with ($mw, $scope, %option) { undef $auth; return drive($mw->wrap($inner), $scope, %option) }
sub basic ($text) { return [ authorization => 'Basic ' . encode_base64($text, '') ] }

subtest 'Basic' => sub {
    my @asked;
    my $mw = PAGI::Middleware::Auth::Basic->new(realm => 'Back "office"', authenticator => sub { @asked = @_; $_[0] eq 'user' && $_[1] eq 'pa:ss' });
    my $none = with($mw, http_scope());
    is([ $none->status, $none->body, $auth ], [ 401, 'Unauthorized', undef ], 'no credentials');
    is([ $none->headers ], [ [ 'Content-Type', 'text/plain' ], [ 'Content-Length', 12 ],
        [ 'WWW-Authenticate', 'Basic realm="Back \"office\"", charset="UTF-8"' ] ], 'challenge');

    is(with($mw, http_scope(add_headers => [ basic('user:pa:ss') ]))->status, 200, 'valid');
    is($auth, { type => 'basic', username => 'user' }, 'in the scope');
    is(with($mw, http_scope(add_headers => [ basic('user:wrong') ]))->status, 401, 'wrong password');
    is(with($mw, http_scope(add_headers => [ [ authorization => 'bAsIc ' . encode_base64('user:pa:ss', '') ] ]))->status, 200, 'scheme without case');
    with($mw, http_scope(add_headers => [ basic('lonely') ]));
    is(\@asked, [ 'lonely', '' ], 'a missing password is empty');
    @asked = ();
    is(with($mw, http_scope(add_headers => [ [ authorization => $_ ] ]))->status, 401, "'$_'") for 'Bearer x', 'Basic', 'Basic !!', 'Basic dXNlcjpw YQ==';
    is(\@asked, [], 'the authenticator is not asked about those');

    is(with(PAGI::Middleware::Auth::Basic->new(authenticator => sub { die "db down\n" }), http_scope(add_headers => [ basic('a:b') ]))->status, 401, 'an exception is a failure');
    like(dies { PAGI::Middleware::Auth::Basic->new }, qr/Auth::Basic requires 'authenticator' option/, 'required');

    is(with(PAGI::Middleware::Auth::Basic->new(authenticator => sub { return (1, 0) }), http_scope(add_headers => [ basic('a:b') ]))->status, 401, 'the authenticator is called for one value');

    my %future = ('done 0' => [ 401, sub { Future->done(0) } ], 'done 1' => [ 200, sub { Future->done(1) } ],
        'done nothing' => [ 401, sub { Future->done } ], failed => [ 401, sub { Future->fail("x\n") } ]);
    for my $name (sort keys %future) {
        my ($status, $code) = @{ $future{$name} };
        is(with(PAGI::Middleware::Auth::Basic->new(authenticator => $code), http_scope(add_headers => [ basic('a:b') ]))->status, $status, "Future $name: $status");
    }
    for my $verdict (0, 1) {
        my $gate = Future->new;
        my $result = with(PAGI::Middleware::Auth::Basic->new(authenticator => sub { $gate }), http_scope(add_headers => [ basic('a:b') ]));
        is([ $auth, [ $result->events ] ], [ undef, [] ], 'a pending Future is waited for');
        $gate->done($verdict);
        is($result->status, $verdict ? 200 : 401, "then it decides: $verdict");
    }
    my $gate = Future->new;
    my $result = with(PAGI::Middleware::Auth::Basic->new(authenticator => sub { $gate }), http_scope(add_headers => [ basic('a:b') ]));
    $gate->fail("late\n");
    is($result->status, 401, 'and a late failure refuses');
};

subtest 'paths' => sub {
    my $mw = PAGI::Middleware::Auth::Basic->new(authenticator => sub { 0 }, paths => [ '/admin', qr{^/x/\d+$} ]);
    my %status = ('/admin' => 401, '/admin/x' => 401, '/administrator' => 401, '/x/7' => 401, '/x/a' => 200, '/' => 200, '/a/admin' => 200);
    is(with($mw, http_scope(path => $_))->status, $status{$_}, "$_ $status{$_}") for sort keys %status;
    like(dies { PAGI::Middleware::Auth::Basic->new(authenticator => sub { 1 }, paths => '/admin') },
        qr/Auth::Basic 'paths' must be an arrayref/, 'a string is refused: it would protect nothing or everything');
};

subtest 'scope types' => sub {
    my $mw = PAGI::Middleware::Auth::Basic->new(authenticator => sub { 0 });
    my $sse = with($mw, sse_scope());
    is([ $sse->types->[0], $sse->status, $auth ], [ 'sse.http.response.start', 401, undef ],
        'Accept: text/event-stream is no way around');
    with($mw, ws_scope());
    is($auth, 'none', 'websockets pass by default');
    my $ws = with(PAGI::Middleware::Auth::Basic->new(authenticator => sub { 0 }, scope_types => [qw(http sse websocket)]), ws_scope());
    is([ $ws->types->[0], $auth ], [ 'websocket.http.response.start', undef ], 'and are denied on request');
};

sub jwt ($claims, %option) {
    my $json = JSON::MaybeXS->new(utf8 => 1, canonical => 1, allow_nonref => 1);
    my $head = encode_base64url($option{head} // $json->encode({ alg => $option{alg} // 'HS256', typ => 'JWT' }));
    my $body = encode_base64url(ref $claims ? $json->encode($claims) : $claims);
    return "$head.$body." . encode_base64url(hmac_sha256("$head.$body", $option{secret} // 'key'));
}
sub bearer ($token) { return [ authorization => "Bearer $token" ] }

subtest 'Bearer with JWT' => sub {
    my $mw = PAGI::Middleware::Auth::Bearer->new(secret => 'key');
    my $said = sub (@headers) { my $r = with($mw, http_scope(add_headers => \@headers)); return $r->status . ' ' . $r->body };

    my $none = with($mw, http_scope());
    is([ $none->status, $none->body ], [ 401, 'Token required' ], 'no header');
    is([ $none->headers ], [ [ 'Content-Type', 'text/plain' ], [ 'Content-Length', 14 ], [ 'WWW-Authenticate', 'Bearer realm="Bearer"' ] ], 'challenge');
    is($said->([ authorization => 'Basic abc' ]), '401 Invalid authorization header', 'another scheme');

    my $token = jwt({ sub => 'jane', exp => time + 60, nbf => time - 60 });
    is($said->(bearer($token)), '200 Hello, World!', 'valid');
    is($auth, { type => 'bearer', token => $token, claims => hash { field sub => 'jane'; etc } }, 'in the scope');
    is($said->([ authorization => "bearer  $token" ]), '200 Hello, World!', 'scheme without case');

    my %invalid = (
        expired            => jwt({ exp => time - 10 }),
        'not yet valid'    => jwt({ nbf => time + 60 }),
        'exp not a number' => jwt({ exp => 'never' }),
        'wrong secret'     => jwt({}, secret => 'other'),
        'two parts'        => join('.', (split /\./, $token)[ 0, 1 ]),
        'four parts'       => "$token.x",
        'alg none'         => jwt({}, alg => 'none'),
        'alg HS512'        => jwt({}, alg => 'HS512'),
        'header a list'    => jwt({}, head => '[1]'),
        'header a string'  => jwt({}, head => '"HS256"'),
        'header a number'  => jwt({}, head => '5'),
        'header null'      => jwt({}, head => 'null'),
        'header not JSON'  => jwt({}, head => '{'),
        'payload a list'   => jwt([1]),
        'payload not JSON' => jwt('{{'),
        'padded signature' => "$token=",
        'garbage'          => 'a.b.c',
        'wide characters'  => "\x{e9}.\x{e9}.\x{e9}",
        'empty parts'      => '..',
    );
    is($said->(bearer($invalid{$_})), '401 Invalid token', $_) for sort keys %invalid;
    (my $altered = $token) =~ s/\.(.)/'.' . ($1 eq 'A' ? 'B' : 'A')/e;
    is($said->(bearer($altered)), '401 Invalid token', 'altered payload');

    my $only_other = PAGI::Middleware::Auth::Bearer->new(secret => 'key', algorithms => ['HS512']);
    is(with($only_other, http_scope(add_headers => [ bearer(jwt({}, alg => 'HS512')) ]))->status, 401, 'HS512 is not implemented');
    is(with($only_other, http_scope(add_headers => [ bearer(jwt({})) ]))->status, 401, 'and HS256 not allowed there');

    my $binary = "\xff\x00\x80key";
    my $with_bytes = PAGI::Middleware::Auth::Bearer->new(secret => $binary);
    is(with($with_bytes, http_scope(add_headers => [ bearer(jwt({}, secret => $binary)) ]))->status, 200, 'a binary key');

    ok($mw->_secure_compare('abc', 'abc'), 'equal');
    ok(!$mw->_secure_compare(@$_), 'not equal') for [ 'abc', 'abd' ], [ 'a', 'ab' ], [ undef, 'a' ], [ 'a', undef ], [ undef, undef ];
    like(dies { PAGI::Middleware::Auth::Bearer->new }, qr/Auth::Bearer requires 'secret' or 'validator' option/, 'required');
};

subtest 'Bearer with a validator' => sub {
    my $status = sub ($validator, %over) { with(PAGI::Middleware::Auth::Bearer->new(validator => $validator, realm => 'api'), http_scope(add_headers => [ bearer('opaque') ], %over)) };
    is($status->(sub ($token) { $token eq 'opaque' && { id => 7 } })->status, 200, 'claims');
    is($auth->{claims}, { id => 7 }, 'in the scope');
    my $refused = $status->(sub { undef });
    is([ $refused->status, $refused->header('WWW-Authenticate') ], [ 401, 'Bearer realm="api"' ], 'false refuses');
    is($status->(sub { Future->done(undef) })->status, 401, 'a Future of nothing refuses');
    is($status->(sub { Future->done({ id => 8 }) })->status, 200, 'a Future of claims');
    is($auth->{claims}, { id => 8 }, 'the claims, not the Future');
    like($status->(sub { die "db down\n" })->error, qr/^db down$/m, 'exceptions propagate');
    like($status->(sub { Future->fail("db down\n") })->error, qr/^db down$/m, 'from Futures too');

    my $gate = Future->new;
    my $result = $status->(sub { $gate });
    is([ $result->events ], [], 'waits');
    $gate->done(undef);
    is($result->status, 401, 'and refuses late');

    my $paths = PAGI::Middleware::Auth::Bearer->new(validator => sub { 0 }, paths => [qr{^/api}]);
    is([ map { with($paths, http_scope(path => $_))->status } '/api/x', '/' ], [ 401, 200 ], 'paths');
    is(with($paths, sse_scope(path => '/api'))->status, 401, 'event streams too');
};

done_testing;
