use strict;
use warnings;
use Test2::V0;
use Future;
use PAGI::Request;
use PAGI::SSE;
use PAGI::Stash;

sub request { PAGI::Request->new({ type => 'http', method => 'GET', path => '/', headers => [], @_ }) }

subtest scope => sub {
    my $scope = {
        type => 'http', method => 'POST', path => "/caf\x{e9}", raw_path => '/caf%C3%A9', query_string => 'a=1',
        scheme => 'https', http_version => '2', client => [ '192.0.2.1', 80 ], headers => [],
    };
    my $receive = sub { };
    my $request = PAGI::Request->new($scope, $receive);
    is [ map { $request->$_ } qw(method path raw_path query_string scheme http_version client) ],
        [ 'POST', "/caf\x{e9}", '/caf%C3%A9', 'a=1', 'https', '2', [ '192.0.2.1', 80 ] ], 'values';
    ref_is $request->scope, $scope, 'scope';
    ref_is $request->raw, $scope, 'raw';
    ref_is $request->{receive}, $receive, 'receive';

    my $bare = PAGI::Request->new({ type => 'http', method => 'GET', path => '/x' });
    is [ map { $bare->$_ } qw(raw_path query_string scheme http_version) ], [ '/x', '', 'http', '1.1' ], 'defaults';
    is [ $bare->header('x'), $bare->host, $bare->content_length ], [ undef, undef, undef ], 'no headers at all';
};

subtest predicates => sub {
    for my $method (qw(GET POST PUT PATCH DELETE HEAD OPTIONS)) {
        my $is = 'is_' . lc $method;
        is request(method => $method)->$is,    1, "$is for $method";
        is request(method => lc $method)->$is, 1, "$is in lower case";
        is request(method => 'TRACE')->$is,    0, "$is for TRACE";
    }
};

subtest headers => sub {
    my $scope = { type => 'http', headers => [ [ 'X-A' => 1 ], [ 'x-a' => 2 ], [ host => 'example.org' ], [ 'content-length' => 7 ] ] };
    my $request = PAGI::Request->new($scope);
    is $request->header('X-a'), 2, 'last value, any case';
    is [ $request->header_all('x-A') ], [ 1, 2 ], 'all values';
    is $request->header('none'), undef, 'missing';
    is [ $request->host, $request->content_length ], [ 'example.org', 7 ], 'shortcuts';
    like dies { $request->header(undef) }, qr/^header name required at \Q$0\E/, 'name required';

    my $headers = $request->headers;
    isa_ok $headers, 'PAGI::Headers';
    $headers->set('x-a', 'changed');
    is [ $request->header('x-a'), $request->headers->get('x-a') ], [ 2, 2 ], 'a clone: changes stay in it';

    my $other = PAGI::Request->new({ %$scope, headers => [ [ 'X-A' => 3 ] ] });
    is $other->header('x-a'), 3, 'a scope copy with other headers is not answered from a cache';
};

subtest 'headers next to other wrappers' => sub {
    my $scope = { type => 'sse', headers => [ [ 'X-A' => 1 ] ] };
    PAGI::SSE->new($scope, sub { }, sub { })->headers;
    my $request = PAGI::Request->new($scope);
    is [ $request->header('X-A'), $request->header('x-a'), ref $request->headers ], [ 1, 1, 'PAGI::Headers' ],
        'what PAGI::SSE caches in the scope does not change them';
};

subtest 'content type' => sub {
    my $type = sub { request(headers => [ [ 'Content-Type' => $_[0] ] ]) };
    is request()->content_type, '', 'none';
    is $type->('text/html; charset=utf-8')->content_type, 'text/html', 'parameters are cut off';
    is $type->('Application/JSON ; x=y')->content_type, 'application/json', 'normalised';
    is [ map { $type->($_)->is_json } 'application/json', 'APPLICATION/json;charset=x', 'application/x+json', 'text/json' ],
        [ 1, 1, 0, 0 ], 'is_json';
    is [ map { $type->($_)->is_multipart } 'multipart/form-data; boundary=x', 'Multipart/Form-Data', 'multipart/mixed' ],
        [ 1, 1, 0 ], 'is_multipart';
    is [ map { $type->($_)->is_form } 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain' ],
        [ 1, 1, 0 ], 'is_form';
};

subtest boundary => sub {
    my $boundary = sub { request(headers => [ [ 'Content-Type' => "multipart/form-data$_[0]" ] ])->_multipart_boundary };
    is $boundary->('; boundary=abc'), 'abc', 'plain';
    is $boundary->('; Boundary="a b;c"; x=y'), 'a b;c', 'quoted, other case';
    is $boundary->("; boundary='abc'"), 'abc', 'single quotes';
    is $boundary->('; x=y;boundary=abc;z=1'), 'abc', 'among others';
    is $boundary->(''), undef, 'missing';
    is $boundary->('; boundary='), undef, 'empty';
};

subtest cookies => sub {
    my $request = request(headers => [ [ Cookie => 'a=1; b="x y"; junk; c=%C3%A9; a=2' ] ]);
    is $request->cookies, { a => 1, b => 'x y', c => "\xc3\xa9" }, 'parsed';
    is [ $request->cookie('b'), $request->cookie('none') ], [ 'x y', undef ], 'cookie';
    ref_is $request->cookies, $request->cookies, 'cached';
    is request()->cookies, {}, 'none';
    is request(headers => [ [ cookie => 'a=1' ], [ cookie => 'b=2' ] ])->cookies, { a => 1, b => 2 }, 'several lines';
};

subtest authorization => sub {
    my $auth = sub { request(headers => [ [ Authorization => $_[0] ] ]) };
    is $auth->('Bearer abc.def')->bearer_token, 'abc.def', 'bearer';
    is $auth->('bEARER   abc')->bearer_token, 'abc', 'scheme in any case, several blanks';
    is [ $auth->('Basic abc')->bearer_token, request()->bearer_token ], [ undef, undef ], 'other scheme, none';
    is [ $auth->('Basic dXNlcjpwYTpzcw==')->basic_auth ], [ 'user', 'pa:ss' ], 'basic, colon in the password';
    is [ $auth->('basic dXNlcjo=')->basic_auth ], [ 'user', '' ], 'empty password';
    is [ $auth->('Bearer x')->basic_auth ], [ undef, undef ], 'other scheme';
    is [ $auth->('Basic dXNlcg==')->basic_auth ], [ undef, undef ], 'no colon';
    is [ request()->basic_auth ], [ undef, undef ], 'none';
};

subtest 'query parameters' => sub {
    my $request = request(query_string => 'a=1&b=x+y;a=2&c&&=d&e=%zz%4&f=%F0%9F%8E%89&g=1=2');
    my $query = $request->query_params;
    isa_ok $query, 'Hash::MultiValue';
    is [ $query->get_all('a') ], [ 1, 2 ], 'all values';
    is [ map { $request->query_param($_) } qw(a b c e g none), '' ],
        [ 2, 'x y', '', '%zz%4', '1=2', undef, 'd' ], 'last value and oddities';
    is $request->query_param('f'), "\x{1f389}", 'characters';
    is $request->raw_query_param('f'), "\xf0\x9f\x8e\x89", 'raw bytes';
    is $request->raw_query_params->get('b'), 'x y', 'raw is still unescaped';
    ref_is $request->query_params, $query, 'cached';
    ref_is $request->scope->{'pagi.request.query'}, $query, 'in the scope';
    is [ request(query_string => '')->query_params->keys ], [], 'empty';

    my $bad = request(query_string => 'a=%FF&%FE=1');
    is $bad->query_param('a'), "\x{fffd}", 'invalid bytes are replaced';
    is $bad->query_param("\x{fffd}"), 1, 'in names too';
    like dies { $bad->query_param('a', strict => 1) }, qr/does not map to Unicode/, 'strict';
    is $bad->query_param('a', strict => 1, raw => 1), "\xff", 'raw wins over strict';
    like dies { $bad->query_params(raw => 1, x => 1, b => 2) },
        qr/^Unknown options to query_params: b, x at \Q$0\E/, 'unknown option';

    my $rewritten = PAGI::Request->new({ %{ $request->scope }, query_string => 'a=9' });
    is $rewritten->query_param('a'), 9, 'a scope copy with another query is not answered from the cache';

    like warnings { is $request->query('a'), 2, 'query' },
        [qr/^query\(\) is deprecated; use query_param\(\) instead at \Q$0\E/], 'deprecated';
    like warnings { is $request->raw_query('a'), 2, 'raw_query' },
        [qr/^raw_query\(\) is deprecated; use raw_query_param\(\) instead/], 'deprecated';
};

subtest 'path parameters' => sub {
    my $request = request(path_params => { id => 42, name => undef }, query_string => 'q=1');
    is $request->path_params, { id => 42, name => undef }, 'path_params';
    is [ $request->path_param('id'), $request->path_param('name') ], [ 42, undef ], 'path_param';
    like dies { $request->path_param('q') }, qr/^path_param 'q' not found\. Available: id, name at \Q$0\E/, 'never from the query';
    is $request->path_param('q', strict => 0), undef, 'not strict';
    like dies { $request->path_param('id', foo => 1) }, qr/^Unknown options to path_param: foo/, 'unknown option';
    like dies { $request->path_params(foo => 1) }, qr/^Unknown options to path_params: foo/, 'unknown option';

    my $bare = request();
    is $bare->path_params, {}, 'no router';
    like dies { $bare->path_param('id') }, qr/^path_param 'id' not found\. No path params set \(no router\?\)/, 'no router';
    like dies { $bare->path_params(strict => 1) },
        qr/^path_params not set in scope \(no router configured\?\)\. Pass strict => 0 to allow this\./, 'strict';

    {
        package t::Lenient;
        our @ISA = 'PAGI::Request';
        sub _default_path_param_strict_opt { 0 }
        sub path_params { { fixed => 1 } }
    }
    my $lenient = t::Lenient->new({ type => 'http' });
    is [ $lenient->path_param('fixed'), $lenient->path_param('x') ], [ 1, undef ], 'both are hooks';

    is(PAGI::Request->configure(path_param_strict => 0), 'PAGI::Request', 'configure');
    is $bare->path_param('id'), undef, 'class-wide';
    is(PAGI::Request->config->{path_param_strict}, 0, 'config');
    PAGI::Request->configure(path_param_strict => 1);
    like dies { PAGI::Request->configure(nonsense => 1) }, qr/^Unknown options to configure: nonsense at \Q$0\E/, 'unknown setting';
};

subtest 'state and stash' => sub {
    my $state = { db => 1 };
    my $request = request(state => $state);
    ref_is $request->state, $state, 'state from the scope';
    my $bare = request();
    is $bare->state, {}, 'default';
    ref_is_not $bare->state, $bare->state, 'a fresh one';
    is exists $bare->scope->{state}, F, 'not stored';

    PAGI::Stash->new($request)->set(user => 'a');
    is(PAGI::Stash->new(PAGI::Request->new($request->scope))->get('user'), 'a', 'stash shared by two requests of one scope');
    is $request->state, { db => 1 }, 'and apart from state';
    is(PAGI::Stash->new(request())->exists('user'), 0, 'not by another scope');
};

subtest response => sub {
    my $request = request();
    my $response = $request->response;
    isa_ok $response, 'PAGI::Response';
    ref_is $response->scope, $request->scope, 'bound to the scope';
    ref_is_not $request->response, $response, 'another one every time';
};

{
    package t::Connection;
    sub new { bless { connected => 1, started => 0, complete => [], disconnect => [] }, shift }
    sub is_connected      { $_[0]{connected} }
    sub disconnect_reason { $_[0]{reason} }
    sub response_started  { $_[0]{started} }
    sub on_complete       { push @{ $_[0]{complete} },   $_[1]; 'delegate' }
    sub on_disconnect     { push @{ $_[0]{disconnect} }, $_[1]; 'delegate' }
    sub disconnect_future { 'future' }
}

subtest connection => sub {
    my $connection = t::Connection->new;
    my $request = request('pagi.connection' => $connection);
    ref_is $request->connection, $connection, 'object';
    is [ $request->is_connected, $request->is_disconnected, $request->disconnect_reason, $request->disconnect_future ],
        [ 1, 0, undef, 'future' ], 'open';
    my $callback = sub { };
    ref_is $request->on_complete($callback), $request, 'on_complete chains';
    ref_is $request->on_disconnect($callback), $request, 'on_disconnect chains';
    is [ $connection->{complete}, $connection->{disconnect} ], [ [$callback], [$callback] ], 'registered';
    @$connection{qw(connected reason)} = (0, 'client_closed');
    is [ $request->is_connected, $request->is_disconnected, $request->disconnect_reason ], [ 0, 1, 'client_closed' ], 'closed';

    my $bare = request();
    is [ map { $bare->$_ } qw(connection is_connected is_disconnected disconnect_reason disconnect_future) ],
        [ undef, 0, 1, undef, undef ], 'without the object';
    ref_is $bare->on_complete($callback)->on_disconnect($callback), $bare, 'registration chains without it';
};

{
    package t::Transport;
    sub new             { bless { amount => 0, calls => [] }, shift }
    sub buffered_amount { $_[0]{amount} }
    sub high_water_mark { $_[0]{high} }
    sub low_water_mark  { $_[0]{low} }
    package t::FullTransport;
    our @ISA = 't::Transport';
    sub on_high_water { push @{ $_[0]{calls} }, [ high  => $_[1] ] }
    sub on_drain      { push @{ $_[0]{calls} }, [ drain => $_[1] ] }
}

subtest transport => sub {
    my $callback = sub { };
    my $bare = request();
    is [ map { $bare->$_ } qw(buffered_amount high_water_mark low_water_mark is_writable) ], [ 0, undef, undef, 1 ], 'absent';
    ref_is $bare->on_high_water($callback)->on_drain($callback), $bare, 'chains';

    my $transport = t::FullTransport->new;
    my $request = request('pagi.transport' => $transport);
    is $request->is_writable, 1, 'no mark';
    @$transport{qw(high low amount)} = (100, 10, 99);
    is [ map { $request->$_ } qw(buffered_amount high_water_mark low_water_mark is_writable) ], [ 99, 100, 10, 1 ], 'delegates';
    $transport->{amount} = 100;
    is $request->is_writable, 0, 'at the mark';
    ref_is $request->on_high_water($callback)->on_drain($callback), $request, 'chains';
    is $transport->{calls}, [ [ high => $callback ], [ drain => $callback ] ], 'registered';

    my $readonly = request('pagi.transport' => t::Transport->new);
    ref_is $readonly->on_high_water($callback)->on_drain($callback), $readonly, 'a handle without callbacks is fine';
};

done_testing;
