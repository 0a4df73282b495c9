use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(call_app http_scope text_of);
use FileTree qw(decoded file_tree traversal_paths);
use IO::Socket::INET;
use PAGI::App::Directory;
use PAGI::App::File;
use PAGITest::Backends qw(each_backend);

# No spelling of a path gets at what is not below the root, or hidden there.

my $tree = file_tree();
my @paths = traversal_paths();
cmp_ok scalar @paths, '>=', 200, scalar(@paths) . ' paths';

for my $class (qw(PAGI::App::File PAGI::App::Directory)) {
    my $app = $class->new(root => "$tree/www", index => [])->to_app;
    my @served;
    for my $path (map { decoded($_), $_ } @paths) {
        my ($sent) = call_app($app, http_scope($path));
        my $refused = $sent->[0]{status} >= 400 && !defined $sent->[1]{file} && text_of($sent) !~ /\Q$FileTree::SECRET\E/;
        push @served, $path unless $refused;
    }
    is \@served, [], "$class refuses all, decoded and not";
}

each_backend("$FindBin::Bin/apps/files.pl", sub ($client, $backend) {
    is $client->get('/files/test.txt')->status, 200, 'a file is served';
    my @served;
    for my $path (@paths) {
        for my $mount ('/files', '/list') {
            my $response = $client->get($mount . $path);
            push @served, "$mount$path" if $response->status < 400 || $response->content =~ /\Q$FileTree::SECRET\E/;
        }
    }
    is \@served, [], 'all refused';
}, env => { TEST_ROOT => "$tree/www" });

done_testing;
