use strict;
use warnings;
use experimental 'signatures';

# The limiter counts whole seconds: one that passes in the middle of a subtest would add a token.
my $now;
BEGIN { $now = 1_700_000_000; *CORE::GLOBAL::time = sub :prototype() { $now } }

use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use PAGI::Middleware::Builder;
use PAGI::Middleware::RateLimit;

my $CLASS = 'PAGI::Middleware::RateLimit';
sub limited (%config) { my $mw = $CLASS->new(%config); return ($mw, $mw->wrap(hello_app())) }
sub from ($ip, %over) { return http_scope(client => [ $ip, 1 ], %over) }

subtest 'within and beyond' => sub {
    $CLASS->_clear_buckets;
    my ($mw, $app) = limited(requests_per_second => 1, burst => 3);
    my $first = drive($app, from('192.0.2.1'));
    is([ $first->status, $first->header('X-RateLimit-Limit'), $first->header('X-RateLimit-Remaining') ], [ 200, 3, 2 ], 'allowed, with headers');
    ok(abs($first->header('X-RateLimit-Reset') - $now - 1) <= 1, 'reset: when the bucket is full');
    is(drive($app, from('192.0.2.1'))->header('X-RateLimit-Remaining'), $_, "$_ left") for 1, 0;
    my $refused = drive($app, from('192.0.2.1'));
    is([ $refused->status, $refused->body ], [ 429, 'Rate limit exceeded. Try again later.' ], 'refused');
    is([ map { $_->[0] } $refused->headers ], [qw(Content-Type Content-Length Retry-After X-RateLimit-Limit X-RateLimit-Remaining X-RateLimit-Reset)], 'headers in order');
    is([ $refused->header('Retry-After'), $refused->header('X-RateLimit-Remaining') ], [ 2, 0 ], 'values');
    is(drive($app, from('192.0.2.2'))->status, 200, 'another client has its own bucket');
    $CLASS->_advance_time_for_test(1);
    is([ map { drive($app, from('192.0.2.1'))->status } 1, 2 ], [ 200, 429 ], 'a second later there is one token');
    $CLASS->_advance_time_for_test(100);
    is([ map { drive($app, from('192.0.2.1'))->status } 1 .. 4 ], [ 200, 200, 200, 429 ], 'never more than the burst');
};

subtest 'keys' => sub {
    $CLASS->_clear_buckets;
    my ($mw, $app) = limited(burst => 1, requests_per_second => 0.1, key_generator => sub ($scope) { $scope->{path} });
    is([ map { drive($app, from('192.0.2.1', path => $_))->status } qw(/a /a /b) ], [ 200, 429, 200 ], 'own key');
    ($mw, $app) = limited(burst => 1, requests_per_second => 0.1);
    is([ map { drive($app, http_scope(client => undef))->status } 1, 2 ], [ 200, 429 ], 'no client address: one bucket');
};

subtest 'headers do not make new clients' => sub {
    $CLASS->_clear_buckets;
    my $app = builder {
        enable 'ReverseProxy', trusted_proxies => [ '127.0.0.1', '10.0.0.0/8' ];
        enable 'RateLimit', burst => 2, requests_per_second => 0.1;
        hello_app();
    };
    my $n = 0;
    my $status = sub ($client, @headers) { drive($app, from($client, add_headers => \@headers))->status };
    is([ map { $status->('203.0.113.9', [ 'x-forwarded-for', '198.51.100.' . $n++ ]) } 1 .. 3 ], [ 200, 200, 429 ], 'an untrusted peer cannot');
    is([ map { $status->('127.0.0.1', [ 'x-forwarded-for', '198.51.100.' . $n++ . ', 203.0.113.10' ]) } 1 .. 3 ], [ 200, 200, 429 ], 'nor through a proxy that appends');
    is([ map { $status->('127.0.0.1', [ 'x-forwarded-for', '198.51.100.' . $n++ . ', 203.0.113.11, 10.1.2.3' ]) } 1 .. 3 ], [ 200, 200, 429 ], 'nor through two');
    is([ map { $status->('127.0.0.1', [ 'x-forwarded-for', '198.51.100.' . $n++ ], [ 'x-forwarded-for', '203.0.113.12' ]) } 1 .. 3 ], [ 200, 200, 429 ], 'nor with a header line of its own');
    is([ map { $status->('127.0.0.1', [ 'x-forwarded-for', '203.0.113.13:' . (4000 + $n++) ]) } 1 .. 3 ], [ 200, 200, 429 ], 'nor with another port');
    is($status->('127.0.0.1', [ 'x-forwarded-for', '203.0.113.14' ]), 200, 'other clients go on');

    $CLASS->_clear_buckets;
    my ($mw, $plain) = limited(burst => 2, requests_per_second => 0.1);
    is(drive($plain, from('203.0.113.9', add_headers => [ [ accept => 'text/html' ] ]))->status, 200, 'one http request');
    my $sse_app = $mw->wrap(sub ($scope, $receive, $send) { $send->({ type => 'sse.start' }) });
    my $stream = drive($sse_app, sse_scope(client => [ '203.0.113.9', 1 ]));
    is([ $stream->types->[0], $stream->header('X-RateLimit-Remaining') ], [ 'sse.start', 0 ], 'event streams count in the same bucket');
    is(drive($sse_app, sse_scope(client => [ '203.0.113.9', 1 ]))->types->[0], 'sse.http.response.start', 'and are refused');
};

subtest 'instances' => sub {
    $CLASS->_clear_buckets;
    my ($one, $app1) = limited(burst => 1, requests_per_second => 0.1);
    my ($two, $app2) = limited(burst => 1, requests_per_second => 0.1);
    is([ map { drive($_, from('192.0.2.1'))->status } $app1, $app2, $app1, $app2 ], [ 200, 200, 429, 429 ], 'do not share tokens');
    is([ $one->_bucket_count, $two->_bucket_count ], [ 1, 1 ], 'counted apart');
    my $before = $CLASS->_bucket_count;
    undef $app2; undef $two;
    is($CLASS->_bucket_count, $before - 1, 'and forgotten with their owner');
    $CLASS->reset_all;
    is([ $CLASS->_bucket_count, drive($app1, from('192.0.2.1'))->status ], [ 0, 200 ], 'reset_all');
};

subtest 'stale buckets' => sub {
    $CLASS->_clear_buckets;
    my ($mw, $app) = limited(requests_per_second => 2, burst => 10, cleanup_interval => 10);
    drive($app, from("192.0.2.$_")) for 1 .. 5;
    is($CLASS->_bucket_count, 5, 'five');
    $CLASS->_advance_time_for_test(25);
    drive($app, from('192.0.2.1'));
    is($CLASS->_bucket_count, 1, 'swept after 25 s, the active one kept');

    $CLASS->_clear_buckets;
    ($mw, $app) = limited(max_buckets => 10, cleanup_interval => 1000);
    my $most = 0;
    for my $n (1 .. 100) {
        drive($app, from("198.51.100.$n"));
        $most = $CLASS->_bucket_count if $CLASS->_bucket_count > $most;
    }
    ok($most <= 10, "never above max_buckets ($most)");
    ok($CLASS->_bucket_count >= 1, 'some remain');
    $CLASS->_clear_buckets;
};

subtest 'options' => sub {
    like(dies { $CLASS->new(requests_per_second => $_) }, qr/'requests_per_second' must be a number above 0, got '\Q$_\E'/, "rate $_") for 0, -1, 'x';
    like(dies { $CLASS->new(burst => $_) }, qr/'burst' must be a number of at least 1, got '\Q$_\E'/, "burst $_") for 0, 'x';
    my ($mw, $app) = limited();
    is(drive($app, ws_scope())->rejected->[0], 'http.response.start is not an event of websocket scopes', 'websockets pass to the application');
};

done_testing;
