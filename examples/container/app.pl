use v5.36;
use Future::AsyncAwait;
use FindBin;
use PAGI::Request;
use PAGI::Response;
use Template;

# An application of several files with a module from Debian, to be put into an image (see Dockerfile). Templates are read
# from beside this file.

my $template = Template->new({ INCLUDE_PATH => "$FindBin::Bin/templates", ENCODING => 'utf8' })
    or die Template->error;

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    my $request = PAGI::Request->new($scope, $receive);
    my $name    = $request->query_param('name') // 'world';
    my $page    = '';
    $template->process('hello.tt', { name => $name }, \$page) or die $template->error;
    await PAGI::Response->new->html($page)->respond($send);
}
