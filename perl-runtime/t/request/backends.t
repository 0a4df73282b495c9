use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256_hex);
use PAGITest::Backends qw(each_backend);
use RequestHelper;

# The same through the test client and through the real server.

my $binary = join '', map { chr($_ % 256) } 1 .. 200_000;
my @multipart = ('Content-Type' => 'multipart/form-data; boundary=xyz');

each_backend("$FindBin::Bin/apps/request.pl", sub {
    my ($client) = @_;

    my $seen = $client->get('/properties?q=a+%C3%A9', headers => { 'X-Agent' => 'me', Cookie => 'a=1; b=2', Accept => 'application/json' })->json;
    is $seen, {
        method => 'GET', path => '/properties', raw_path => '/properties', query => "a \x{e9}", agent => 'me',
        cookies => { a => 1, b => 2 }, type => '', wants => 'json', connected => 1,
    }, 'properties';

    is $client->post('/text', body => "caf\xc3\xa9")->json, { text => "caf\x{e9}" }, 'text';
    is $client->post('/json', json => { a => [ "\x{3042}", 1 ] })->json, { json => { a => [ "\x{3042}", 1 ] } }, 'json';
    is $client->post('/form', form => [ [ a => 1 ], [ a => 'x y' ] ])->json, { form => [ a => 1, a => 'x y' ], files => [] }, 'urlencoded form';

    my $body = multipart([ note => "h\xc3\xa9" ], [ doc => $binary, 'big.bin', 'application/x-big' ], [ doc => 'small', 's.txt' ]);
    is $client->post('/form', headers => {@multipart}, body => $body)->json, {
        form  => [ note => "h\x{e9}" ],
        files => [
            [ 'doc', 'big.bin', 'application/x-big', 200_000, 1, sha256_hex($binary) ],
            [ 'doc', 's.txt', 'text/plain', 5, 0, sha256_hex('small') ],
        ],
    }, 'multipart form';
    is $client->post('/parts', headers => {@multipart}, body => $body)->json, {
        parts => [
            [ 'note', undef, 'field', 3, sha256_hex("h\xc3\xa9") ],
            [ 'doc', 'big.bin', 'file', 200_000, sha256_hex($binary) ],
            [ 'doc', 's.txt', 'file', 5, sha256_hex('small') ],
        ],
    }, 'multipart stream';
    is $client->post('/stream', body => $binary)->json, { total => 200_000, digest => sha256_hex($binary) }, 'body stream';

    my $cut = $client->post('/form', headers => {@multipart}, body => substr $body, 0, -12);
    is [ $cut->status, $cut->text ], [ 400, "Multipart parse error: End of stream encountered while parsing part body\n" ], 'truncated form';
    $cut = $client->post('/parts', headers => {@multipart}, body => substr $body, 0, -12);
    is $cut->status, 400, 'truncated stream';
    like $cut->text, qr/^Incomplete multipart upload/, 'with its message';
});

done_testing;
