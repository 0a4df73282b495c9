use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use PAGITest::Backends qw(each_backend);

# Uploads of PAGI::Simple, good and bad: the status that is documented, and nothing left on disk.

my $temp = tempdir(CLEANUP => 1);
sub left () { opendir my $handle, $temp or die $!; return scalar grep { !/\A\./ } readdir $handle }
sub gone ($what) {
    for (1 .. 1500) { return pass($what) unless left(); select undef, undef, undef, 0.02 }
    return fail($what);
}

my $app = <<'APP';
use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;
my $app = PAGI::Simple->new(name => 'Uploads', quiet => 1, upload => {
    temp_dir => $ENV{UPLOADS_TEMP}, memory_threshold => 1000, max_file_size => 100_000, max_total_size => 250_000,
});
my @kept;
$app->post('/upload' => async sub ($c) {
    my $uploads = await $c->req->uploads_all;
    await $c->json({ files => [ map { [ $_->name, $_->basename, $_->size, $_->is_in_memory ] } $uploads->values ], note => await $c->param('note') });
});
$app->post('/keep' => async sub ($c) {
    my $upload = await $c->upload('f');
    $upload->move_to("$ENV{UPLOADS_TEMP}/.kept");    # a name that the test does not count
    await $c->json({ size => -s "$ENV{UPLOADS_TEMP}/.kept", again => scalar(eval { $upload->slurp; 1 } ? 'there' : 'moved') });
});
$app->post('/die' => async sub ($c) { await $c->req->uploads_all; die "no\n" });
$app->post('/ignore' => sub ($c) { $c->text('not read') });
$app->to_app;
APP

my $part = sub ($disposition, $content) { qq{--xyz\r\nContent-Disposition: form-data; $disposition\r\n\r\n$content\r\n} };
my $file = sub ($bytes, $name = 'f', $filename = 'x.bin') { $part->(qq{name="$name"; filename="$filename"}, 'x' x $bytes) };
my $end  = "--xyz--\r\n";

each_backend($app, sub ($client, $backend) {
    local $SIG{__WARN__} = sub { };
    my $post = sub ($path, $body, $type = 'multipart/form-data; boundary=xyz') { $client->post($path, headers => { 'Content-Type' => $type }, body => $body) };

    is $post->('/upload', $file->(10) . $file->(5000, 'big', '../../etc/passwd') . $part->('name="note"', 'hello') . $end)->json,
        { files => [ [ 'f', 'x.bin', 10, 1 ], [ 'big', 'passwd', 5000, 0 ] ], note => 'hello' }, 'small ones in memory, large ones on disk';
    gone 'which go with the request';
    is $post->('/keep', $file->(5000) . $end)->json, { size => 5000, again => 'moved' }, 'moved';
    gone 'nothing else is left';
    is $post->('/die', $file->(5000) . $end)->status, 500, 'a handler that dies';
    gone 'leaves nothing';
    is $post->('/ignore', $file->(5000) . $end)->text, 'not read', 'one that does not look';
    gone 'neither';

    my %bad = (
        'a file over its limit'  => [ 413, $file->(5000) . $file->(100_001) . $end, qr/File upload too large \(max 100000 bytes\)/ ],
        'all of it over a limit' => [ 413, $file->(90_000, 'a') . $file->(90_000, 'b') . $file->(90_000, 'c') . $end, qr/The form is too large \(max 250000 bytes\)/ ],
        'no end'                 => [ 400, $file->(5000), qr/Multipart parse error/ ],
        'cut in a file'          => [ 400, substr($file->(5000) . $file->(50_000), 0, 30_000), qr/Multipart parse error/ ],
        'rubbish'                => [ 400, 'rubbish' x 1000, qr/Multipart parse error/ ],
        'a part without a name'  => [ 400, $file->(5000) . $part->('x="y"', 'x') . $end, qr/Multipart parse error/ ],
        'too many files'         => [ 413, join('', map { $file->(2000, "f$_") } 1 .. 21) . $end, qr/Too many files \(max 20\)/ ],
    );
    for my $what (sort keys %bad) {
        my ($status, $body, $message) = @{ $bad{$what} };
        my $r = $post->('/upload', $body);
        is $r->status, $status, $what;
        like $r->text, $message, '... says so';
        gone '... and leaves nothing';
    }
    is $post->('/upload', $file->(10) . $end, 'multipart/form-data')->status, 400, 'no boundary';
    return if $backend ne 'server';

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $client->port) // die $@;
    print $socket "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=xyz\r\nContent-Length: 90000\r\n\r\n", substr $file->(80_000), 0, 50_000;
    $socket->flush;
    for (1 .. 1500) { last if left(); select undef, undef, undef, 0.02 }
    is left(), 1, 'a file is being written';
    close $socket;
    gone 'until the client leaves';
}, env => { UPLOADS_TEMP => $temp });

done_testing;
