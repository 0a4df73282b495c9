use v5.36;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Future::AsyncAwait;
use PAGI::Simple;

my $store = $ENV{UPLOADS_DIR} || tempdir(CLEANUP => 1);
make_path($store);

my $app = PAGI::Simple->new(name => 'Uploads', upload => { max_file_size => 5 * 1024 * 1024 });

$app->post('/upload' => async sub ($c) {
    my $files = await $c->req->uploads('files');
    my @stored;
    for my $file (@$files) {
        next if $file->is_empty;
        # the name the client sent is never used as a path
        my ($extension) = $file->basename =~ /\.([A-Za-z0-9]{1,5})\z/;
        my $name = sprintf '%d-%06d%s', time, rand 1_000_000, defined $extension ? ".$extension" : '';
        $file->move_to("$store/$name");
        push @stored, { name => $name, was => $file->basename, size => $file->size };
    }
    $c->abort(422, 'Choose at least one file') unless @stored;
    await $c->json({ stored => \@stored, note => await $c->param('note') }, 201);
});

$app->get('/files' => sub ($c) {
    opendir my $directory, $store or die "Cannot read $store: $!";
    $c->json([ sort grep { !/\A\./ } readdir $directory ]);
});
$app->get('/files/{name:[0-9]+-[0-9]+(?:\.[A-Za-z0-9]+)?}' => sub ($c) {
    my $path = "$store/" . $c->path_params->{name};
    $c->not_found unless -f $path;
    $c->send_file($path);
});

# A body of any size, straight to disk, without holding it in memory.
$app->put('/raw/{name:[a-z0-9-]+}' => async sub ($c) {
    my $bytes = await $c->body_stream(max_bytes => 1024 * 1024 * 1024)->stream_to_file("$store/raw-" . $c->path_params->{name});
    await $c->json({ bytes => $bytes }, 201);
});

$app->static('/' => 'public');
$app->to_app;
