use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future;
use JSON::MaybeXS qw(decode_json);
use PAGI::Middleware::Builder;
use PAGI::Middleware::Healthcheck;
use PAGI::Middleware::MethodOverride;
use PAGI::Middleware::ReverseProxy;
use PAGI::Middleware::Rewrite;

my $scope;
my $inner = sub ($got, $receive, $send) { $scope = $got; return $got->{type} eq 'http' ? hello_app()->($got, $receive, $send) : Future->done };
sub with ($mw, $in) { undef $scope; return drive($mw->wrap($inner), $in) }

subtest 'Rewrite' => sub {
    my $mw = PAGI::Middleware::Rewrite->new(rules => [
        { from => '/exact', to => '/new' },
        { from => qr{^/user/(\d+)/(\w+)$}, to => '/profile/$2/$1' },
        { from => qr{/inner}, to => '/whole$1' },
        { from => qr{^/many/(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)$}, to => '/$11$10$1-$12-' },
        { from => qr{^/opt/(a)?(b)$}, to => '/[$1][$2]' },
        { from => '/same', to => '/same' },
    ]);
    my %path = (
        '/exact'            => '/new',
        '/exact/a/b'        => '/new/a/b',
        '/exactly'          => '/exactly',
        '/user/7/edit'      => '/profile/edit/7',
        '/some/inner/thing' => '/whole',
        '/many/abcdefghijk' => '/kja--',
        '/opt/b'            => '/[][b]',
        '/same/x'           => '/same/x',
        '/other'            => '/other',
    );
    for my $path (sort keys %path) {
        with($mw, http_scope(path => $path));
        is($scope->{path}, $path{$path}, "$path to $path{$path}");
        is($scope->{original_path}, $path eq $path{$path} ? undef : $path, 'original_path');
    }
    with($mw, http_scope(path => '/exact', original_path => '/first'));
    is($scope->{original_path}, '/first', 'an earlier original_path stays');

    my $redirect = PAGI::Middleware::Rewrite->new(redirect => 1, redirect_code => 302, rules => [
        { from => '/old', to => '/new' }, { from => qr{^/blog/(.+)$}, to => '/articles/$1?from=blog' },
        { from => '/strip', to => '' }, { from => '/away', to => 'https://other.example/x' },
    ]);
    my $to = sub ($path, $query = '') { with($redirect, http_scope(path => $path, query_string => $query))->header('Location') };
    my $result = with($redirect, http_scope(path => '/old/x', query_string => 'a=b'));
    is([ $result->status, $scope ], [ 302, undef ], 'redirect without the application');
    is([ $result->headers ], [ [ 'Content-Type', 'text/plain' ], [ 'Content-Length', 25 ], [ 'Location', '/new/x?a=b' ] ], 'headers');
    is($result->body, 'Redirecting to /new/x?a=b', 'body');
    is($to->("/old/a b\r\nX: y?\x{263a}%"), '/new/a%20b%0D%0AX:%20y%3F%E2%98%BA%25', 'what the path brings is encoded');
    is($to->('/blog/x', 'a=b'), '/articles/x?from=blog&a=b', 'a query in "to" is extended');
    is($to->('/strip//evil.example'), '/evil.example', 'no way to another host');
    is($to->('/strip/\\evil.example'), '/%5Cevil.example', 'nor with a backslash');
    is($to->('/away/y'), 'https://other.example/x/y', 'unless the rule says so');
    is(with($redirect, http_scope(path => '/none'))->status, 200, 'no match passes');
    like(dies { PAGI::Middleware::Rewrite->new }, qr/Rewrite middleware requires 'rules' option/, 'required');
    like(dies { PAGI::Middleware::Rewrite->new(rules => [ { from => '/a' } ]) }, qr/'rules' must be an arrayref of/, 'checked');
};

subtest 'MethodOverride' => sub {
    my $method = sub ($config, %over) { with(PAGI::Middleware::MethodOverride->new(%$config), http_scope(method => 'POST', %over)); return [ @$scope{qw(method original_method)} ] };
    my $header = sub ($value) { (add_headers => [ [ 'x-http-method-override', $value ] ]) };
    is($method->({}, $header->('put')), [ 'PUT', 'POST' ], 'header');
    is($method->({}, query_string => 'a=b&_method=DELETE&_method=PUT'), [ 'DELETE', 'POST' ], 'first query parameter');
    is($method->({}, query_string => '%5Fmethod=pat%63h'), [ 'PATCH', 'POST' ], 'form-decoded');
    is($method->({}, $header->('GET'), query_string => '_method=PUT'), [ 'POST', undef ], 'a header that is not allowed still hides the query');
    is($method->({}, $header->('CONNECT')), [ 'POST', undef ], 'not allowed');
    is($method->({}, $header->('PUT'), method => 'GET'), [ 'GET', undef ], 'only for POST');
    is($method->({ allowed_methods => ['purge'] }, $header->('PURGE')), [ 'PURGE', 'POST' ], 'own list');
    is($method->({ check_header => 0 }, $header->('PUT')), [ 'POST', undef ], 'check_header 0');
    is($method->({ check_param => 0 }, query_string => '_method=PUT'), [ 'POST', undef ], 'check_param 0');
    is($method->({ header => 'X-Method', param => 'm' }, query_string => 'm=PUT'), [ 'PUT', 'POST' ], 'own names');
};

subtest 'ReverseProxy' => sub {
    my $mw = PAGI::Middleware::ReverseProxy->new;
    my $via = sub (@headers) { with($mw, http_scope(client => [ '127.0.0.1', 4711 ], add_headers => \@headers)); return $scope };
    $via->([ 'x-forwarded-for', ' 203.0.113.50 , 70.41.3.18' ]);
    is($scope->{client}, [ '203.0.113.50', 4711 ], 'leftmost entry, port kept');
    is($scope->{original_client}, [ '127.0.0.1', 4711 ], 'original_client');
    is($scope->{'pagi.verified_client'}, '70.41.3.18', 'the entry that cannot be forged');
    is($via->([ 'x-real-ip', '203.0.113.51' ])->{client}[0], '203.0.113.51', 'X-Real-IP');
    is($via->([ 'x-forwarded-for', '203.0.113.50' ], [ 'x-real-ip', '203.0.113.51' ])->{client}[0], '203.0.113.50', 'only without X-Forwarded-For');
    is($via->([ 'x-forwarded-proto', 'HTTPS' ])->{scheme}, 'https', 'proto');
    is($via->([ 'x-forwarded-proto', 'gopher' ])->{scheme}, 'http', 'only http and https');
    $via->([ 'x-forwarded-host', 'example.org' ], [ 'Host', 'second' ]);
    is([ map { $_->[1] } grep { lc $_->[0] eq 'host' } @{ $scope->{headers} } ], ['example.org'], 'host replaced');
    with($mw, http_scope(headers => [ [ 'x-forwarded-host', 'example.org' ] ]));
    is([ grep { $_->[0] eq 'host' } @{ $scope->{headers} } ], [ [ 'host', 'example.org' ] ], 'or added');
    is($via->([ 'x-forwarded-port', '8443' ])->{server}, [ '127.0.0.1', 8443 ], 'port');
    is($via->([ 'x-forwarded-port', '84x' ])->{server}, [ '127.0.0.1', 5000 ], 'digits only');

    my $untrusted = http_scope(client => [ '203.0.113.9', 1 ], add_headers => [ [ 'x-forwarded-for', '1.2.3.4' ], [ 'x-forwarded-proto', 'https' ] ]);
    with($mw, $untrusted);
    ref_is($scope, $untrusted, 'an untrusted peer passes unchanged');

    my $cidr = PAGI::Middleware::ReverseProxy->new(trusted_proxies => [ '10.0.0.0/8', '192.0.2.4/31', 'bad/8', '2001:db8::/32', '300.0.0.0/8', '0.0.0.0/33' ]);
    my $trusts = sub ($peer) { with($cidr, http_scope(client => [ $peer, 1 ], add_headers => [ [ 'x-forwarded-for', '1.2.3.4' ] ])); return $scope->{client}[0] eq '1.2.3.4' ? 1 : 0 };
    my %trusted = ('10.200.1.1' => 1, '11.0.0.1' => 0, '192.0.2.4' => 1, '192.0.2.5' => 1, '192.0.2.6' => 0, '2001:db8::1' => 0, '10.1' => 0, 'x10.0.0.1' => 0);
    is($trusts->($_), $trusted{$_}, "$_ $trusted{$_}") for sort keys %trusted;

    my $all = PAGI::Middleware::ReverseProxy->new(trust_all => 1);
    my $socket = http_scope(add_headers => [ [ 'x-forwarded-for', '1.2.3.4' ] ]);
    delete $socket->{client};
    with($all, $socket);
    is([ $scope->{client}, exists $scope->{original_client} ], [ [ '1.2.3.4', undef ], !!0 ], 'without a client key');
    with($mw, $socket);
    ref_is($scope, $socket, 'which is not trusted by default');
    with($all, http_scope(add_headers => [ [ 'x-forwarded-for', '[2001:db8::1]:443' ] ]));
    is($scope->{'pagi.verified_client'}, '2001:db8::1', 'an address in brackets');

    my $verified = PAGI::Middleware::ReverseProxy->new(client_from => 'verified', trusted_proxies => [ '127.0.0.1', '10.0.0.0/8' ]);
    with($verified, http_scope(add_headers => [ [ 'x-forwarded-for', '1.2.3.4, 203.0.113.5, 10.0.0.1' ] ]));
    is($scope->{client}[0], '203.0.113.5', 'client_from verified');
    with($verified, http_scope(add_headers => [ [ 'x-forwarded-for', '10.0.0.3, 10.0.0.1' ] ]));
    is($scope->{client}[0], '10.0.0.3', 'all of them proxies: the leftmost');
    like(dies { PAGI::Middleware::ReverseProxy->new(client_from => 'x') }, qr/'client_from' must be 'leftmost' or 'verified', got 'x'/, 'checked');
    like(dies { PAGI::Middleware::ReverseProxy->new(trusted_proxies => '10.0.0.1') }, qr/'trusted_proxies' must be an arrayref/, 'checked');

    with($mw, sse_scope(add_headers => [ [ 'x-forwarded-for', '1.2.3.4' ] ]));
    is($scope->{client}[0], '1.2.3.4', 'event streams too');
    my $ws = ws_scope(add_headers => [ [ 'x-forwarded-for', '1.2.3.4' ], [ 'x-forwarded-proto', 'https' ] ]);
    with($mw, $ws);
    ref_is($scope, $ws, 'websockets are not corrected');
    with(PAGI::Middleware::ReverseProxy->new(scope_types => ['websocket']), $ws);
    is([ $scope->{client}[0], $scope->{scheme} ], [ '1.2.3.4', 'wss' ], 'unless asked for');
};

subtest 'Healthcheck' => sub {
    my $get = sub ($path, %config) {
        my $result = with(PAGI::Middleware::Healthcheck->new(live_path => '/live', ready_path => '/ready', %config), http_scope(path => $path));
        return ($result->status, $scope ? 'app' : decode_json($result->body), $result);
    };
    my ($status, $data, $result) = $get->('/health');
    is([ $status, $data ], [ 200, { status => 'ok', timestamp => T() } ], 'ok without checks');
    is([ $result->headers ], [ [ 'Content-Type', 'application/json' ], [ 'Content-Length', length $result->body ], [ 'Cache-Control', 'no-cache, no-store' ] ], 'headers');
    is([ ($get->('/healthz'))[1] ], ['app'], 'another path passes');

    my @order;
    my %checks = (b => sub { push @order, 'b'; 0 }, a => sub { push @order, 'a'; 1 }, c => sub { push @order, 'c'; die "down \n\n" });
    is([ ($get->('/health', checks => \%checks))[ 0, 1 ] ], [ 503, { status => 'error', timestamp => T(),
        checks => { a => { status => 'ok' }, b => { status => 'error' }, c => { status => 'error', message => 'down' } } } ], 'failing checks');
    is(\@order, [qw(a b c)], 'in name order');
    @order = ();
    is([ ($get->('/live', checks => \%checks))[ 0, 1 ] ], [ 200, { status => 'ok' } ], 'live is 200 despite them');
    is(\@order, [], 'and runs none');
    is([ ($get->('/ready', checks => \%checks, include_details => 0))[ 0, 1 ] ], [ 503, { status => 'error' } ], 'without details');
    is([ ($get->('/ready'))[ 0, 1 ] ], [ 200, { status => 'ok', checks => {} } ], 'ready has checks even if empty');
    is([ ($get->('/h', path => '/h', live_path => '/h', checks => \%checks))[ 0, 1 ] ], [ 200, { status => 'ok' } ], 'live comes first');

    is(($get->('/ready', checks => { db => sub { Future->done(0) } }))[0], 503, 'a Future of false is false');
    is(($get->('/ready', checks => { db => sub { Future->done(1) } }))[0], 200, 'of true, true');
    is(($get->('/ready', checks => { db => sub { Future->fail("x\n") } }))[1]{checks}{db}, { status => 'error', message => 'x' }, 'a failed one an error');
    is(with(PAGI::Middleware::Healthcheck->new, http_scope(path => '/health', method => 'POST'))->status, 200, 'any method');
};

done_testing;
