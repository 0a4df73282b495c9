use v5.36;
use utf8;
use lib 't/lib';
use Test2::V0;
use File::Temp ();
use Future::AsyncAwait;
use JSON::MaybeXS qw(decode_json);
use PAGI::Test::Client;
use TestApps::Component;

# Answers with what it got, as JSON.
my $mirror = async sub ($scope, $receive, $send) {
    my $event = await $receive->();
    my $after = await $receive->();
    await $send->({ type => 'http.response.start', status => 200, headers => [['content-type', 'application/json']] });
    my %seen = map { $_ => $scope->{$_} } qw(method path query_string scheme http_version root_path headers client server pagi type);
    await $send->({
        type => 'http.response.body',
        body => JSON::MaybeXS->new(utf8 => 1)->encode({ %seen, body => $event->{body}, more => $event->{more}, after => $after->{type} }),
    });
};

sub answering (@events) {
    return async sub ($scope, $receive, $send) {
        for my $event (@events) { await $send->($event) }
    };
}
my $start = { type => 'http.response.start', status => 200, headers => [] };

my $client = PAGI::Test::Client->new(app => $mirror);
like dies { PAGI::Test::Client->new }, qr/app is required at .*http\.t/, 'app is required';

subtest 'the scope' => sub {
    my $seen = $client->get('/a%20b/é')->json;
    like $seen, {
        type => 'http', method => 'GET', path => '/a%20b/é', query_string => '', scheme => 'http', http_version => '1.1',
        root_path => '', client => ['127.0.0.1', 12345], server => ['testserver', 80], headers => [['host', 'testserver']],
        pagi => { version => '0.2', spec_version => '0.2' }, body => '', more => 0, after => 'http.disconnect',
    }, 'as documented, the path untouched';
    is $client->get->json->{path}, '/', 'the default path';
    is $client->$_('/x')->json->{method}, uc, "method $_" for qw(post put patch delete options);
};

subtest 'query' => sub {
    is $client->get('/x?a=1')->json->{query_string}, 'a=1', 'from the path';
    is $client->get('/x?a=1?b', query => { z => 26, b => 'c d' })->json->{query_string}, 'a=1?b&b=c%20d&z=26', 'appended, sorted';
    is $client->get('/x', query => [[z => 1], [a => '~/?&=+']])->json->{query_string}, 'z=1&a=%7E%2F%3F%26%3D%2B', 'in order, escaped';
    is $client->get('/x', query => { 'ä' => "\x{263a}\x{e9}" })->json->{query_string}, '%C3%A4=%E2%98%BA%C3%A9', 'characters as UTF-8';
};

subtest 'bodies' => sub {
    my $seen = $client->post('/', json => { b => "\x{263a}", a => 1 })->json;
    is decode_json($seen->{body} =~ s/([^\x00-\xff])//gr), { a => 1, b => "\x{263a}" }, 'json';
    my %headers = map { @$_ } @{ $seen->{headers} };
    is \%headers, { host => 'testserver', 'content-type' => 'application/json', 'content-length' => 17 }, 'its headers';

    $seen = $client->post('/', form => { q => 'x y', tag => ['a', 'b'] })->json;
    is $seen->{body}, 'q=x%20y&tag=a&tag=b', 'form';
    is {map { @$_ } @{ $seen->{headers} }}->{'content-type'}, 'application/x-www-form-urlencoded', 'its type';

    $seen = $client->put('/', body => 'raw', headers => { 'Content-Type' => 'text/x' })->json;
    is $seen->{body}, 'raw', 'body';
    is $seen->{headers}, [['host', 'testserver'], ['content-type', 'text/x'], ['content-length', 3]], 'its length is added';
    $seen = $client->put('/', body => 'raw', headers => { 'CONTENT-LENGTH' => 99 })->json;
    is $seen->{headers}, [['host', 'testserver'], ['content-length', 99]], 'unless the test gives one';

    is $client->post('/', json => 1, form => {}, body => 'x')->json->{body}, '1', 'json goes first';
    is $client->post('/', form => { f => 1 }, body => 'x')->json->{body}, 'f=1', 'then form';

    # Whatever the spelling and shape, one Content-Type.
    for my $headers ({ 'content-TYPE' => 'a/b' }, [['Content-type', 'a/b']]) {
        $seen = $client->post('/', json => {}, headers => $headers)->json;
        is [grep { $_->[0] eq 'content-type' } @{ $seen->{headers} }], [['content-type', 'a/b']], 'a type of the test is kept, once';
    }
    my $headers = { accept => 'x' };
    my $pairs = [['accept', 'x']];
    $client->post('/', json => {}, headers => $_) for $headers, $pairs;
    is [$headers, $pairs], [{ accept => 'x' }, [['accept', 'x']]], 'what the caller passed in is not changed';
};

subtest 'responses' => sub {
    my $get = sub ($method, @events) { return PAGI::Test::Client->new(app => answering(@events))->$method('/') };
    my $body = sub (%more) { return { type => 'http.response.body', %more } };

    my $r = $get->('get', { %$start, status => 201, headers => [['X-A', 1]] }, $body->(body => 'a', more => 1), $body->(body => 'b'));
    is [$r->status, $r->header('x-a'), $r->content], [201, 1, 'ab'], 'body events are joined';
    $r = $get->('get', $start, { %$start, status => 500 }, $body->(body => 'x'));
    is $r->status, 200, 'a second start is ignored';
    $r = $get->('get', $start, $body->(body => 'x'), $body->(body => 'y'));
    is $r->content, 'x', 'a body after the last one is ignored';
    $r = $get->('get', $body->(body => 'early', more => 1), $start, $body->(body => 'x'));
    is $r->content, 'x', 'so is one before the start';
    $r = $get->('get', { type => 'http.response.start' }, $body->());
    is [$r->status, $r->content], [200, ''], 'status 200 by default, no body needed';
    $r = $get->('get', { %$start, status => 204 }, $body->(body => ''));
    is [$r->status, $r->content], [204, ''], '204';
    $r = $get->('head', { %$start, headers => [['content-length', 5]] }, $body->(body => 'abcde'));
    is [$r->content, $r->content_length], ['', 5], 'HEAD: headers, no body';
};

subtest 'files' => sub {
    my $file = File::Temp->new;
    print {$file} join '', 'a' .. 'z';
    close $file;
    my $get = sub (%body) {
        return PAGI::Test::Client->new(app => answering($start, { type => 'http.response.body', %body }))->get('/')->content;
    };
    my $open = sub { open my $fh, '<:raw', "$file" or die; return $fh };

    is $get->(file => "$file"), join('', 'a' .. 'z'), 'file';
    is $get->(file => "$file", offset => 20), 'uvwxyz', 'from an offset';
    is $get->(file => "$file", offset => 2, length => 3), 'cde', 'a range';
    is $get->(file => "$file", length => 99), join('', 'a' .. 'z'), 'a length beyond the end';
    is $get->(file => "$file", length => 0), '', 'length 0';
    is $get->(fh => $open->()), join('', 'a' .. 'z'), 'handle';
    is $get->(fh => $open->(), offset => 23, length => 2), 'xy', 'a range of a handle';
    my $moved = $open->();
    seek $moved, 24, 0;
    is $get->(fh => $moved), 'yz', 'a handle is read from where it stands';

    # Read while it is sent: what the app does to the file afterwards does not matter.
    my $doomed = File::Temp->new;
    print {$doomed} 'x' x 200_000;
    close $doomed;
    my $app = async sub ($scope, $receive, $send) {
        await $send->($start);
        open my $fh, '<:raw', "$doomed" or die;
        await $send->({ type => 'http.response.body', fh => $fh });
        close $fh;
        unlink "$doomed";
    };
    is length PAGI::Test::Client->new(app => $app)->get('/')->content, 200_000, 'a large file, closed and deleted afterwards';

    my $missing = PAGI::Test::Client->new(app => answering($start, { type => 'http.response.body', file => '/no/such/file' }))->get('/');
    is $missing->status, 500, 'a missing file fails the send';
    like $missing->exception, qr{\ACannot open /no/such/file: }, 'with a reason';
    my $relative = PAGI::Test::Client->new(app => answering($start, { type => 'http.response.body', file => 'Makefile' }))->get('/');
    is $relative->exception, "http.response.body 'file' must be an absolute path, got 'Makefile'\n", 'so does a relative path, as on the server';
    my $head = PAGI::Test::Client->new(app => answering($start, { type => 'http.response.body', file => '/no/such/file' }))->head('/');
    is $head->status, 200, 'HEAD does not open it';
};

subtest 'cookies' => sub {
    my $app = async sub ($scope, $receive, $send) {
        my @cookies = map { $_->[1] } grep { $_->[0] eq 'cookie' } @{ $scope->{headers} };
        my @set = $scope->{path} eq '/login' ? (['Set-Cookie', 'sid=abc; Path=/; HttpOnly'], ['set-cookie', 'theme=dark'])
            : $scope->{path} eq '/logout' ? (['set-cookie', 'sid=; Max-Age=0'])
            : ();
        die 'died' if $scope->{path} eq '/die';
        await $send->({ type => 'http.response.start', status => 200, headers => \@set });
        await $send->({ type => 'http.response.body', body => join '|', @cookies });
    };
    my $client = PAGI::Test::Client->new(app => $app);
    is $client->get('/')->content, '', 'none at first';
    $client->get('/login');
    is $client->cookies, { sid => 'abc', theme => 'dark' }, 'kept without attributes';
    is $client->cookie('sid'), 'abc', 'one of them';
    is $client->get('/')->content, 'sid=abc; theme=dark', 'sent in one line, sorted';
    is $client->get('/', headers => { Cookie => 'own=1' })->content, 'own=1; sid=abc; theme=dark', 'together with one of the request';
    $client->get('/logout');
    is $client->cookie('sid'), '', 'a deleted cookie stays, empty';
    ref_is $client->set_cookie(manual => 1), $client, 'set_cookie chains';
    like $client->get('/')->content, qr/manual=1/, 'and is sent';
    ref_is $client->clear_cookies, $client, 'clear_cookies chains';
    is $client->get('/')->content, '', 'all gone';
};

subtest 'app coercion' => sub {
    is(PAGI::Test::Client->new(app => TestApps::Component->new(body => 'object'))->get('/')->content, 'object', 'component object');
    is(PAGI::Test::Client->new(app => 'TestApps::Component')->get('/')->content, 'component', 'class name');
    like dies { PAGI::Test::Client->new(app => {}) }, qr/Cannot coerce HASH reference to a PAGI app/, 'other things are refused';
};

done_testing;
