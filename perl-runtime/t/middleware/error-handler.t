use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Middleware::ErrorHandler;

package Test::NotFound { sub new ($class, $code) { return bless { code => $code }, $class } sub status_code ($self) { return $self->{code} } }
package Test::Text { use overload '""' => sub { 'overloaded text' }, fallback => 1; sub new ($class) { return bless {}, $class } }

sub failing ($error, %config) {
    return drive(PAGI::Middleware::ErrorHandler->new(%config)->wrap(async sub { die $error }), http_scope());
}

subtest 'html' => sub {
    my $result = failing("secret detail\n");
    is($result->status, 500, 'status');
    is($result->header('content-type'), 'text/html; charset=utf-8', 'type');
    is($result->header('content-length'), length $result->body, 'length');
    like($result->body, qr{<title>Error 500</title>.*<h1>Error 500</h1>}s, 'title and heading');
    like($result->body, qr/Internal Server Error/, 'production names the status');
    unlike($result->body, qr/secret detail|Stack Trace/, 'and nothing else');

    $result = failing("secret <b>&\"detail\"\n", development => 1);
    like($result->body, qr{<h2>Stack Trace</h2>}, 'development has a trace');
    like($result->body, qr/secret &lt;b&gt;&amp;&quot;detail&quot;/, 'escaped');
    unlike($result->body, qr/<b>/, 'everywhere');
};

subtest 'other types' => sub {
    my $json = failing("json detail\n", content_type => 'application/json', development => 1);
    is($json->header('content-type'), 'application/json', 'type');
    is(JSON::MaybeXS::decode_json($json->body),
        { error => "json detail\n", status => 500, stack => "json detail\n" }, 'keys in development');
    is(JSON::MaybeXS::decode_json(failing("x\n", content_type => 'application/json')->body),
        { error => 'Internal Server Error', status => 500 }, 'and in production');

    my $text = failing("x\n", content_type => 'text/plain');
    is([ $text->header('content-type'), $text->body ],
        [ 'text/plain; charset=utf-8', 'Error 500: Internal Server Error' ], 'text');
    is(failing("x\n", content_type => 'image/png')->header('content-type'), 'text/html; charset=utf-8', 'anything else is HTML');
};

subtest 'bytes, not characters' => sub {
    my $result = failing("sm\x{f8}rrebr\x{f8}d \x{263a}\n", content_type => 'text/plain', development => 1);
    is($result->header('content-length'), length $result->body, 'length in bytes');
    like($result->body, qr/sm\xc3\xb8rrebr\xc3\xb8d \xe2\x98\xba/, 'UTF-8');
};

subtest 'status' => sub {
    is(failing("x\n", status => 503)->status, 503, 'status option');
    like(failing("x\n", status => 503)->body, qr/Service Unavailable/, 'its phrase');
    my $object = failing(Test::NotFound->new(404));
    is($object->status, 404, 'status_code of the error');
    like($object->body, qr/Not Found/, 'and its phrase');
    like(failing(Test::NotFound->new(413))->body, qr/Payload Too Large/, '413');
    is(failing(Test::NotFound->new(418), content_type => 'text/plain')->body, 'Error 418: Error', 'no phrase known');
    is(failing(Test::NotFound->new($_ // undef))->status, 500, 'unusable code ' . ($_ // 'undef')) for undef, 0, 'x', 101, 700;
    like(failing(Test::Text->new, development => 1)->body, qr/overloaded text/, 'objects are stringified');
};

subtest 'on_error' => sub {
    my @got;
    failing("told\n", on_error => sub { push @got, @_ });
    is(\@got, ["told\n"], 'once, with the error');
    is(failing("x\n", on_error => sub { die "worse\n" })->status, 500, 'its own failure does not matter');
    is(failing("x\n", on_error => sub { Future->fail("worse\n") })->status, 500, 'nor that of its Future');
    my $gate = Future->new;
    my $result = failing("x\n", on_error => sub { $gate });
    is([ $result->events ], [], 'a Future is waited for');
    $gate->done;
    is($result->status, 500, 'then the page is sent');
};

subtest 'started responses' => sub {
    my $result;
    my $mw = PAGI::Middleware::ErrorHandler->new;
    is(warnings { $result = drive($mw->wrap(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        die "too late\n";
    }), http_scope()) }, ["Error occurred after response started: too late\n\n"], 'warned');
    is([ $result->error, $result->types ], [ undef, ['http.response.start'] ], 'returns normally, adds nothing');

    $result = drive($mw->wrap(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 'bogus' });
    }), http_scope());
    is($result->status, 500, 'a start the server refused is no start: there is a page');

    $result = drive($mw->wrap(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 'bogus' });
    }), http_scope(), slow => 1);
    is($result->status, 500, 'also when sends stay pending');

    my ($verdict, @sent) = (Future->new);
    my $app = $mw->wrap(async sub ($scope, $receive, $send) { await $send->({ type => 'http.response.start', status => 200, headers => [] }) });
    my $future = $app->(http_scope(), sub { }, sub ($event) { push @sent, $event; return @sent == 1 ? $verdict : Future->done });
    $verdict->fail("cannot send\n");
    is([ map { $_->{status} // 'body' } @sent ], [ 200, 500, 'body' ], 'and when the refusal comes later');
};

subtest 'otherwise' => sub {
    my $mw = PAGI::Middleware::ErrorHandler->new;
    is(drive($mw->wrap(hello_app()), http_scope())->body, 'Hello, World!', 'success passes');
    like(drive($mw->wrap(async sub { die "ws\n" }), ws_scope())->error, qr/^ws$/m, 'websocket errors propagate');
    like(drive($mw->wrap(async sub { die "sse\n" }), sse_scope())->error, qr/^sse$/m, 'sse errors propagate');
    is(failing('')->status, 500, 'an empty error');
};

done_testing;
