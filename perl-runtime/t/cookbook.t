use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Temp qw(tempdir);
use Future::IO::Impl::IOAsync;
use MIME::Base64 qw(encode_base64);
use PAGITest::Backends qw(each_backend server_binary);
use Time::HiRes qw(sleep time);

# Every listing of PAGI::Tools::Cookbook and PAGI::Tools::Tutorial works: the text after "=for pagi-recipe NAME".

my %listing;
for my $page (qw(Cookbook Tutorial)) {
    open my $file, '<:encoding(UTF-8)', "lib/PAGI/Tools/$page.pod" or die "Cannot read the $page: $!";
    my $name;
    while (my $line = readline $file) {
        if ($line =~ /\A=for pagi-recipe (\S+)/) { $name = $1; die "Two recipes are called $name" if defined $listing{$name}; $listing{$name} = '' }
        elsif ($line =~ /\A(?:=|\S)/)            { undef $name }
        elsif (defined $name)                    { $listing{$name} .= $line =~ s/\A {4}//r }
    }
}
my $directory = tempdir(CLEANUP => 1);

sub file ($name) {
    my $code = delete $listing{$name} // die "There is no recipe $name";
    my $path = "$directory/$name.pl";
    open my $out, '>:encoding(UTF-8)', $path or die "Cannot write $path: $!";
    print $out $code;
    close $out or die "Cannot write $path: $!";
    return $path;
}

sub recipe ($name, $test, %options) {
    each_backend(file($name), sub ($client, $backend) { $test->($client, $backend eq 'server' ? 20 : undef) }, %options);
    return;
}

sub told ($response) { return [ $response->status, $response->text ] }

sub events ($stream, $count) { return [ map { my $event = $stream->receive_event(timeout => 20); [ $event->{event} // 'message', $event->{data} ] } 1 .. $count ] }

recipe(parameters => sub ($client, $wait) {
    is $client->get('/users/7')->json, { id => 7 }, 'parameters: a number';
    is [ $client->get('/users/x')->status, $client->post('/users/7')->status ], [ 404, 405 ], 'no number, no such method';
    is $client->get('/files/a/b.txt')->text, 'a/b.txt', 'wildcards';
    is $client->get('/')->location, '/users/1?tab=mail', 'names';
});

recipe(kinds => sub ($client, $wait) {
    is $client->get('/live')->text, '<h1>Live</h1>', 'kinds: a page';
    my $ws = $client->websocket('/live');
    $ws->send_text('x');
    is $ws->receive_text($wait), 'X', 'a WebSocket';
    $ws->close;
    is events($client->sse('/live'), 1), [ [ hello => '{"kind":"sse"}' ] ], 'a stream';
});

recipe(groups => sub ($client, $wait) {
    is told($client->get('/members/home')), [ 403, "Members only\n" ], 'groups: refused';
    is $client->get('/members/home', headers => { 'X-Member' => 'Ann' })->text, 'Hello, Ann', 'let in';
    is $client->get('/members/admin/report', headers => { 'X-Member' => 'Ann' })->text, '/members/admin + /report for Ann', 'a router in it';
    is $client->get('/members/admin/report')->status, 403, 'guarded too';
});

recipe(classes => sub ($client, $wait) {
    is $client->get('/')->text, '<h1>Notes</h1>', 'classes: home';
    is $client->post('/api/notes', form => { text => 'x' })->status, 415, 'middleware by name';
    is [ map { $_->status, $_->json } $client->post('/api/notes', json => { text => 'x' }) ], [ 201, { count => 2 } ], 'the resource';
    is $client->get('/api/notes')->json, [qw(first x)], 'is shared by requests';
}, lifespan => 1);

recipe(sessions => sub ($client, $wait) {
    is $client->get('/')->text, 'Hello, stranger', 'sessions: nobody';
    my $before = $client->cookie('pagi_session');
    is $client->post('/login', form => { user => 'Ann' })->location, '/', 'login';
    isnt $client->cookie('pagi_session'), $before, 'a new id';
    is $client->get('/')->text, 'Hello, Ann', 'known';
    $client->get('/logout');
    is $client->get('/')->text, 'Hello, stranger', 'forgotten';
});

recipe(basic => sub ($client, $wait) {
    is $client->get('/')->text, 'Hello, everybody', 'basic: open';
    is $client->get('/admin')->status, 401, 'closed';
    my $auth = 'Basic ' . encode_base64('admin:only for trying out', '');
    is $client->get('/admin', headers => { Authorization => $auth })->text, 'Hello, admin', 'with the password';
});

recipe(bearer => sub ($client, $wait) {
    is $client->get('/')->status, 401, 'bearer: nobody';
    is $client->get('/', headers => { Authorization => 'Bearer other' })->status, 401, 'a wrong token';
    is $client->get('/', headers => { Authorization => 'Bearer a-token' })->json, { you => 'jane' }, 'the token';
});

recipe(chat => sub ($client, $wait) {
    my $ann = $client->websocket('/rooms/red');
    is $ann->receive_text($wait), 'somebody came', 'chat: herself';
    my $other = $client->websocket('/rooms/blue');
    my $bob = $client->websocket('/rooms/red');
    is [ map { $_->receive_text($wait) } $ann, $bob, $other ], [ ('somebody came') x 3 ], 'members';
    $bob->send_text('hi');
    is [ map { $_->receive_text($wait) } $ann, $bob ], [ ('hi') x 2 ], 'heard';
    $bob->close;
    is $ann->receive_text($wait), 'somebody left', 'and gone';
    $_->close for $ann, $other;
});

recipe(stream => sub ($client, $wait) {
    is events($client->sse('/'), 5), [ [ hello => '{"from":1}' ], (map { [ progress => qq({"step":$_}) ] } 1 .. 3), [ done => 'all three' ] ], 'stream: from the beginning';
    is events($client->sse('/', headers => { 'Last-Event-ID' => 2 }), 3), [ [ hello => '{"from":3}' ], [ progress => '{"step":3}' ], [ done => 'all three' ] ], 'from where it was';
});

recipe(decline => sub ($client, $wait) {
    my $ask = sub ($path, %headers) { $client->sse($path, headers => \%headers, decline_ok => 1)->response };
    is told($ask->('/other')), [ 404, "No such stream\n" ], 'decline: 404';
    is told($ask->('/jobs')), [ 401, "Who are you?\n" ], '401';
    is told($ask->('/jobs', Authorization => 'x', 'Last-Event-ID' => 1)), [ 204, '' ], '204';
    is events($client->sse('/jobs', headers => { Authorization => 'x' }), 1), [ [ message => 'welcome' ] ], 'and the stream';
});

recipe(background => sub ($client, $wait) {
    is told($client->get('/?to=ann')), [ 202, "A mail will follow\n" ], 'background: answered';
    my ($sent, $end) = ([], time + 30);
    until (@$sent || time > $end) { Future::IO->sleep(0.02)->get; $sent = $client->get('/sent')->json }
    is $sent, ['ann'], 'and done';
});

recipe(uploads => sub ($client, $wait) {
    my $part = sub ($filename, $content) {
        my $body = join "\r\n", '--b', 'Content-Disposition: form-data; name="title"', '', 'Me', '--b',
            qq(Content-Disposition: form-data; name="photo"; filename="$filename"), 'Content-Type: image/png', '', $content, '--b--', '';
        $client->post('/', body => $body, headers => { 'Content-Type' => 'multipart/form-data; boundary=b' });
    };
    is $part->('x/me.png', 'abc')->json, { title => 'Me', photo => { name => 'me.png', size => 3 } }, 'uploads: a file';
    is $part->('', '')->json, { title => 'Me', photo => undef }, 'none chosen';
    is $part->('me.png', 'x' x 1_100_000)->status, 400, 'too large';
});

recipe(values => sub ($client, $wait) {
    like [ $client->get('/')->header('set-cookie') ], [ qr/\Aseen=1/ ], 'values: a cookie';
    is [ map { [ $_->status, $_->header('cache-control'), $_->text ] } map { $client->get($_) } qw(/old /older /old) ],
        [ ([ 410, 'max-age=3600', "It was here once\n" ]) x 3 ], 'sent again and again';
});

recipe(hello => sub ($client, $wait) { is told($client->get('/x')), [ 200, "Hello from /x\n" ], 'hello' });
recipe(response => sub ($client, $wait) { is told($client->get('/x')), [ 200, "Hello from /x\n" ], 'response' });
recipe(together => sub ($client, $wait) { is $client->get('/')->json, [ 'Ann is fine', 'Bob is fine' ], 'together' });

recipe(routing => sub ($client, $wait) {
    is $client->get('/')->text, '<h1>Home</h1>', 'routing: home';
    is $client->get('/hello/Ann')->text, 'Hello, Ann', 'a parameter';
    is [ $client->get('/nowhere')->status, $client->post('/')->status ], [ 404, 405 ], 'errors';
});

recipe(requests => sub ($client, $wait) {
    is $client->get('/search?q=z')->text, 'You look for z', 'requests: a query';
    is $client->post('/notes', json => { text => 'x' })->json, { saved => 'x' }, 'JSON';
    is $client->post('/notes', form => { text => 'y' })->json, { saved => 'y' }, 'a form';
    is $client->post('/notes', body => '{', headers => { 'Content-Type' => 'application/json' })->status, 400, 'broken';
    is $client->put('/lines', body => "a\n" x 100_000)->json, { lines => 100_000 }, 'a stream';
});

recipe(responses => sub ($client, $wait) {
    is [ map { $_->status, $_->header('x-kind'), $_->text } $client->get('/teapot') ], [ 418, 'pot', "\x{2615}" ], 'responses: changed';
    is [ map { $_->content_type, $_->text } $client->get('/count') ], [ 'text/plain', "1\n2\n3\n" ], 'streamed';
});

recipe(context => sub ($client, $wait) {
    is $client->get('/')->text, 'Try a WebSocket', 'context: a page';
    my $ws = $client->websocket('/');
    $ws->send_json({ a => 1 });
    is $ws->receive_json($wait), { you_said => { a => 1 } }, 'a WebSocket';
    $ws->close;
    is events($client->sse('/'), 1), [ [ hello => 'first' ] ], 'a stream';
});

recipe(dispatcher => sub ($client, $wait) {
    my $ws = $client->websocket('/');
    my @answers = map { $ws->send_text('x'); $ws->receive_text($wait) } 1, 2;
    is \@answers, [ 'message 1', 'message 2' ], 'dispatcher';
    $ws->close;
});

recipe(middleware => sub ($client, $wait) {
    my $answer = $client->get('/a');
    is [ $answer->text, $answer->header('x-shout') ], [ 'at /a', 'hey?' ], 'middleware: one of our own';
    ok $answer->header('x-request-id'), 'one by name';
    is $client->get('/private')->status, 401, 'one for a part';
});

my $files = tempdir(CLEANUP => 1);
open my $manual, '>', "$files/manual.txt" or die $!;
print $manual 'read me';
close $manual or die $!;
recipe(sendfile => sub ($client, $wait) {
    is $client->get('/')->status, 403, 'sendfile: no';
    is [ map { $_->header('x-accel-redirect'), $_->text } $client->get('/?key=1') ], [ '/protected/manual.txt', '' ], 'the proxy sends it';
}, env => { FILES => $files });

recipe(composed => sub ($client, $wait) {
    is [ map { $client->get($_)->text } qw(/manual.txt /other /psgi/x) ], [ 'read me', 'the application: /other', 'PSGI: /x' ], 'composed: a file, the application, PSGI';
    is $client->get('/health')->json->{version}, '1.0', 'health';
    is $client->get('/old')->location, '/', 'moved';
}, env => { FILES => $files });

my $program = file('testing');
my $output = qx($^X -Ilib $program 2>&1);
is $?, 0, 'testing: the program succeeds' or diag $output;
like $output, qr/^ok 1 - it answers$/m, 'and tests something';

# the options in the text
open my $page, '<', 'lib/PAGI/Tools/Cookbook.pod' or die $!;
my %named = map { $_ => 1 } map { /(--[a-z][a-z-]+)/g } grep { /\A +pagi-server / } readline $page;
ok keys %named > 7, 'options in the command lines';
if (my $binary = server_binary()) {
    my $help = qx($binary --help);
    is [ grep { $help !~ /\Q$_\E\b/ } sort keys %named ], [], 'all of which the server has';
}

is [ sort keys %listing ], [], 'every listing was tried';

done_testing;
