use v5.36;
use Future::AsyncAwait;
use File::Temp qw(tempfile);
use PAGI::Simple;

# What t/simple/bodies.t asks for.
my $app = PAGI::Simple->new(
    name => 'Bodies', quiet => 1, max_body_size => 100_000, upload => { max_file_size => 200_000, memory_threshold => 1000 },
);
my ($fh, $path) = tempfile(UNLINK => 1);
print $fh '0123456789';
close $fh;
my ($none, $empty) = tempfile(UNLINK => 1);
close $none;

$app->post('/form' => async sub ($c) {
    $c->json({
        name => await $c->req->body_param('name'), all => [ (await $c->req->body_params)->get_all('tag') ],
        raw => length await $c->req->raw_body_param('name'),
    });
});
$app->post('/param/:id' => async sub ($c) {
    $c->json([ await $c->param('id'), await $c->param('q'), await $c->param('b'), (await $c->params)->get('id'), await $c->param('none') ]);
});
$app->post('/body' => async sub ($c) { $c->json([ length await $c->req->body, length await $c->req->body ]) });
$app->post('/safe' => async sub ($c) { $c->json([ await $c->req->json_body_safe ]) });
$app->post('/multipart' => async sub ($c) {
    my $file = await $c->upload('file');
    $c->json({
        note => await $c->param('note'), has => await $c->req->has_uploads, many => scalar @{ await $c->req->uploads('file') },
        file => $file && [ $file->name, $file->basename, $file->size, $file->is_in_memory, substr($file->slurp, 0, 5), $file->content_type ],
    });
});
$app->post('/plain-upload' => sub ($c) { $c->text($c->req->upload('file')->get->size) });
$app->post('/stream' => async sub ($c) {
    my $stream = $c->body_stream($c->req->query_param('max') ? (max_bytes => $c->req->query_param('max')) : ());
    my ($out, $file) = tempfile(UNLINK => 1);
    my $bytes = await $stream->stream_to_file($file);
    $c->json([ $bytes, $stream->bytes_read, -s $file ]);
});
$app->post('/decode' => async sub ($c) {
    my $stream = $c->body_stream(decode => 'UTF-8');
    my $text = '';
    while (defined(my $chunk = await $stream->next_chunk)) { $text .= $chunk }
    $c->json([ $text, $stream->last_raw_chunk ? 1 : 0 ]);
});
$app->post('/exclusive' => async sub ($c) {
    await $c->req->body;
    my $first = eval { $c->body_stream; 1 } ? '' : $@;
    $c->text($first);
});
$app->post('/exclusive-too' => async sub ($c) {
    $c->body_stream;
    my $second = eval { $c->body_stream; 1 } ? '' : $@;
    my $third = eval { await $c->req->body; 1 } ? '' : $@;
    $c->text("$second$third");
});

$app->get('/streamed' => sub ($c) {
    $c->stream(async sub ($w) { for my $i (1 .. 3) { await $w->writeln($i) } }, content_type => 'text/x-count');
});
$app->get('/stream-sync' => sub ($c) { $c->status(201)->stream(sub ($w) { $w->write('a'); $w->write('b') }) });
$app->get('/from/:what' => sub ($c) {
    my @parts = qw(x y z);
    my %source = (array => [ 'a', 'b' ], code => sub { shift @parts }, file => $path, handle => do { open my $h, '<', $path or die; $h });
    $c->stream_from($source{ $c->path_params->{what} }, chunk_size => 4, content_type => 'application/x-parts');
});
$app->get('/delayed' => sub ($c) { $c->stream_from([ 1, 2 ], delay => 0.01) });
$app->get('/file' => sub ($c) { $c->send_file($path, filename => qq(r"\x{e9}.txt), inline => 1) });
$app->get('/relative' => sub ($c) { require File::Spec; $c->send_file(File::Spec->abs2rel($path)) });
$app->get('/empty' => sub ($c) { $c->send_file($empty, content_type => 'text/plain') });
$app->get('/missing' => sub ($c) { $c->send_file('/no/such/file') });
$app->post('/structured' => async sub ($c) {
    my $data = (await $c->structured_body)->namespace('order')->permitted('name', +{ lines => [ 'item', '_delete' ] }, +{ tags => [] })
        ->skip('_delete')->required('name')->to_hash;
    $c->json($data);
});
$app->get('/structured' => sub ($c) { $c->json($c->structured_query->to_hash) });
$app->post('/structured-data' => async sub ($c) { $c->json((await $c->structured_data)->to_hash) });
$app->to_app;
