use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future::AsyncAwait;
use PAGI::Middleware::ContentLength;

sub sized ($inner, %config) { return PAGI::Middleware::ContentLength->new(%config)->wrap($inner) }
sub lengths ($result) { return [ $result->header_all('content-length') ] }

is(lengths(drive(sized(hello_app()), http_scope())), [13], '13 bytes');
is(lengths(drive(sized(respond_app(200, [ [ 'Content-Length', 5 ] ], '12345')), http_scope())), [5],
    'an existing length stays, once');
is(lengths(drive(sized(respond_app(204, [], '')), http_scope())), [0], 'empty body, also on 204');
is(lengths(drive(sized(respond_app(304, [ [ etag => '"a"' ] ], '')), http_scope())), [], 'but not on 304');
is(lengths(drive(sized(respond_app(200, [], "\x00\xff\xfe\x80\x01")), http_scope())), [5], 'bytes');
is(lengths(drive(sized(respond_app(200, [ [ 'Transfer-Encoding', 'Chunked' ] ], 'abc')), http_scope())), [],
    'chunked coding stays');
is(lengths(drive(sized(hello_app(), auto_chunked => 1), http_scope())), [], 'auto_chunked adds nothing');

my $upgraded = "caf\xe9";
utf8::upgrade($upgraded);
is(lengths(drive(sized(respond_app(200, [], $upgraded)), http_scope())), [4], 'the flag of a string does not count');

my $streamed = drive(sized(async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', body => 'a', more => 1 });
    await $send->({ type => 'http.response.body', body => 'b', more => 0 });
}), http_scope());
is([ lengths($streamed), scalar $streamed->events ], [ [], 3 ], 'streaming untouched: three events, no length');

my $no_body = drive(sized(sub ($scope, $receive, $send) {
    return $send->({ type => 'http.response.start', status => 200, headers => [] });
}), http_scope());
is(lengths($no_body), [0], 'a start without body gets 0');

my $file = drive(sized(async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', file => __FILE__ =~ m{\A/} ? __FILE__ : "$ENV{PWD}/" . __FILE__ });
}), http_scope());
is(lengths($file), [], 'a file is not announced as 0');
like($file->body, qr/is not announced as 0/, 'and arrives');

my $trailers = drive(sized(async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [], trailers => 1 });
    await $send->({ type => 'http.response.body', body => 'x' });
    await $send->({ type => 'http.response.trailers', headers => [] });
}), http_scope());
is($trailers->types, [qw(http.response.start http.response.body http.response.trailers)], 'trailers in order');
is(lengths($trailers), [], 'and no length that would forbid them');

is(lengths(drive(sized(respond_app(200, [], '')), http_scope(method => 'HEAD'))), [],
    'an empty HEAD body says nothing about the GET');

my $released = 0;
my $waiting = Future->new;
my $result = drive(sized(async sub ($scope, $receive, $send) {
    await hello_app()->($scope, $receive, $send);
    $released = 1;
    await $waiting;
}), http_scope());
is([ $released, $result->phase ], [ 1, 'done' ], 'the response does not wait for work the application does afterwards');
$waiting->done;

done_testing;
