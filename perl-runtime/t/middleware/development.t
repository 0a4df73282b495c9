use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use File::Temp ();
use Drive;
use Future::AsyncAwait;
use PAGI::Middleware::Builder;
use PAGI::Middleware::Debug;
use PAGI::Middleware::Lint;
use PAGI::Middleware::Maintenance;

subtest 'Debug' => sub {
    my @html = ([ 'Content-Type', 'text/html; charset=utf-8' ], [ 'X-Out', 'there' ]);
    my $run = sub ($inner, $config = {}, %over) { drive(PAGI::Middleware::Debug->new(enabled => 1, %$config)->wrap($inner), http_scope(%over), slow => 1) };

    my $result = $run->(respond_app(201, [ @html, [ 'content-length', 29 ] ], '<html><BODY>page</BODY></html'), {}, path => '/p', query_string => 'q=1', add_headers => [ [ 'x-in', 'here' ] ]);
    like($result->body, qr{page<div id="pagi-debug-panel".*</div></BODY></html\z}s, 'before </body>');
    like($result->body, qr/PAGI Debug Panel/, 'title');
    like($result->body, qr{>\Q$_\E</h3>}, "section $_") for 'Timing', 'Request', 'Request Headers', 'Response Headers';
    my %row = (Method => 'GET', Path => '/p', Query => 'q=1', Scheme => 'http', Status => 201, 'x-in' => 'here', 'X-Out' => 'there');
    like($result->body, qr{<th>\Q$_\E</th><td>\Q$row{$_}\E</td>}, "row $_") for sort keys %row;
    like($result->body, qr{<th>Total Time</th><td>\d+\.\d+ ms</td>}, 'row Total Time');
    is([ $result->status, scalar $result->events, $result->header('content-length') ], [ 201, 2, length $result->body ], 'status, two events, corrected length');
    like($run->(respond_app(200, \@html, 'no body tag'))->body, qr/\Ano body tag<div/, 'or appended');
    is($run->(respond_app(200, \@html, 'x'))->header('content-length'), undef, 'no length is made up');

    my $streamed = $run->(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => \@html });
        for my $chunk ([ '<body>a', 1 ], [ 'b', 1 ], [ 'c</body>', 0 ]) { await $send->({ type => 'http.response.body', body => $chunk->[0], more => $chunk->[1] }) }
    });
    like($streamed->body, qr{\A<body>abc<div.*</div></body>\z}s, 'streamed HTML is collected');
    is(scalar $streamed->events, 2, 'into two events');

    unlike($run->(respond_app(200, \@html, 'x'), { $_->[0] => 0 })->body, qr{>$_->[1]</h3>}, "$_->[0] 0") for [ show_timing => 'Timing' ], [ show_scope => 'Request' ], [ show_headers => 'Request Headers' ];

    my $json = respond_app(200, [ [ 'content-type', 'application/json' ] ], '{"a":"</body>"}');
    is($run->($json)->body, '{"a":"</body>"}', 'JSON untouched');
    is($run->(respond_app(200, \@html, '<body></body>'), { enabled => 0 })->body, '<body></body>', 'disabled');
    is(drive(PAGI::Middleware::Debug->new->wrap(respond_app(200, \@html, 'x')), http_scope())->body, 'x', 'which is the default');
    is($run->(respond_app(200, [ @html, [ 'content-encoding', 'gzip' ] ], "\x1f\x8b"))->body, "\x1f\x8b", 'compressed bodies pass');

    my $page = File::Temp->new;
    print {$page} '<body>page</body>';
    $page->flush;
    my $file = $run->(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => \@html });
        await $send->({ type => 'http.response.body', file => "$page" });
    });
    is($file->body, '<body>page</body>', 'HTML files keep their content, without panel');

    my $unfinished = $run->(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => \@html });
        await $send->({ type => 'http.response.body', body => 'half', more => 1 });
    });
    is([ $unfinished->body, $unfinished->phase ], [ 'half', 'body' ], 'an unfinished page stays unfinished');
    my $died = $run->(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => \@html });
        die "boom\n";
    });
    is([ $died->error, [ $died->events ] ], [ "boom\n", [] ], 'a failing page leaves room for an error page');
};

subtest 'Debug escapes' => sub {
    my $evil = '<script>alert("x")</script>&';
    my $safe = '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;';
    my $mw = PAGI::Middleware::Debug->new(enabled => 1);
    my $page = drive($mw->wrap(respond_app(200, [ [ 'content-type', 'text/html' ], [ 'x-e', $evil ] ], '')), http_scope(
        method => $evil, path => $evil, raw_path => '/', query_string => $evil, scheme => $evil, add_headers => [ [ 'x-h', $evil ] ]))->body;
    like($page, qr{<th>$_</th><td>\Q$safe\E</td>}, $_) for qw(Method Path Query Scheme x-h x-e);
    unlike($page, qr/<script/, 'nowhere else');
    my $wide = drive($mw->wrap(respond_app(200, [ [ 'content-type', 'text/html' ] ], "caf\xc3\xa9")), http_scope(path => "/\x{263a}\x{e9}", raw_path => '/', query_string => undef))->body;
    like($wide, qr{\Acaf\xc3\xa9.*<td>/&#9786;&#233;</td>}s, 'characters as numbers, the page stays bytes');
    like($wide, qr{<th>Query</th><td></td>}, 'undef is empty');
};

subtest 'Lint' => sub {
    my @said;
    my $lint = sub ($inner, $scope = http_scope(), %config) {
        @said = ();
        return drive(PAGI::Middleware::Lint->new(on_warning => sub { push @said, @_ }, %config)->wrap($inner), $scope);
    };
    my $sends = sub (@events) { return async sub ($scope, $receive, $send) { while (my $event = shift @events) { eval { await $send->($event); 1 } } } };
    my $start = { type => 'http.response.start', status => 200, headers => [] };
    my $end = { type => 'http.response.body', body => '' };

    $lint->(hello_app());
    is(\@said, [], 'a valid response is silent');
    $lint->($sends->($start, { %$end, more => 1 }, { type => 'http.response.body', fh => \*STDIN, more => 1 }));
    is(\@said, [], 'fh is final');

    my $missing_end = qr/^HTTP app completed without sending final http\.response\.body \(more=0\)/;
    my $missing_start = qr/^HTTP app completed without sending http\.response\.start.*await.*->retain/;
    my @cases = (
        [ 'no start', $sends->(), $missing_start ],
        [ 'no end', $sends->($start), $missing_end ],
        [ 'body first', $sends->($end, $start, $end), 'http.response.body sent before http.response.start', 'http.response.body sent after response finished (more=0)' ],
        [ 'after the end', $sends->($start, $end, $end), 'http.response.body sent after response finished (more=0)' ],
        [ 'two starts', $sends->($start, $start, $end), 'http.response.start sent multiple times' ],
        [ 'no status', $sends->({ %$start, status => undef }, $end), "http.response.start missing 'status' key" ],
        [ 'odd status', $sends->({ %$start, status => '2000' }, $end), "http.response.start status must be 3-digit code, got '2000'" ],
        [ 'headers a hash', $sends->({ %$start, headers => {} }, $end), 'response headers must be arrayref' ],
        [ 'header a string', $sends->({ %$start, headers => ['a'] }, $end), 'response header must be [name, value] pair' ],
        [ 'header a triple', $sends->({ %$start, headers => [ [ 1, 2, 3 ] ] }, $end), 'response header must be [name, value] pair' ],
        [ 'array event', $sends->([], $start, $end), 'event must be hashref, got ARRAY' ],
        [ 'string event', $sends->('x', $start, $end), 'event must be hashref, got SCALAR' ],
        [ 'no type', $sends->({ status => 1 }, $start, $end), "event missing required 'type' key" ],
        [ 'accept', $sends->({ type => 'websocket.accept' }, $start, $end), 'websocket.accept sent for non-websocket scope' ],
        [ 'sse', $sends->({ type => 'sse.start' }, $start, $end), 'sse.start sent for non-sse scope' ],
    );
    for my $case (@cases) {
        my ($name, $inner, @messages) = @$case;
        is(warns { $lint->($inner) }, 0, "$name: no Perl warnings");
        is(\@said, [ map { ref ? match $_ : $_ } @messages ], $name);
    }

    my @scopes = (
        [ {}, "scope missing required 'type' key" ],
        [ { type => 'http', headers => [] }, map { "HTTP scope missing required '$_' key" } qw(method path scheme) ],
        [ http_scope(headers => {}), 'scope headers must be arrayref, got HASH' ],
        [ http_scope(headers => [ [ 'a' ] ]), 'scope header must be [name, value] pair' ],
        [ http_scope(headers => [ [ 'Host', 'x' ], [ 'ok', 'x' ] ]), "header name should be lowercase: 'Host'" ],
        [ { type => 'lifespan' } ], [ ws_scope() ], [ sse_scope() ],
    );
    for my $case (@scopes) {
        my ($scope, @messages) = @$case;
        @said = ();
        my $mw = PAGI::Middleware::Lint->new(on_warning => sub { push @said, @_ });
        $mw->wrap(sub { Future->done })->($scope, sub { }, sub { })->get;
        is([ grep { !/^HTTP app/ } @said ], \@messages, ($scope->{type} // 'no type') . ': ' . (join ', ', @messages) || 'fine');
    }

    like($lint->($sends->(), http_scope(), strict => 1)->error, qr/^PAGI Lint Error: HTTP app completed/, 'strict dies');
    is(\@said, [], 'and does not warn');
    like(warning { drive(PAGI::Middleware::Lint->new->wrap($sends->()), http_scope()) }, qr/^PAGI Lint Warning: HTTP app completed/, 'the default warns');
    is(warns { drive(PAGI::Middleware::Lint->new(enabled => 0)->wrap($sends->()), http_scope()) }, 0, 'disabled');

    my $die_after = sub ($error, @events) { return async sub ($scope, $receive, $send) { while (my $event = shift @events) { await $send->($event) } die $error } };
    is($lint->($die_after->("boom\n"))->error, "boom\n(Lint note: app exited without sending http.response.start)\n", 'note: no start');
    is(\@said, [], 'completion is not checked then');
    is($lint->($die_after->("boom\n", $start))->error, "boom\n(Lint note: app exited without sending final http.response.body)\n", 'note: no end');
    is($lint->($die_after->("boom\n", $start, $end))->error, "boom\n", 'no note after a complete response');
    is($lint->($die_after->("boom\n"), ws_scope())->error, "boom\n", 'nor on other scopes');
    my $object = bless {}, 'My::Error';
    ref_is($lint->($die_after->($object))->error, $object, 'objects are rethrown unchanged');
};

subtest 'Maintenance' => sub {
    my $run = sub ($config, %over) { drive(PAGI::Middleware::Maintenance->new(enabled => 1, %$config)->wrap(hello_app()), http_scope(%over)) };
    my $page = $run->({});
    is([ $page->status, $page->header('Content-Type'), $page->header('Content-Length'), $page->header('Retry-After') ], [ 503, 'text/html', length $page->body, undef ], '503');
    like($page->body, qr{<title>Maintenance</title>.*<h1>Under Maintenance</h1>}s, 'page');
    my $own = $run->({ body => "caf\x{e9} \x{263a}", content_type => 'text/plain; charset=utf-8', retry_after => 60 });
    is([ $own->headers ], [ [ 'Content-Type', 'text/plain; charset=utf-8' ], [ 'Content-Length', 9 ], [ 'Retry-After', 60 ] ], 'own page, length in bytes');

    is($run->({ enabled => $_ })->status, 200, 'disabled') for 0, undef, sub { 0 };
    my $on = 0;
    is([ map { $on = $_; $run->({ enabled => sub { is([@_], [], 'no arguments'); $on } })->status } 0, 1 ], [ 200, 503 ], 'a coderef per request');
    my $ips = { bypass_ips => [ '192.0.2.7', '10.0.0.0/8' ] };
    my %status = ('192.0.2.7' => 200, '10.9.9.9' => 200, '192.0.2.8' => 503);
    is($run->($ips, client => [ $_, 1 ])->status, $status{$_}, "$_ $status{$_}") for sort keys %status;
    is($run->($ips, client => undef)->status, 503, 'no address');
    my $paths = { bypass_paths => [ '/health', qr{^/admin/} ] };
    %status = ('/health' => 200, '/healthz' => 503, '/admin/x' => 200, '/' => 503);
    is($run->($paths, path => $_)->status, $status{$_}, "$_ $status{$_}") for sort keys %status;

    my $proxied = builder { enable 'ReverseProxy'; enable 'Maintenance', enabled => 1, bypass_ips => ['192.0.2.7']; hello_app() };
    my $via = sub ($forwarded) { drive($proxied, http_scope(add_headers => [ [ 'x-forwarded-for', $forwarded ] ]))->status };
    is([ map { $via->($_) } '192.0.2.7', '192.0.2.7, 203.0.113.9' ], [ 200, 503 ], 'a forged address does not open the door');
    is(drive(PAGI::Middleware::Maintenance->new(enabled => 1)->wrap(hello_app()), sse_scope())->types->[0], 'sse.http.response.start', 'event streams too');
};

done_testing;
