use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# Every example under examples/simple, in-process and through the server.

my $examples = '../examples/simple';

sub multipart (@parts) {
    return (headers => { 'Content-Type' => 'multipart/form-data; boundary=xyz' },
        body => join('', map { "--xyz\r\nContent-Disposition: form-data; $_->[0]\r\n\r\n$_->[1]\r\n" } @parts) . "--xyz--\r\n");
}

sub example ($name, $test) {
    subtest $name => sub {
        local $ENV{PAGI_ENV} = 'test';
        each_backend("$examples/$name/app.pl", sub ($client, $backend) { $test->($client, $backend eq 'server' ? 5 : undef) });
    };
    return;
}

example hello => sub ($client, $wait) {
    like $client->get('/')->text, qr/Hello, World!/, 'the page';
    is $client->get('/hello/' . ($wait ? 'J%C3%BCrgen' : "J\x{fc}rgen"))->text, "Hello, J\x{fc}rgen!", 'a capture';
    is $client->post('/api/echo', json => { a => [1] })->json, { you_sent => { a => [1] } }, 'JSON in a plain handler';
    is $client->get('/search?q=perl')->text, 'Looking for perl', 'an async handler';
    is $client->get('/old')->location, '/hello/again', 'a named redirect';
    my $missing = $client->get('/nowhere');
    is [ $missing->status, $missing->json ], [ 404, { error => 'not found', path => '/nowhere' } ], 'its own 404';
};

example chat => sub ($client, $wait) {
    like $client->get('/')->text, qr/new WebSocket/, 'the page';
    my ($ann, $bob, $eve) = map { $client->websocket("/ws/$_") } qw(red red blue);
    is [ map { $_->receive_json($wait) } $ann, $bob, $eve ], [ map { +{ type => 'hello', room => $_ } } qw(red red blue) ], 'greeted';
    $ann->send_text('/name Ann');
    is $_->receive_json($wait), { type => 'note', text => 'Ann is here' }, 'a name' for $ann, $bob;
    $ann->send_text($_) for '', "hi \x{263a}";
    is $bob->receive_json($wait), { type => 'say', from => 'Ann', text => "hi \x{263a}" }, 'a message, empty ones ignored';
    $ann->close;
    is $bob->receive_json($wait), { type => 'note', text => 'Ann left' }, 'a farewell';
    $eve->send_text('alone');
    is $eve->receive_json($wait)->{text}, 'alone', 'the other room is another room';
};

example dashboard => sub ($client, $wait) {
    my @wait = $wait ? (timeout => $wait) : ();
    like $client->get('/')->text, qr/EventSource/, 'the page';
    my $sse = $client->sse('/events');
    is $sse->receive_event(@wait)->{event}, 'snapshot', 'what is known';
    is $client->post('/metrics', json => { name => 'cpu', value => 42 })->json, { told => 1 }, 'a number';
    is $sse->receive_json(@wait), { name => 'cpu', value => 42 }, 'pushed';
    is $client->post('/metrics', json => { name => 'cpu' })->status, 422, 'checked';
    is $client->get('/metrics')->json->{cpu}, 42, 'kept';
};

example todo => sub ($client, $wait) {
    my %htmx = (headers => { 'HX-Request' => 'true' });
    like $client->get('/')->text, qr{<title>Todos</title>.*htmx\.min\.js.*hx-post="/todos"}s, 'the page';
    my $sse = $client->sse('/live');
    my $item = $client->post('/todos', %htmx, form => { title => 'buy <tea>' })->text;
    like $item, qr{\A<li id="todo-1" class="todo">.*buy &lt;tea&gt;}s, 'a new item, as a piece of HTML';
    is $sse->receive_event($wait ? (timeout => $wait) : ())->{event}, 'todos', 'others are told';
    like $client->post('/todos/1/toggle', %htmx)->text, qr{class="todo done".*\bchecked\b}s, 'done';
    like $client->get('/list')->text, qr{\A<ul id="list"><li id="todo-1"}, 'the list';
    is $client->post('/todos', %htmx, form => { title => '' })->status, 400, 'a title is required';
    is $client->post('/todos/9/toggle')->status, 404, 'no such todo';
    is $client->post('/todos/1/toggle')->location, '/', 'a form without htmx';
    is $client->delete('/todos/1', %htmx)->status, 200, 'deleted';
    unlike $client->get('/')->text, qr/todo-1/, 'gone';
};

example uploads => sub ($client, $wait) {
    like $client->get('/')->text, qr{enctype="multipart/form-data"}, 'the page';
    my $r = $client->post('/upload', multipart([ 'name="files"; filename="../a.txt"', 'hello' ], [ 'name="files"; filename="b.png"', 'png' ], [ 'name="note"', 'n' ]));
    my $stored = $r->json->{stored};
    is [ $r->status, $r->json->{note}, map { [ @$_{qw(was size)} ] } @$stored ], [ 201, 'n', [ 'a.txt', 5 ], [ 'b.png', 3 ] ], 'stored';
    is scalar @{ $client->get('/files')->json }, 2, 'listed';
    my $file = $client->get("/files/$stored->[0]{name}");
    is [ $file->content, $file->content_type ], [ 'hello', 'text/plain; charset=utf-8' ], 'downloaded';
    is $client->get('/files/..%2f..%2fetc')->status, 403, 'nothing else';
    is $client->post('/upload', multipart([ 'name="files"; filename=""', '' ]))->status, 422, 'nothing chosen';
    is $client->put('/raw/big', body => 'x' x 200_000)->json, { bytes => 200_000 }, 'a raw body';
};

example 'rest-api' => sub ($client, $wait) {
    like $client->get('/')->text, qr/Books API/, 'the page';
    my $api = $client->get('/openapi.json')->json;
    is [ $api->{openapi}, sort keys %{ $api->{paths} } ], [ '3.0.3', '/api/books', '/api/books/{id}' ], 'the description';
    my $made = $client->post('/api/books', json => { title => 'Learning Perl', year => 2021 });
    is [ $made->status, $made->location, $made->json ], [ 201, '/api/books/2', { id => 2, title => 'Learning Perl', year => 2021 } ], 'made';
    is scalar @{ $client->get('/api/books?q=learning')->json }, 1, 'searched';
    is $client->put('/api/books/2', json => { title => 'X' })->json->{title}, 'X', 'replaced';
    is [ map { $_->status, $_->json } $client->post('/api/books', json => {}) ], [ 422, { status => 422, error => 'title is required' } ], 'validated';
    is [ map { $_->status, $_->json->{status} } $client->post('/api/books', body => '{') ], [ 400, 400 ], 'bad JSON';
    is [ map { $client->delete("/api/books/$_")->status } 2, 2 ], [ 204, 404 ], 'removed, once';
    is $client->get('/api/books', headers => { Origin => 'https://x.example' })->header('access-control-allow-origin'), '*', 'CORS';
    is $client->patch('/api/books')->json->{status}, 405, 'errors are JSON';
};

example auth => sub ($client, $wait) {
    like $client->get('/')->text, qr/Log in/, 'a stranger';
    is $client->get('/members/secret')->location, '/login?back=%2Fmembers%2Fsecret', 'sent to the login';
    my %form = (user => 'ann', password => 'wrong', back => '/members/secret');
    my $wrong = $client->post('/login', form => {%form});
    is $wrong->status, 401, 'a wrong password';
    like $wrong->text, qr/Wrong name or password/, 'and told so';
    my $right = $client->post('/login', form => { %form, password => 'sesame' });
    is [ $right->status, $right->location ], [ 303, '/members/secret' ], 'the right one, and back';
    like $client->get('/members/secret')->text, qr/Hello, ann/, 'in';
    is $client->post('/login', form => { %form, password => 'sesame', back => '//evil.example' })->location, '/', 'only to our own pages';
    $client->post('/logout');
    is $client->get('/members/secret')->status, 302, 'out';
};

example demo => sub ($client, $wait) {
    my @wait = $wait ? (timeout => $wait) : ();
    require Future::IO::Impl::IOAsync;
    like $client->get('/')->text, qr/Visits in this session: 1/, 'the page';
    my $again = $client->get('/');
    like $again->text, qr/session: 2/, 'a session';
    is $again->header('x-frame-options'), 'SAMEORIGIN', 'PAGI middleware';
    like $client->get('/data', headers => { Accept => 'text/html' })->text, qr{\A<p>Time \d+}, 'negotiated HTML';
    like $client->get('/data', headers => { Accept => 'application/json' })->json, { time => D() }, 'or JSON';
    is $client->get('/countdown')->text, "3\n2\n1\nlift off\n", 'streamed';
    is $client->get('/primes/100')->json, { up_to => 100, primes => 25 }, 'blocking work';
    my $sse = $client->sse('/clock');
    is [ map { $sse->receive_json(@wait)->{tick} } 1 .. 3 ], [ 1, 2, 3 ], 'an event stream';
    my $ws = $client->websocket('/echo');
    $ws->send_text('x');
    is $ws->receive_text($wait), 'echo: x', 'a WebSocket';
    is $client->get('/hello/hello/Ann')->text, 'Hello, Ann!', 'a mounted example';
    is $client->get('/hello/old')->location, '/hello/hello/again', 'whose URLs know where it is';
    is scalar @{ $client->get('/rest-api/api/books')->json }, 1, 'another one';
    like $client->get('/static/htmx/htmx.min.js')->content, qr/htmx/, 'htmx';
};

done_testing;
