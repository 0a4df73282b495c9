use v5.36;
use utf8;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(call_app header http_scope text_of);
use Future;
use Future::AsyncAwait;
use Future::IO;
use Future::IO::Impl::IOAsync;
use IO::Socket::INET;
use JSON::MaybeXS qw(decode_json);
use PAGI::App::Proxy;
use PAGI::App::Proxy::EventStream;
use PAGI::App::Proxy::Frame qw(frame next_frame);
use PAGI::Test::Client;
use PAGI::Test::ConnectionState;
use PAGITest::Backends qw(each_backend);
use PAGITest::Wire;
use Upstream;

my $upstream = Upstream->start;
my $url = 'http://127.0.0.1:' . $upstream->port;

sub proxy (%options) { PAGI::App::Proxy->new(backend => $url, idle_timeout => 5, %options)->to_app }

# The events sent, and the error if it failed.
sub ask ($app, $scope, @events) {
    my ($sent, $future) = call_app($app, $scope, @events);
    my $ok = eval { $future->get; 1 };
    return ($sent, $ok ? undef : "$@");
}
sub brief ($path, %more) { my ($sent) = ask($more{app} // proxy(), http_scope($path, %more)); return "$sent->[0]{status} " . text_of($sent) }

subtest 'request' => sub {
    my $echo = sub ($scope, @events) { my ($sent) = ask(proxy(headers => { 'X-Extra' => 'yes', 'X-Mine' => 'ours' }), $scope, @events); return decode_json(text_of($sent)) };
    my $request = $echo->(http_scope('/a b', raw_path => '/up/a%20b', root_path => '/up', query_string => 'q=%20', scheme => 'https', client => ['192.0.2.7', 99], headers => [
        ['host', 'example.org'], ['accept', '*/*'], ['connection', 'keep-alive, X-Private'], ['keep-alive', '5'], ['x-private', '1'], ['te', 'trailers'], ['upgrade', 'h2c'],
        ['proxy-authorization', 'secret'], ['x-forwarded-for', '198.51.100.1'], ['x-forwarded-proto', 'gopher'], ['x-mine', 'theirs'], ['x-two', 'a'], ['x-two', 'b'], ['expect', '100-continue'],
    ]));
    is [@$request{qw(method target version)}], ['GET', '/a%20b?q=%20', 'HTTP/1.1'], 'request line';
    is $request->{headers}, [
        ['host', '127.0.0.1:' . $upstream->port], ['accept', '*/*'], ['x-two', 'a'], ['x-two', 'b'],
        ['x-forwarded-for', '198.51.100.1, 192.0.2.7'], ['x-forwarded-host', 'example.org'], ['x-forwarded-proto', 'https'], ['x-extra', 'yes'], ['x-mine', 'ours'],
    ], 'headers';
    is $echo->(http_scope("/caf\x{e9}", raw_path => '/other'))->{target}, '/caf%C3%A9', 'a path changed on the way is what counts';
    is $echo->(http_scope('/a%2Fb', raw_path => '/a%252Fb'))->{target}, '/a%252Fb', 'encoded as it was';
    is $echo->(http_scope('/', query_string => "a b\r\nX: y"))->{target}, '/?a%20b%0D%0AX:%20y', 'nothing ends the request line early';

    my $sized = $echo->(http_scope('/', method => 'POST', headers => [['content-length', 5]]), { type => 'http.request', body => 'ab', more => 1 }, { type => 'http.request', body => 'cde' });
    is [$sized->{body}, grep { $_->[0] =~ /length|coding/ } @{ $sized->{headers} }], ['abcde', ['content-length', 5]], 'a body with a length';
    my $chunked = $echo->(http_scope('/', method => 'PUT', headers => [['transfer-encoding', 'chunked']]), (map { +{ type => 'http.request', body => 'x' x 50_000, more => 1 } } 1 .. 30), { type => 'http.request', body => '' });
    is [$chunked->{length}, grep { $_->[0] =~ /length|coding/ } @{ $chunked->{headers} }], [1_500_000, ['transfer-encoding', 'chunked']], 'a body without';
    my $none = $echo->(http_scope('/', method => 'POST'));
    is [grep { $_->[0] =~ /length|coding/ } @{ $none->{headers} }], [['content-length', '0']], 'an empty POST says so';
};

subtest 'response' => sub {
    is brief('/chunked'), '200 hello 123456789', 'chunked coding removed';
    is brief('/old'), '200 until the end', 'HTTP/1.0';
    is brief('/interim'), '200 done', 'interim responses are passed over';
    my ($sent) = ask(proxy(), http_scope('/hop'));
    is [$sent->[0]{headers}, text_of($sent)], [[['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['x-folded', 'one two'], ['content-length', '2']], 'ok'], 'hop-by-hop headers removed, one length';
    ($sent) = ask(proxy(), http_scope('/head', method => 'HEAD'));
    is [header($sent->[0], 'content-length'), text_of($sent), $sent->[-1]{more}], [12_345, '', 0], 'HEAD';
    is [brief('/nothing'), brief('/same')], ['204 ', '304 '], 'statuses without a body';
    ($sent) = ask(proxy(), http_scope('/early', method => 'POST', headers => [['content-length', 10_000_000]]), { type => 'http.request', body => 'x' x 60_000, more => 1 }, sub { Future->new });
    is [$sent->[0]{status}, text_of($sent)], [413, 'too much'], 'an answer before the body is complete';
};

subtest 'connections' => sub {
    my $number = sub ($app, $path) { my ($sent) = ask($app, http_scope($path)); text_of($sent) =~ /(\d+)/ ? $1 : text_of($sent) };
    my $app = proxy();
    my $first = $number->($app, '/number');
    is [map { $number->($app, '/number') } 1 .. 3], [$first, $first, $first], 'kept and used again';
    my $last = $number->($app, '/finish');
    isnt $number->($app, '/number'), $last, 'not after Connection: close';
    $number->($app, '/once');
    Future::IO->sleep(0.05)->get;
    like $number->($app, '/number'), qr/\A\d+\z/, 'one that was closed meanwhile is replaced';
    $app = proxy(keepalive => 0);
    isnt $number->($app, '/number'), $number->($app, '/number'), 'keepalive 0';
    $app = proxy();
    my ($one, $two) = map { (call_app($app, http_scope('/number')))[1] } 1, 2;
    Future->needs_all($one, $two)->get;
    pass 'two at the same time';
};

subtest 'bad backends' => sub {
    for my $case (['garbage', 'no HTTP/1 status line'], ['empty', 'no response'], ['half-head', 'the connection ended in the header'], ['huge-head', 'more than 65536 bytes of header'],
        ['bad-line', 'a malformed header line'], ['bad-length', 'a bad content-length'], ['bad-coding', "transfer-encoding 'gzip'"], ['switch', 'a protocol switch nobody asked for']) {
        my ($path, $why) = @$case;
        my $answer;
        like warning { $answer = brief("/$path") }, qr{\APAGI::App::Proxy: GET /$path: bad response from the backend: \Q$why\E\n\z}, "$path: $why";
        is $answer, '502 Bad Gateway', '502';
    }
    for my $path (qw(short bad-chunk long-chunk)) {
        my ($sent, $error);
        like warning { ($sent, $error) = ask(proxy(), http_scope("/$path")) }, qr/bad response from the backend/, "$path: warned";
        like $error, qr/bad response from the backend: (?:the connection ended in the body|a malformed chunk size|a chunk that is longer than it said)/, 'the request fails';
        is [grep { defined $_->{more} && !$_->{more} } @$sent], [], 'the response is left incomplete';
    }
    my $answer;
    like warning { $answer = brief('/silent', app => proxy(idle_timeout => 0.2)) }, qr/the backend was silent for 0\.2 seconds/, 'silence is warned';
    is $answer, '504 Gateway Timeout', 'and answered';
    my ($sent, $error);
    like warning { ($sent, $error) = ask(proxy(idle_timeout => 0.2), http_scope('/stall')) }, qr/silent/, 'silence in the middle';
    is [text_of($sent), $error =~ /silent/], ['begin', 1], 'cuts the response off';

    my $closed = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
    my $port = $closed->sockport;
    close $closed;
    like warning { $answer = brief('/', app => proxy(backend => "http://127.0.0.1:$port")) }, qr/cannot connect to the backend: .*refused/, 'nobody listens';
    is $answer, '502 Bad Gateway', '502';
    # A backlog that is full: the system answers no further connection.
    my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "Cannot listen: $!";
    my @waiting = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $deaf->sockport, Blocking => 0) } 1 .. 8;
    like warning { $answer = brief('/', app => proxy(backend => 'http://127.0.0.1:' . $deaf->sockport, timeout => 0.3)) }, qr/cannot connect to the backend: no connection within 0\.3 seconds/, 'timeout';
    is $answer, '502 Bad Gateway', '502';
    like warning { $answer = brief('/', app => proxy(backend => 'http://no-such-host.invalid')) }, qr/its name has no address/, 'unknown name';
    is $answer, '502 Bad Gateway', '502';

    like dies { proxy(backend => $_) }, qr/\AThe backend '\Q$_\E' must be/, $_ for 'https://example.org', 'what is this', 'http://';
    like dies { proxy(timeout => 0) }, qr/\APAGI::App::Proxy 'timeout' must be a number of seconds above 0/, 'timeout';
    like dies { proxy(headers => { 'X-A' => "b\r\nX: c" }) }, qr/'X-A' has a name or value that cannot be sent/, 'header';
    like dies { call_app(proxy(), { type => 'lifespan' }) }, qr/\AUnsupported scope type: lifespan/, 'lifespan';
};

subtest 'back-pressure' => sub {
    my (@sent, @pending);
    my $future = proxy()->(http_scope('/big'), sub { Future->done({ type => 'http.request' }) }, sub ($event) { push @sent, length($event->{body} // ''); push @pending, Future->new; $pending[-1] });
    Future::IO->sleep(0.2)->get;
    is scalar @sent, 1, 'nothing is read for a client that does not take the head';
    (shift @pending)->done;
    Future::IO->sleep(0.2)->get;
    is scalar @sent, 2, 'one piece at a time';
    my $sum = sub { my $total = 0; $total += $_ for @sent; $total };
    until ($future->is_ready) { my $next = shift @pending; $next ? $next->done : Future::IO->sleep(0.001)->get }
    is $sum->(), 20_000_000, 'all of it in the end';

    my $received = 0;
    my $connection = PAGI::Test::ConnectionState->new;
    my $upload = proxy()->(http_scope('/sink', method => 'POST', headers => [['content-length', 10**9]], 'pagi.connection' => $connection),
        sub { $received++; Future->done({ type => 'http.request', body => 'x' x 65_536, more => 1 }) }, sub { Future->done });
    Future::IO->sleep(0.3)->get;
    my $taken = $received;
    cmp_ok $taken, '<', 500, "$taken pieces of the request are read for a backend that takes none";
    Future::IO->sleep(0.2)->get;
    cmp_ok $received, '<=', $taken + 1, 'and then no more';
    $connection->_mark_disconnected('client_closed');
    ok $upload->is_ready, 'a client that goes ends it';
};

subtest 'clients that go' => sub {
    my $connection = PAGI::Test::ConnectionState->new;
    my ($sent, $future) = call_app(proxy(), http_scope('/silent', 'pagi.connection' => $connection));
    Future::IO->sleep(0.05)->get;
    $connection->_mark_disconnected('client_closed');
    is [$future->is_done, $sent], [1, []], 'while the backend thinks';
    my $gone = Future->new;
    ($sent, $future) = call_app(proxy(), http_scope('/silent', type => 'sse'), { type => 'sse.request', body => '', more => 0 }, sub {$gone});
    Future::IO->sleep(0.05)->get;
    $gone->done({ type => 'sse.disconnect' });
    is [$future->is_done, $sent], [1, []], 'seen by an event';
    ($sent, $future) = call_app(proxy(), http_scope('/sink', method => 'POST', headers => [['content-length', 5]]), { type => 'http.request', body => 'x', more => 1 }, { type => 'http.disconnect' });
    $future->get;
    is $sent, [], 'in the middle of its request';
};

subtest 'event streams' => sub {
    my ($sent) = ask(proxy(), http_scope('/events', type => 'sse'), { type => 'sse.request', body => '', more => 0 });
    is $sent, [
        { type => 'sse.start', status => 200, headers => [['content-type', 'text/event-stream; charset=utf-8'], ['x-a', 'b']] },
        { type => 'sse.comment', comment => 'hello' },
        { type => 'sse.send', event => 'tick', id => 7, retry => 250, data => "one\ntéo" },
        { type => 'sse.send', id => 8, data => 'crlf' },
    ], 'event by event; an incomplete one is dropped';
    ($sent) = ask(proxy(), http_scope('/old', type => 'sse'), { type => 'sse.request', body => '', more => 0 });
    is [map { $_->{type} } @$sent], ['sse.http.response.start', 'sse.http.response.body', 'sse.http.response.body'], 'another answer declines the stream';
    my $parser = PAGI::App::Proxy::EventStream->new(undef);
    is [$parser->events("data: a\r"), $parser->events("\n\r"), $parser->events("\ndata\n\nid: 1\n\n")], [map { +{ type => 'sse.send', @$_ } } [data => 'a'], [data => ''], [id => 1, data => '']], 'line ends in pieces';
    like dies { $parser->events('x' x 1_100_000) }, qr/longer than 1048576 bytes/, 'limit';
};

subtest 'WebSocket' => sub {
    my $client = PAGI::Test::Client->new(app => proxy(headers => { 'X-Extra' => 'yes' }));
    my $ws = $client->websocket('/ws/chat', subprotocols => ['b', 'a'], headers => { Cookie => 'c=1', Connection => 'Upgrade', 'Sec-WebSocket-Key' => 'theirs' });
    is $ws->subprotocol, 'b', 'subprotocol';
    $ws->send_text("caf\x{e9} \x{3042}");
    is $ws->receive_text(20), "caf\x{e9} \x{3042}", 'text';
    $ws->send_bytes("\x00\xff" x 40_000);
    is $ws->receive_bytes(20), "\x00\xff" x 40_000, 'binary, long';
    $ws->send_text('');
    is $ws->receive_text(20), '', 'empty';
    $ws->send_text('headers');
    my %headers = map { @$_ } @{ $ws->receive_json(20) };
    is [@headers{qw(cookie x-extra upgrade connection sec-websocket-version sec-websocket-protocol)}], ['c=1', 'yes', 'websocket', 'Upgrade', 13, 'b, a'], 'handshake';
    isnt $headers{'sec-websocket-key'}, 'theirs', 'with a key of our own';
    $ws->send_text('fragment');
    is [$ws->receive_text(20), $ws->receive_text(20)], ['fragmented', 'pong ping'], 'fragments joined, pings answered';
    $ws->send_text('bye');
    eval { $ws->receive_text(20) };
    is [$ws->close_code, $ws->close_reason], [4002, "caf\x{e9}"], 'close code and reason';

    for my $case (['vanish', 'ended the WebSocket without closing it'], ['masked', 'a masked frame'], ['no utf8', 'text that is not UTF-8']) {
        my ($word, $why) = @$case;
        $ws = $client->websocket('/ws');
        my $warning = warning { $ws->send_text($word); eval { $ws->receive_text(20) } };
        like $warning, qr{\APAGI::App::Proxy: WebSocket /ws: .*$why}, $why;
        is $ws->close_code, 1014, 'closed';
    }
    $ws = PAGI::Test::Client->new(app => proxy(max_message_size => 1000))->websocket('/ws');
    like warning { $ws->send_text('big'); eval { $ws->receive_bytes(20) } }, qr/a frame of 70000 bytes/, 'limit';
    is $ws->close_code, 1014, 'closed';

    $ws = $client->websocket('/ws/deny', decline_ok => 1);
    is [$ws->response->status, $ws->response->content, $ws->response->header('x-why')], [401, 'who are you?', 'no cookie'], 'a denial comes through';
    like warning { $ws = $client->websocket('/ws/wrong', decline_ok => 1) }, qr/a wrong sec-websocket-accept/, 'a wrong key';
    is $ws->response->status, 502, '502';

    my ($sent, $future) = call_app(proxy(), http_scope('/ws', type => 'websocket', subprotocols => []), { type => 'websocket.connect' }, { type => 'websocket.disconnect', code => 1006 });
    $future->get;
    is [map { $_->{type} } @$sent], ['websocket.accept'], 'a client that vanishes';
    is header($sent->[0], 'set-cookie'), 'ws=1', 'headers of the acceptance';

    my $buffer = "\x81";
    is next_frame(\$buffer, 10), undef, 'an incomplete frame';
    for my $bad ("\xc1\x00", "\x83\x00", "\x89\x7e\x00\x80", "\x09\x00") { my $copy = $bad; ok !ref(next_frame(\$copy, 1000)) && length next_frame(\$copy, 1000), unpack 'H*', $bad }
    is length frame(2, 'x' x $_->[0]), $_->[1], "$_->[0] bytes" for [125, 131], [126, 134], [65_536, 65_550];
};

each_backend("$FindBin::Bin/apps/proxy.pl", sub ($client, $backend) {
    my $json = $client->post('/up/echo?a=b', body => 'y' x 500_000)->json;
    is [@$json{qw(method target length)}], ['POST', '/echo?a=b', 500_000], 'request';
    is { map { @$_ } @{ $json->{headers} } }->{'x-extra'}, 'yes', 'extra header';
    is $client->get('/up/chunked')->content, 'hello 123456789', 'response';
    is length $client->get('/up/big')->content, 20_000_000, 'a large one';
    $client->websocket('/up/ws', subprotocols => ['chat'], sub ($ws) {
        is $ws->subprotocol, 'chat', 'subprotocol';
        $ws->send_text("\x{3042}");
        is $ws->receive_text(20), "\x{3042}", 'WebSocket text';
        $ws->send_bytes("\xff" x 50_000);
        is $ws->receive_bytes(20), "\xff" x 50_000, 'WebSocket binary';
    });
    # the test client does not turn the loop for the start of a stream
    $client->sse('/up/events', sub ($sse) {
        is [@{ $sse->receive_event(timeout => 20) }{qw(event id data)}], ['tick', 7, "one\nt\xe9o"], 'event stream';
    }) if $backend eq 'server';
    for my $accept ($backend eq 'server' ? ('*/*', 'text/event-stream') : ()) {
        my $wire = PAGITest::Wire->new($client->port);
        $wire->write("GET /up/pour HTTP/1.1\r\nHost: x\r\nAccept: $accept\r\n\r\n");
        is $wire->read_head->{status}, 200, "a backend without an end ($accept)";
        $wire->close;
        like $client->get('/up/number')->content, qr/\Aconnection \d+\z/, 'others are served when its client has gone';
    }
    for my $try (1 .. 3) {
        is $client->post('/up/full', body => 'x' x 9_000_000)->status, 413, 'refused while the upload waits for room';
        like $client->get('/up/number')->content, qr/\Aconnection \d+\z/, 'and the next request is served';
    }
    # the process logs the next two, as it should
    local $SIG{__WARN__} = sub ($text) { warn $text unless $text =~ /\APAGI::App::Proxy: / };
    is $client->get('/hasty/silent')->status, 504, 'silence';
    is $client->get('/up/garbage')->status, 502, 'garbage';
}, env => { TEST_UPSTREAM => $upstream->port });

done_testing;
