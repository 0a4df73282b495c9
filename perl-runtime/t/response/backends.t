use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PAGITest::Backends qw(each_backend);

# The same through the test client and through the real server.

my $path = "$FindBin::Bin/apps/response.pl";
my $content = do { open my $fh, '<:raw', $path or die $!; local $/; <$fh> };

each_backend($path, sub {
    my ($client) = @_;

    my $response = $client->get('/text');
    is [ $response->status, $response->text, $response->content_type, $response->content_length ],
        [ 200, "h\x{e9}", 'text/plain; charset=utf-8', 3 ], 'text';
    is [ map { $client->cookie($_) } qw(a b) ], [ 1, 2 ], 'two cookies';
    $response = $client->get('/json');
    is [ $response->status, $response->json, $response->content_type ], [ 201, { a => "\x{3042}" }, 'application/json' ], 'json';

    $response = $client->get('/empty');
    is [ $response->status, $response->content, $response->header('content-length') ], [ 204, '', undef ], '204 has no content-length';
    $response = $client->get('/modified');
    is [ $response->status, $response->content, $response->header('etag'), $response->header('content-length') ],
        [ 304, '', '"x"', undef ], '304 has none that is made up';
    $response = $client->get('/redirect');
    is [ $response->status, $response->location, $response->content ], [ 303, '/text', '' ], 'redirect';

    $response = $client->get('/file');
    is [ $response->status, $response->content eq $content, $response->header('content-disposition'), $response->content_length ],
        [ 200, T, 'attachment; filename="a.pl"', length $content ], 'file';
    is $client->get('/relative')->content eq $content, T, 'a relative path';
    $response = $client->get('/range');
    is [ $response->status, $response->content ], [ 206, substr $content, 2, 15 ], 'part of a file';
    is $client->get('/stream')->content, "1\n2\n3\n4\n5\n", 'stream';
    is $client->get('/awaited')->content, 'awaited', 'an awaited response';

    $response = $client->head('/text');
    is [ $response->status, $response->content, $response->content_length ], [ 200, '', 3 ], 'HEAD';
});

done_testing;
