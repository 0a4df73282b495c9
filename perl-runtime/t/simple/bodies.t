use v5.36;
use lib 't/lib';
use Test2::V0;
use Future::IO::Impl::IOAsync;
use PAGITest::Backends qw(each_backend);

# Bodies, forms, uploads, streams both ways, files and structured parameters.

sub multipart (@parts) {
    my $body = join '', map { "--xyz\r\n$_->[0]\r\n\r\n$_->[1]\r\n" } @parts;
    return (headers => { 'Content-Type' => 'multipart/form-data; boundary=xyz' }, body => "$body--xyz--\r\n");
}
my $file = 'Content-Disposition: form-data; name="file"; filename="C:\\\\x\\\\photo.png"' . "\r\nContent-Type: image/png";

each_backend('t/simple/apps/bodies.pl', sub ($client, $backend) {
    local $SIG{__WARN__} = sub { };
    is $client->post('/form', form => [ [ name => "J\x{fc}" ], [ tag => 1 ], [ tag => 2 ] ])->json,
        { name => "J\x{fc}", all => [ 1, 2 ], raw => 3 }, 'urlencoded form';
    is $client->post('/param/7?q=1&id=8', form => { b => 2, q => 3, id => 9 })->json, [ 7, 1, 2, 7, undef ], 'param and params: path, query, body';
    is $client->post('/body', body => 'x' x 1000)->json, [ 1000, 1000 ], 'the body is cached';
    is $client->post('/body', body => 'x' x 100_001)->status, 413, 'a body above the limit (defect 20)';
    is $client->post('/safe', body => '{')->json, [undef], 'json_body_safe';

    my $got = $client->post('/multipart', multipart([ 'Content-Disposition: form-data; name="note"', "h\xc3\xa9" ], [ $file, 'PNG-data' ], [ $file, 'two' ]))->json;
    is $got, { note => "h\x{e9}", has => 1, many => 2, file => [ 'file', 'photo.png', 8, 1, 'PNG-d', 'image/png' ] },
        'text fields of a multipart form (defect 19), uploads';
    is $client->post('/multipart', multipart([ $file, 'z' x 5000 ]))->json->{file}, [ 'file', 'photo.png', 5000, 0, 'zzzzz', 'image/png' ], 'spooled';
    is $client->post('/plain-upload', multipart([ $file, 'z' x 80_000 ]))->text, 80_000, 'get on a Future in a plain handler';
    is $client->post('/multipart', multipart([ $file, 'z' x 200_001 ]))->status, 413, 'a file above the limit (defect 21)';
    is $client->post('/multipart', headers => { 'Content-Type' => 'multipart/form-data; boundary=xyz' }, body => 'nonsense')->status, 400, 'a broken form';
    is $client->post('/multipart', headers => { 'Content-Type' => 'multipart/form-data' }, body => 'x')->status, 400, 'no boundary';

    is $client->post('/stream', body => 'y' x 70_000)->json, [ (70_000) x 3 ], 'stream_to_file';
    is $client->post('/stream', body => 'y' x 10)->json, [ (10) x 3 ], 'a body that was read ahead';
    is $client->post('/stream?max=5', body => 'y' x 10)->status, 500, 'max_bytes';
    is $client->post('/decode', body => "\xe2\x98\xba")->json, [ "\x{263a}", 1 ], 'decoded';
    like $client->post('/exclusive', body => 'x')->text, qr/Body already consumed/, 'no stream after a buffered read';
    like $client->post('/exclusive-too', body => 'x')->text, qr/Body streaming already started.*already started; buffered helpers/s, 'nor the other way round';

    is [ map { $_->status, $_->content, $_->content_type, $_->content_length } $client->get('/streamed') ], [ 200, "1\n2\n3\n", 'text/x-count', undef ], 'stream';
    is [ map { $_->status, $_->content } $client->get('/stream-sync') ], [ 201, 'ab' ], 'closed by itself';
    is { map { $_ => $client->get("/from/$_")->content } qw(array code file handle) },
        { array => 'ab', code => 'xyz', file => '0123456789', handle => '0123456789' }, 'stream_from';
    is $client->get('/delayed')->content, '12', 'with a pause between the pieces';
    is $client->head('/streamed')->content, '', 'HEAD';

    my $r = $client->get('/file');
    is [ $r->status, $r->content, $r->content_length ], [ 200, '0123456789', 10 ], 'send_file';
    like $r->header('content-disposition'), qr/\Ainline; filename="r_\.txt"; filename\*=UTF-8''r%C3%A9\.txt\z/, 'its name';
    is [ map { $_->status, $_->content } $client->get('/file', headers => { 'If-None-Match' => $r->header('etag') }) ], [ 304, '' ], 'ETag (defect 22)';
    $r = $client->get('/file', headers => { Range => 'bytes=2-4' });
    is [ $r->status, $r->content, $r->header('content-range') ], [ 206, '234', 'bytes 2-4/10' ], 'a range';
    is $client->get('/file', headers => { Range => 'bytes=20-' })->status, 416, 'a range beyond';
    is [ map { $_->status, $_->content, $_->content_length } $client->head('/file') ], [ 200, '', 10 ], 'HEAD of a file';
    is [ map { $_->status, $_->content, $_->content_length } $client->get('/empty') ], [ 200, '', 0 ], 'an empty file ends (defect 22)';
    is $client->get('/relative')->content, '0123456789', 'a relative path';
    is $client->get('/missing')->status, 500, 'a missing file';

    is $client->post('/structured', form => [
        [ 'order.name' => 'Ann' ], [ 'order.admin' => 1 ], [ 'order.lines[0].item' => 'tea' ],
        [ 'order.lines[1].item' => 'milk' ], [ 'order.lines[1]._delete' => 1 ], [ 'order.tags' => 'a' ], [ 'order.tags' => 'b' ], [ name => 'other' ],
    ])->json, { name => 'Ann', lines => [ { item => 'tea' } ], tags => [ 'a', 'b' ] }, 'structured body';
    my $missing = $client->post('/structured', form => { 'order.name' => '' });
    is [ $missing->status, $missing->text ], [ 400, 'Bad Request: Missing required parameters: name' ], 'what is required';
    is $client->get('/structured?a.b=1&c[1]=x&c[]=y')->json, { a => { b => 1 }, c => [ undef, 'x', 'y' ] }, 'structured query';
    is $client->post('/structured-data?a=1&b=1', form => { b => 2 })->json, { a => 1, b => 2 }, 'structured data: the body wins';
});

done_testing;
