use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Cwd ();
use Drive;
use Future::AsyncAwait;
use IO::Uncompress::Gunzip ();
use PAGI::Middleware::Builder;
use PAGI::Middleware::GZip;

my $text = join '', map { "line $_ of a text that packs well\n" } 1 .. 200;
my @accept = (add_headers => [ [ 'accept-encoding', 'gzip, br' ] ]);
sub page (%over) {
    return respond_app($over{status} // 200, $over{headers} // [ [ 'Content-Type', 'text/html; charset=utf-8' ], [ 'Content-Length', length($over{body} // $text) ] ], $over{body} // $text);
}
sub gzip ($app, $scope, %config) { return drive(PAGI::Middleware::GZip->new(%config)->wrap($app), $scope) }
sub gunzip ($bytes) { IO::Uncompress::Gunzip::gunzip(\$bytes, \my $out) or die; return $out }

subtest 'compresses' => sub {
    my $result = gzip(page(), http_scope(@accept));
    is([ $result->headers ], [
        [ 'Content-Type', 'text/html; charset=utf-8' ], [ 'Content-Encoding', 'gzip' ],
        [ 'Content-Length', length $result->body ], [ 'Vary', 'Accept-Encoding' ],
    ], 'headers');
    ok(length $result->body < length $text, 'smaller');
    is(gunzip($result->body), $text, 'round trip');
    is(gzip(page(status => 404), http_scope(@accept))->status, 404, 'the status stays');
    is(gunzip(gzip(page(), http_scope(@accept), level => $_)->body), $text, "level $_") for 1, 9;
    my $mixed = join ' ', map { $_ * 7919 % 1009 } 1 .. 3000;
    my @sizes = map { length gzip(page(body => $mixed), http_scope(@accept), level => $_)->body } 9, 1;
    ok($sizes[0] < $sizes[1], "levels differ: @sizes");
    like(dies { PAGI::Middleware::GZip->new(level => 12) }, qr/GZip 'level' must be 1 to 9, got '12'/, 'checked');

    my $extra = gzip(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/html' ] ], 'x.key' => 'kept' });
        await $send->({ type => 'http.response.body', body => $text });
    }, http_scope(@accept));
    is($extra->start->{'x.key'}, 'kept', 'other keys of the start event are kept');

    is(gzip(page(headers => [ [ 'content-type', 'text/html' ], [ 'ETag', '"abc"' ] ]), http_scope(@accept))->header('etag'), 'W/"abc"', 'a strong tag becomes weak');
    is(gzip(page(headers => [ [ 'content-type', 'text/html' ], [ 'ETag', 'W/"abc"' ] ]), http_scope(@accept))->header('etag'), 'W/"abc"', 'a weak one stays');
    is([ gzip(page(headers => [ [ 'content-type', 'text/html' ], [ 'Vary', 'Origin, accept-encoding' ] ]), http_scope(@accept))->header_all('vary') ],
        ['Origin, accept-encoding'], 'Vary is not repeated');
};

subtest 'Accept-Encoding' => sub {
    my %packed = ('gzip' => 1, 'x-gzip' => 1, 'GZip;q=0.5' => 1, 'br, gzip' => 1, '*' => 1, 'gzip;q=0' => 0, 'gzip; q=0.000' => 0,
        '*;q=0' => 0, 'gzip;q=0, *' => 0, 'identity' => 0, 'notgzip' => 0, '' => 0);
    for my $accept (sort keys %packed) {
        my $result = gzip(page(), http_scope(add_headers => [ [ 'accept-encoding', $accept ] ]));
        is(defined $result->header('content-encoding') ? 1 : 0, $packed{$accept}, "'$accept': $packed{$accept}");
    }
    my $result = gzip(page(), http_scope());
    is([ $result->body, $result->header('content-encoding') ], [ $text, undef ], 'none');
    is($result->header('vary'), 'Accept-Encoding', 'Vary goes on what could have been compressed');
};

subtest 'leaves alone' => sub {
    my %headers = (
        'images'               => [ [ 'content-type', 'image/png' ] ],
        'no type'              => [],
        'encoded already'      => [ [ 'content-type', 'text/html' ], [ 'content-encoding', 'br' ] ],
        'a range'              => [ [ 'content-type', 'text/html' ], [ 'content-range', 'bytes 0-1/2' ] ],
        'no-transform'         => [ [ 'content-type', 'text/html' ], [ 'cache-control', 'public, no-transform' ] ],
    );
    for my $name (sort keys %headers) {
        my $result = gzip(page(headers => $headers{$name}), http_scope(@accept));
        is([ [ $result->headers ], $result->body ], [ $headers{$name}, $text ], $name);
    }
    my $small = gzip(page(body => 'x' x 1023), http_scope(@accept));
    is([ $small->header('content-encoding'), $small->body ], [ undef, 'x' x 1023 ], 'small');
    is($small->header('content-length'), 1023, 'its length stays');
    ok(gzip(page(body => 'x' x 1024), http_scope(@accept))->header('content-encoding'), 'from 1024 bytes');
    is(gzip(page(body => '', headers => [ [ 'content-type', 'text/html' ] ]), http_scope(@accept), min_size => 0)->header('content-encoding'), undef, 'empty');
    for my $status (204, 206, 304) {
        my $result = gzip(page(status => $status, headers => [ [ 'content-type', 'text/html' ] ]), http_scope(@accept));
        is([ $result->status, $result->header('content-encoding') ], [ $status, undef ], $status);
    }
    my $head = gzip(page(), http_scope(method => 'HEAD', @accept));
    is([ $head->header('content-encoding'), $head->header('content-length') ], [ undef, length $text ], 'HEAD');

    my $file = gzip(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/plain' ] ] });
        await $send->({ type => 'http.response.body', file => Cwd::abs_path(__FILE__) });
    }, http_scope(@accept));
    like($file->body, qr/leaves alone/, 'a file body is not lost');
    is($file->header('content-encoding'), undef, 'nor compressed');
    is([ gzip(async sub { return }, http_scope(@accept))->events ], [], 'nothing sent stays nothing');

    is(gzip(page(), http_scope(@accept), mime_types => ['application/*'])->header('content-encoding'), undef, 'own list');
    ok(gzip(page(), http_scope(@accept), mime_types => ['TEXT/*'])->header('content-encoding'), 'prefixes');
};

subtest 'concurrency' => sub {
    my $mw = PAGI::Middleware::GZip->new;
    my (@gates, @results);
    for my $i (0 .. 4) {
        my $gate = $gates[$i] = Future->new;
        push @results, drive($mw->wrap(async sub ($scope, $receive, $send) {
            await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/plain' ] ] });
            await $gate;
            await $send->({ type => 'http.response.body', body => "request $i " x 200 });
        }), http_scope(@accept));
    }
    $gates[$_]->done for 3, 1, 4, 0, 2;
    is([ map { gunzip($_->body) } @results ], [ map { "request $_ " x 200 } 0 .. 4 ], 'five requests keep their own bodies');

    my $streaming = $mw->wrap(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/plain' ] ] });
        for my $more (1, 1, 0) { await $send->({ type => 'http.response.body', body => 'chunk ' x 500, more => $more }) }
    });
    my $streamed = drive($streaming, http_scope(@accept));
    is([ scalar $streamed->events, $streamed->header('content-encoding') ], [ 4, undef ], 'streaming: four events, uncompressed');
    is($streamed->header('vary'), 'Accept-Encoding', 'but marked as varying, like every page of its type');
    ok(drive($mw->wrap(page()), http_scope(@accept))->header('content-encoding'), 'which does not affect the next request');
};

subtest 'ETag' => sub {
    my $tag = sub ($inner, $scope, %config) { drive(builder { enable 'ETag', %config; $inner }, $scope) };
    like($tag->(hello_app(), http_scope())->header('ETag'), qr/\A"[0-9a-f]{32}"\z/, 'strong');
    like($tag->(hello_app(), http_scope(), weak => 1)->header('ETag'), qr/\AW\/"[0-9a-f]{32}"\z/, 'weak');
    is([ $tag->(respond_app(200, [ [ etag => '"own"' ] ], 'x'), http_scope())->header_all('etag') ], ['"own"'], 'an existing one stays');
    my $missing = $tag->(respond_app(404, [], 'x'), http_scope(method => 'POST'));
    ok($missing->header('etag') && $missing->status == 404, 'every status and method');

    is($tag->(respond_app($_, [], ''), http_scope())->header('etag'), undef, "not on $_") for 206, 304;

    my $file = $tag->(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        await $send->({ type => 'http.response.body', file => Cwd::abs_path(__FILE__) });
    }, http_scope());
    like($file->body, qr/a file body is not lost/, 'file bodies are not lost');
    is([ $tag->(async sub { return }, http_scope())->events ], [], 'nothing sent stays nothing');
    is($tag->(respond_app(200, [], ''), http_scope(method => 'HEAD'))->header('etag'), undef, 'no tag of an empty HEAD body');

    my $headless = drive(builder { enable 'Head'; enable 'ETag'; hello_app() }, http_scope(method => 'HEAD'));
    is($headless->header('etag'), $tag->(hello_app(), http_scope())->header('etag'), 'HEAD through Head: the tag of the GET');
};

subtest 'ConditionalGet' => sub {
    my $date = 'Sun, 06 Nov 1994 08:49:37 GMT';
    my $app = builder {
        enable 'ConditionalGet';
        respond_app(200, [ [ 'Content-Type', 'text/plain' ], [ 'ETag', '"v1"' ], [ 'Vary', 'Accept' ], [ 'Cache-Control', 'max-age=5' ], [ 'Last-Modified', $date ], [ 'Set-Cookie', 'a=b' ] ], 'body');
    };
    my $status = sub (@headers) { drive($app, http_scope(add_headers => \@headers))->status };
    my $none_match = sub ($value) { [ 'if-none-match', $value ] };

    my $hit = drive($app, http_scope(add_headers => [ $none_match->('"v1"') ]));
    is([ $hit->status, $hit->body, $hit->phase ], [ 304, '', 'done' ], 'match');
    is([ $hit->headers ], [ [ 'ETag', '"v1"' ], [ 'Vary', 'Accept' ], [ 'Cache-Control', 'max-age=5' ], [ 'Last-Modified', $date ] ], 'only what a 304 may carry, in order');
    is($status->($none_match->($_)), 304, "304: $_") for '*', 'W/"v1"', '"v0", "v1"', '"v0",W/"v1"';
    is($status->($none_match->($_)), 200, "200: $_") for '"v2"', 'v1', '"v1 "', '""';
    is($status->([ 'if-none-match', '"x"' ], [ 'if-none-match', '"v1"' ]), 304, 'two header lines are one list');

    my $since = sub ($value) { [ 'if-modified-since', $value ] };
    is($status->($since->($_)), 304, "304: $_") for $date, 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994', 'Mon, 07 Nov 1994 08:49:37 GMT';
    is($status->($since->($_)), 200, "200: $_") for 'Sat, 05 Nov 1994 08:49:37 GMT', 'soon', '';
    is($status->($none_match->('"v2"'), $since->($date)), 200, 'If-None-Match wins');
    {
        local $ENV{TZ} = 'America/New_York';
        POSIX::tzset() if require POSIX;
        is($status->($since->('Sun Nov  6 08:49:36 1994')), 200, 'asctime means GMT whatever the zone of the server');
    }
    POSIX::tzset();

    is(drive($app, http_scope(method => 'POST', add_headers => [ $none_match->('"v1"') ]))->status, 200, 'POST ignored');
    is(drive($app, http_scope(method => 'HEAD', add_headers => [ $none_match->('"v1"') ]))->status, 304, 'HEAD');
    my $missing = builder { enable 'ConditionalGet'; respond_app(404, [ [ etag => '"v1"' ] ], 'no') };
    is(drive($missing, http_scope(add_headers => [ $none_match->('"v1"') ]))->status, 404, 'only 2xx');

    my $ran = 0;
    my $streaming = builder {
        enable 'ConditionalGet';
        async sub ($scope, $receive, $send) {
            await $send->({ type => 'http.response.start', status => 200, headers => [ [ etag => '"v1"' ] ] });
            for my $more (1, 1, 0) { await $send->({ type => 'http.response.body', body => 'x', more => $more }) }
            $ran = 1;
        };
    };
    my $result = drive($streaming, http_scope(add_headers => [ $none_match->('"v1"') ]), slow => 1);
    is([ $ran, $result->error, $result->types ], [ 1, undef, [qw(http.response.start http.response.body)] ], 'the application runs on, its body is dropped');

    my $documented = builder { enable 'ConditionalGet'; enable 'ETag'; hello_app() };
    my $etag = drive($documented, http_scope())->header('etag');
    my $again = drive($documented, http_scope(add_headers => [ $none_match->($etag) ]));
    is([ $again->status, $again->body, $again->header('etag') ], [ 304, '', $etag ], 'the documented order gives 304');

    my $packed = builder { enable 'ConditionalGet'; enable 'GZip'; enable 'ETag'; page() };
    my $first = drive($packed, http_scope(@accept));
    is($first->header('content-encoding'), 'gzip', 'with GZip in between');
    is(drive($packed, http_scope(add_headers => [ [ 'accept-encoding', 'gzip' ], $none_match->($first->header('etag')) ]))->status, 304, 'too');
};

done_testing;
