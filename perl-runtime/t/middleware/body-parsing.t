use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future::AsyncAwait;
use PAGI::Middleware::ContentNegotiation;
use PAGI::Middleware::FormBody;
use PAGI::Middleware::JSONBody;

my ($scope, @later);
my $inner = async sub ($got, $receive, $send) {
    $scope = $got;
    @later = ();
    push @later, await $receive->() while @later < 3;
    await hello_app()->($got, $receive, $send);
};
sub post ($mw, $type, @chunks) {
    undef $scope;
    my %option = ref $chunks[-1] eq 'HASH' ? %{ pop @chunks } : ();
    my @events = map { { type => 'http.request', body => $chunks[$_], more => $_ < $#chunks ? 1 : 0 } } 0 .. $#chunks;
    return drive($mw->wrap($inner),
        http_scope(method => 'POST', add_headers => [ (defined $type ? [ 'content-type', $type ] : ()), @{ $option{headers} // [] } ]),
        receive => $option{receive} // \@events);
}

subtest 'JSONBody' => sub {
    my $mw = PAGI::Middleware::JSONBody->new(max_size => 50);
    is(post($mw, 'application/json', '{"a":', "[1,\"\xc3\xa9\"]}")->status, 200, 'two chunks');
    is($scope->{'pagi.parsed_body'}, { a => [ 1, "\xe9" ] }, 'parsed, text as characters');
    is($scope->{'pagi.raw_body'}, "{\"a\":[1,\"\xc3\xa9\"]}", 'raw bytes');
    is(\@later, [ { type => 'http.request', body => '', more => 0 }, { type => 'http.disconnect' }, { type => 'http.disconnect' } ],
        'then one empty event, then what the server says');

    my $bad = post($mw, 'application/json', '{"a":');
    is([ $bad->status, $bad->header('Content-Type'), $scope ], [ 400, 'application/json', undef ], 'not JSON');
    like($bad->body, qr/\A\{"error":"Invalid JSON: .+"\}\z/, 'says why');
    unlike($bad->body, qr/ at \S+ line \d/, 'without our file names');
    is($bad->header('Content-Length'), length $bad->body, 'length');
    is(post($mw, 'application/json', '')->status, 400, 'an empty body is not JSON');

    my $large = post($mw, 'application/json', '"' . 'x' x 30, 'x' x 30 . '"');
    is([ $large->status, $large->body, $scope ], [ 413, '{"error":"Request body too large"}', undef ], 'too large');
    my $read = 0;
    my $announced = drive($mw->wrap($inner), http_scope(add_headers => [ [ 'content-type', 'application/json' ], [ 'content-length', 51 ] ]),
        receive => [ { type => 'http.request', body => '{}', more => 0 } ]);
    is($announced->status, 413, 'already by its content-length');
    is(post($mw, 'application/json', '"' . 'x' x 48 . '"')->status, 200, 'exactly max_size');

    for my $type ('application/json;charset=utf-8', 'Application/JSON ; charset=UTF-8', 'application/vnd.api+json', 'application/ld+json; profile="x"') {
        post($mw, $type, '[1]');
        is($scope->{'pagi.parsed_body'}, [1], $type);
    }
    for my $type ('application/jsonp', 'application/json-patch', 'text/json', 'text/plain', 'application/x+jsonx', undef) {
        post($mw, $type, '[1]');
        ok(!exists $scope->{'pagi.parsed_body'}, 'not ' . ($type // 'without type'));
        is($later[0]{body}, '[1]', 'the body is left to the application');
    }
    my $own = PAGI::Middleware::JSONBody->new(content_types => ['text/x-json; charset=utf-8']);
    post($own, 'text/x-json', '[2]');
    is($scope->{'pagi.parsed_body'}, [2], 'own types');

    my $gone = post($mw, 'application/json', { receive => [ { type => 'http.request', body => '[1,', more => 1 } ] });
    is([ $scope, [ $gone->events ], $gone->error ], [ undef, [], undef ], 'a client that left: nobody sees half a document');
};

subtest 'FormBody' => sub {
    my $mw = PAGI::Middleware::FormBody->new(max_size => 60);
    my $type = 'application/x-www-form-urlencoded';
    is(post($mw, "$type; charset=utf-8", 'a=1&b=x+y%21', '&a=2&c&=e&a=3&&d=%zz%C3%A9')->status, 200, 'two chunks');
    is($scope->{'pagi.parsed_body'}, { a => [ 1, 2, 3 ], b => 'x y!', c => '', '' => 'e', d => "%zz\xc3\xa9" }, 'parsed to bytes');
    is($scope->{'pagi.raw_body'}, 'a=1&b=x+y%21&a=2&c&=e&a=3&&d=%zz%C3%A9', 'raw');
    is(\@later, [ { type => 'http.request', body => '', more => 0 }, ({ type => 'http.disconnect' }) x 2 ], 'receive afterwards');
    post($mw, uc $type, '');
    is($scope->{'pagi.parsed_body'}, {}, 'empty body, type without case');
    my $large = post($mw, $type, 'x' x 40, 'x' x 40);
    is([ $large->status, $large->body, $large->header('Content-Type') ], [ 413, 'Request body too large', 'text/plain' ], 'too large');
    post($mw, 'multipart/form-data; boundary=x', 'a=1');
    ok(!exists $scope->{'pagi.parsed_body'}, 'other types are left alone');
    my $gone = post($mw, $type, { receive => [ { type => 'http.request', body => 'a=1&amount=1', more => 1 } ] });
    is([ $scope, [ $gone->events ] ], [ undef, [] ], 'nor half a form');
};

subtest 'stacked' => sub {
    my $app = PAGI::Middleware::JSONBody->new->wrap(PAGI::Middleware::FormBody->new->wrap($inner));
    for my $case ([ 'application/json', '{"a":1}', { a => 1 } ], [ 'application/x-www-form-urlencoded', 'a=1', { a => 1 } ]) {
        my ($type, $body, $data) = @$case;
        drive($app, http_scope(method => 'POST', add_headers => [ [ 'content-type', $type ] ]), receive => [ { type => 'http.request', body => $body, more => 0 } ], slow => 1);
        is($scope->{'pagi.parsed_body'}, $data, $type);
    }
};

subtest 'ContentNegotiation' => sub {
    my $types = [ 'application/json', 'text/html', 'text/plain' ];
    my $run = sub ($accept, %config) {
        undef $scope;
        my $mw = PAGI::Middleware::ContentNegotiation->new(supported_types => $types, %config);
        return drive($mw->wrap($inner), http_scope(defined $accept ? (add_headers => [ [ accept => $accept ] ]) : ()));
    };
    my %preferred = (
        'text/html'                                       => 'text/html',
        'text/plain;q=0.5, text/html;q=0.9'               => 'text/html',
        'TEXT/HTML'                                       => 'text/html',
        '*/*'                                             => 'application/json',
        'text/*'                                          => 'text/html',
        'image/png'                                       => 'application/json',
        'application/json;q=0, */*'                       => 'text/html',
        'text/*;q=0.5, text/html;q=0'                     => 'text/plain',
        'text/*;q=0, */*;q=0.1'                           => 'application/json',
        '*/*;q=0, text/plain'                             => 'text/plain',
        'text/html;level=1;q=0.2, text/plain; q=0.4'      => 'text/plain',
        ', ,text/html'                                    => 'text/html',
        ''                                                => 'application/json',
    );
    for my $accept (sort keys %preferred) {
        $run->($accept);
        is($scope->{'pagi.preferred_content_type'}, $preferred{$accept}, "'$accept'");
    }
    $run->(undef);
    is($scope->{'pagi.preferred_content_type'}, 'application/json', 'no Accept: the first');
    is($scope->{'pagi.accepted_types'}, [ { type => '*/*', q => 1 } ], 'as */*');
    $run->('a/b;q=0.1, c/d, e/f;q=0.5, g/h');
    is([ map { "$_->{type} $_->{q}" } @{ $scope->{'pagi.accepted_types'} } ], [ 'c/d 1', 'g/h 1', 'e/f 0.5', 'a/b 0.1' ], 'parsed, highest first, stable');

    $run->('image/png', default_type => 'text/plain');
    is($scope->{'pagi.preferred_content_type'}, 'text/plain', 'default_type');
    my $strict = $run->('image/png', strict => 1);
    is([ $strict->status, $strict->body, $scope ], [ 406, 'Not Acceptable. Supported types: application/json, text/html, text/plain', undef ], 'strict');
    is([ $strict->headers ], [ [ 'Content-Type', 'text/plain' ], [ 'Content-Length', length $strict->body ] ], 'its headers');
    is($run->('*/*;q=0', strict => 1)->status, 406, 'nothing is acceptable');
    like(dies { PAGI::Middleware::ContentNegotiation->new }, qr/ContentNegotiation requires 'supported_types' option/, 'required');
};

done_testing;
