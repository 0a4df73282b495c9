use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use PAGI::Simple;
use PAGITest::Backends qw(each_backend);

# Static files of PAGI::Simple: what is served, what is not, and where.

my $root = tempdir(CLEANUP => 1);
my %content = (
    'index.html' => '<h1>top</h1>', 'site.css' => 'body {}', 'app.js' => 'x()', 'data.json' => '{}', 'notes.txt' => "0123456789\n", 'odd.zzz' => 'odd',
    'sub/index.htm' => 'sub index', 'sub/page.html' => 'page', 'empty/.keep' => '', '.secret' => 'hidden', "caf\xc3\xa9.txt" => 'coffee',
);
for my $name (keys %content) {
    make_path("$root/public/" . ($name =~ s{/?[^/]*\z}{}r));
    open my $out, '>:raw', "$root/public/$name" or die "$name: $!";
    print {$out} $content{$name};
    close $out;
}
open my $outside, '>', "$root/outside.txt" or die $!;
print {$outside} 'outside';
close $outside;
symlink "$root/outside.txt", "$root/public/escape.txt" or die $!;
symlink 'notes.txt', "$root/public/alias.txt" or die $!;

my $app = <<'APP';
use v5.36;
use PAGI::Simple;
my $root = $ENV{STATIC_ROOT};
my $app = PAGI::Simple->new(name => 'Static', quiet => 1, home => $root);
my $after = 0;
$app->hook(before => sub ($c) { $after++ });
$app->static('/files' => './public')->static('plain/' => { root => "$root/public", index => [] });
$app->static('/open' => { root => 'public', show_hidden => 1, default_type => 'text/x-odd', index => ['page.html'], listing => 1 });
$app->static('/files/sub' => { root => 'nowhere' });
$app->get('/files/app.js' => sub ($c) { $c->text('a route') });
$app->get('/hooks' => sub ($c) { $c->text($after) });
$app->error(404 => sub ($c) { $c->text('own 404', 404) });
my $child = PAGI::Simple->new(name => 'Child', quiet => 1, home => $root);
$child->static('/s' => 'public');
$app->mount('/child' => $child);
$app->to_app;
APP

each_backend($app, sub ($client, $backend) {
    my $get = sub ($path, %options) { my $r = $client->get($path, %options); return [ $r->status, $r->content, $r->content_type ] };
    is $get->('/files/site.css'), [ 200, 'body {}', 'text/css' ], 'a style sheet';
    my %type = ('/files/data.json' => 'application/json', '/files/notes.txt' => 'text/plain', '/files/sub/page.html' => 'text/html', '/plain/app.js' => 'application/javascript',
        '/files/odd.zzz' => 'application/octet-stream', '/open/odd.zzz' => 'text/x-odd');
    is { map { $_ => $client->get($_)->content_type } keys %type }, \%type, 'types, without a charset, and the default type';
    is $get->('/files/'), [ 200, '<h1>top</h1>', 'text/html' ], 'the index file';
    is $get->('/files')->[1], '<h1>top</h1>', 'without a slash too';
    is $get->('/files/sub/')->[1], 'sub index', 'of a directory below: index.htm';
    is $get->('/open/sub/')->[1], 'page', 'index files by name';
    is [ map { $client->get($_)->status } '/plain/', '/files/empty/', '/files/none.txt', '/files/sub/none' ], [ (404) x 4 ], 'no index, no file';
    is $client->get('/files/none.txt')->text, 'Not Found', 'error handlers of the application do not answer for files';
    is $get->('/files/app.js')->[1], 'a route', 'routes come first';
    is $client->get('/hooks')->text, 2, 'hooks do not run for files';
    is [ map { $client->get($_)->status } '/filesystem', '/file' ], [ 404, 404 ], 'the prefix is a whole path';

    is [ map { $client->get($_)->status } '/files/.secret', '/open/.secret' ], [ 403, 403 ], 'hidden files are served by nobody: show_hidden is for listings';
    unlike $client->get($_)->content, qr/outside/, "not $_" for '/files/../outside.txt', '/files/sub/../../outside.txt', '/files/..\\outside.txt', '/open/../outside.txt', '/files/escape.txt';
    is $client->get('/files/escape.txt')->status, 403, 'a symbolic link that leads out';
    is $client->get('/files/alias.txt')->status, 200, 'one that stays inside';
    my $nul = $backend eq 'server' ? '/files/a%00b' : "/files/a\0b";
    is $client->get($nul)->status, 400, 'a NUL byte';
    is $client->get($backend eq 'server' ? '/files/caf%C3%A9.txt' : "/files/caf\x{e9}.txt")->content, 'coffee', 'names in UTF-8';

    my $r = $client->get('/files/notes.txt');
    like $r->header('etag'), qr/\A"[0-9a-f-]+"\z/, 'a strong ETag';
    is $r->header('accept-ranges'), 'bytes', 'ranges are possible';
    is [ map { $_->status, $_->content } $client->get('/files/notes.txt', headers => { 'If-None-Match' => $r->header('etag') }) ], [ 304, '' ], 'not modified';
    is [ map { $_->status, $_->content, $_->header('content-range') } $client->get('/files/notes.txt', headers => { Range => 'bytes=2-4' }) ], [ 206, '234', 'bytes 2-4/11' ], 'a range';
    is [ map { $_->status, $_->content, $_->content_length } $client->head('/files/notes.txt') ], [ 200, '', 11 ], 'HEAD';
    is [ map { $client->$_('/files/notes.txt')->status } qw(post put delete) ], [ (405) x 3 ], 'other methods';

    my $listing = $client->get('/open/empty/', headers => { Accept => 'text/html' });
    like $listing->content, qr/\.keep/, 'a listing, when it is switched on';
    is $client->get('/open/empty/', headers => { Accept => 'application/json' })->content_type, 'application/json', 'as JSON';
    is $client->get('/child/s/notes.txt')->content, "0123456789\n", 'of a mounted application';
}, env => { STATIC_ROOT => $root });

subtest 'declarations' => sub {
    my $app = PAGI::Simple->new(name => 'x', quiet => 1);
    like dies { $app->static('/a' => { root => '/tmp', colour => 1 }) }, qr/\AUnknown options to static: colour\. Valid: default_type, index, listing, root, show_hidden at \Q$0\E/, 'an unknown option';
    like dies { $app->static('/a') }, qr/\Astatic needs a directory/, 'no directory';
};

done_testing;
