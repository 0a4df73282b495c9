use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# Hooks, middleware, groups, mounts, handlers, static files and the access log.

each_backend('t/simple/apps/pipeline.pl', sub ($client, $backend) {
    local $SIG{__WARN__} = sub { };
    my $trace = sub { [ split /\n/, $client->get('/trace')->content ] };
    $client->get('/lines');

    my $r = $client->get('/plain');
    is [ $r->text, $r->header('x-hook') ], [ 'ok', 1 ], 'a before hook sets a header';
    ok $r->header('x-outer-id'), 'PAGI middleware around the application';
    is $trace->(), [ 'before 1', 'before 2', 'a>', 'b>', 'handler', '<b', '<a', 'after 200 2' ], 'the order of everything';
    is [ map { $_->status, $_->text } $client->get('/stopped') ], [ 403, 'stopped' ], 'a before hook answers';
    is $trace->(), [ 'before 1', 'before 2', 'after 403 7' ], 'after hooks run nonetheless';
    is [ map { $_->status, $_->text } $client->get('/pay') ], [ 402, 'Error 402: pay' ], 'abort in a hook';
    is $trace->()->[-1], 'after 402 14', 'after hooks on abort';
    is [ map { $_->status, $_->json } $client->get('/stop') ], [ 401, { stopped => 1 } ], 'middleware answers';
    is $trace->(), [ 'before 1', 'before 2', 'after 401 13' ], 'and the rest does not run';
    $client->get('/replaced');
    is $trace->()->[2], 'future', '$next returns a Future for a plain handler (defect 14)';
    is [ map { $_->status, $_->text } $client->get('/boom') ], [ 503, "caught boom\n" ], 'an exception in middleware, a custom 500';
    $r = $client->get('/inline');
    is [ $r->text, $r->header('x-inline'), defined $r->header('x-inner-id') ], [ 'ann', 1, T ], 'subs and PAGI middleware in a list';

    $client->get('/g1/one');
    is $trace->(), [ 'before 1', 'before 2', 'a>', 'c>', '<c', '<a', 'after 200 3' ], 'group, then route';
    is $client->get('/g1/zoo/two')->text, 'zoo', 'nested groups with captures';

    is $client->get('/g1/todos/')->json, { per_page => 5, app => 'Pipeline', same => 1 }, 'a handler';
    is $client->get('/g1/todos/3')->text, 'todo 3 own', 'a chain with middleware';
    is [ map { $_->status, $_->text } $client->get('/g1/todos/0') ], [ 404, 'no such todo' ], 'a chain stops at the response';
    is $client->get('/g1/todos/bulk/')->text, 'bulk at /g1/todos/bulk/', 'a nested handler, group prefix once (defect 12)';
    is $client->sse('/g1/todos/live')->receive_event($backend eq 'server' ? (timeout => 20) : ())->{data}, 'live', 'SSE of a handler (defect 12)';
    is $client->sse('/g1/todos/bulk/live')->receive_event($backend eq 'server' ? (timeout => 20) : ())->{data}, 'bulk live', 'of a nested one';
    is $client->websocket('/g1/todos/ws')->receive_text($backend eq 'server' ? 5 : 0), 'ws 5', 'WebSocket of a handler';
    is $client->get('/root/')->text, 'bulk at /root/', 'a class by its full name';

    is $client->get('/outer/inner/where')->json, [ '/outer/inner', '/where', ('/outer/inner/where') x 3 ], 'nested mounts (defect 8)';
    is $client->get('/outer/inner')->json, [ '/', '/outer/inner' ], 'the bare prefix';
    is [ map { $_->status, $_->text } $client->get('/outer/nothing') ], [ 404, 'outer 404' ], "the child's 404 is final";
    is $client->get('/raw/x')->content, 'raw /raw /x', 'a raw PAGI application behind middleware';
    is [ map { $_->status, $_->text } $client->get('/broken/where') ], [ 503, "caught boom\n" ], 'an exception in mount middleware (defect 10)';
    is $client->get('/closed/where')->status, 401, 'mount middleware that answers';
    is $client->get('/everything/else')->text, 'rest /everything/else', 'a mount at / gets the rest (defect 11)';

    $r = $client->get('/assets/site.css');
    is [ $r->status, $r->content_type, $r->content ], [ 200, 'text/css', "body { color: red }\n" ], 'a static file';
    is $client->get('/assets/site.css', headers => { 'If-None-Match' => $r->header('etag') })->status, 304, 'its ETag';
    is $client->head('/assets/site.css')->content_length, 20, 'HEAD';
    like $client->get('/assets/')->content, qr/<h1>index/, 'an index file';
    is $client->get('/assets/.hidden')->status, 403, 'hidden files';
    is $client->get('/assets/none')->status, 404, 'a missing file';
    is $client->post('/assets/site.css')->status, 405, 'another method';
    is $client->get('/assets/route')->text, 'a route', 'routes come first';
    like $client->get('/listing/', headers => { Accept => 'application/json' })->text, qr/site\.css/, 'a listing';

    $client->get('/lines');
    $client->get('/skipped');
    $client->get($_) for '/plain?q=1', '/nowhere', '/assets/site.css', '/outer/nothing', '/stop';
    my @lines = map { s/ [0-9.]+s\z//r } split /\n/, $client->get('/lines')->content;
    is \@lines, [ 'GET /plain?q=1 200', 'GET /nowhere 404', 'GET /assets/site.css 200', 'GET /outer/nothing 404', 'GET /stop 401' ],
        'every response is logged (defect 24), what is skipped is not';
});

each_backend('t/simple/apps/pipeline.pl', sub ($client, $backend) {
    local $SIG{__WARN__} = sub { };
    my $r = $client->get('/unknown');
    is [ $r->status, $r->text ], [ 503, "caught Unknown middleware 'nope'" ], 'an unknown name';
}, env => { PIPELINE_UNKNOWN => 1 });

done_testing;
