use v5.36;
use Test2::V0;
use PAGI::Test::Response;

my $response = PAGI::Test::Response->new(
    status  => 201,
    headers => [['Content-Type', 'application/json'], ['X-Tag', 'a'], ['x-tag', 'b'], ['Location', '/7'], ['content-length', 8]],
    body    => '{"id":7}',
);
is $response->status, 201, 'status';
is $response->content, '{"id":7}', 'content';
is $response->json, { id => 7 }, 'json';
is $response->header('CONTENT-type'), 'application/json', 'header, whatever the case';
is $response->header('x-nope'), undef, 'missing header';
is [$response->header('x-nope')], [undef], '... also in list context';
is $response->header('X-TAG'), 'a', 'header gives the first value';
is [$response->header_all('x-tag')], ['a', 'b'], 'header_all gives all';
is $response->headers, { 'content-type' => 'application/json', 'x-tag' => 'b', location => '/7', 'content-length' => 8 },
    'headers gives lower-case names and last values';
is [$response->header_pairs]->[1], ['X-Tag', 'a'], 'header_pairs gives what was sent';
is [$response->content_type, $response->content_length, $response->location], ['application/json', 8, '/7'], 'shortcuts';
is $response->exception, undef, 'no exception';

my $empty = PAGI::Test::Response->new;
is [$empty->status, $empty->content, $empty->text, $empty->content_type], [200, '', '', undef], 'defaults';
is(PAGI::Test::Response->new(exception => "x\n")->exception, "x\n", 'exception');

for my $case ([200, 1, 0, 0], [201, 1, 0, 0], [299, 1, 0, 0], [301, 0, 1, 0], [399, 0, 1, 0], [404, 0, 0, 1], [500, 0, 0, 1], [199, 0, 0, 0]) {
    my ($status, @expected) = @$case;
    my $r = PAGI::Test::Response->new(status => $status);
    is [$r->is_success, $r->is_redirect, $r->is_error], \@expected, "status helpers for $status";
}

sub text_of ($type, $body) {
    return PAGI::Test::Response->new(headers => defined $type ? [['content-type', $type]] : [], body => $body)->text;
}
is text_of('text/plain; charset=utf-8', "\xc3\xa9"), "\x{e9}", 'UTF-8';
is text_of('text/plain; charset=ISO-8859-1', "\xe9"), "\x{e9}", 'Latin-1';
is text_of('text/plain; Charset="iso-8859-1"', "\xe9"), "\x{e9}", 'quoted, upper case';
is text_of('text/plain', "\xe2\x98\xba"), "\x{263a}", 'no charset: UTF-8';
is text_of(undef, "\xe2\x98\xba"), "\x{263a}", 'no type: UTF-8';
like dies { text_of('text/plain', "\xff") }, qr/does not map to Unicode/, 'bytes that do not fit';

subtest 'json that is none' => sub {
    my $html = PAGI::Test::Response->new(status => 502, headers => [['content-type', 'text/html']], body => '<h1>');
    my $error = dies { $html->json };
    like $error, qr/\AResponse body is not valid JSON \(status=502, content-type=text\/html\)\nBody: <h1>\nJSON error: \S/, 'names all there is';
    like $error, qr/response\.t line/, 'from the perspective of the test';
    like dies { PAGI::Test::Response->new(body => 'x')->json }, qr/content-type=\(none\)/, 'no type';

    my $long = PAGI::Test::Response->new(body => 'x' x 2000);
    like dies { $long->json }, qr/Body: x{1500}\n\.\.\. \[truncated, 2000 bytes total\]\n/, 'a long body is cut';
    local $PAGI::Test::Response::JSON_ERROR_BODY_LIMIT = 10;
    like dies { $long->json }, qr/Body: x{10}\n\.\.\. \[truncated/, 'at a limit that can be set';
};

done_testing;
