use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future::AsyncAwait;
use PAGI::Middleware::Builder;

my $seen;
sub head_app ($inner) {
    return builder { enable 'Head'; sub ($scope, @rest) { $seen = $scope->{method}; $inner->($scope, @rest) } };
}

my $hello = head_app(respond_app(200, [ [ 'content-length', 13 ], [ 'x-a', 1 ] ], 'Hello, World!'));
my $result = drive($hello, http_scope(method => 'HEAD'));
is($seen, 'GET', 'the application sees a GET');
is([ $result->headers ], [ [ 'content-length', 13 ], [ 'x-a', 1 ] ], 'headers kept');
is([ ($result->events)[1] ], [ { type => 'http.response.body', body => '', more => 0 } ], 'body emptied');

$result = drive($hello, http_scope(method => 'GET'));
is([ $seen, $result->body ], [ 'GET', 'Hello, World!' ], 'GET untouched');

for my $method (qw(POST PUT DELETE PATCH OPTIONS)) {
    $result = drive($hello, http_scope(method => $method));
    is([ $seen, $result->body ], [ $method, 'Hello, World!' ], "$method untouched");
}

my $streaming = head_app(async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    for my $more (1, 1, 0) { await $send->({ type => 'http.response.body', body => 'x', more => $more }) }
});
is([ drive($streaming, http_scope(method => 'HEAD'))->events ]->[1], { type => 'http.response.body', body => '', more => 0 },
    'three chunks collapse to one empty body');
is(scalar(drive($streaming, http_scope(method => 'HEAD'))->events), 2, 'and nothing else');

my $trailers = head_app(async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [], trailers => 1 });
    await $send->({ type => 'http.response.body', body => 'x', more => 0 });
    await $send->({ type => 'http.response.trailers', headers => [] });
});
$result = drive($trailers, http_scope(method => 'HEAD'));
is($result->types, [qw(http.response.start http.response.body)], 'trailers suppressed');
is($result->phase, 'done', 'and not promised either, so the response is complete');

my $file = head_app(async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', file => '/etc/hostname', more => 1 });
});
is([ drive($file, http_scope(method => 'HEAD'))->events ]->[1], { type => 'http.response.body', body => '', more => 0 },
    'a file body is final');

my $stack = builder { enable 'Head'; enable 'ContentLength'; enable 'ETag'; hello_app() };
my $get = drive($stack, http_scope());
my $head = drive($stack, http_scope(method => 'HEAD'));
is([ $head->headers ], [ $get->headers ], 'outside ContentLength and ETag: the headers of the GET');
is($head->header('content-length'), 13, 'with its length');

done_testing;
