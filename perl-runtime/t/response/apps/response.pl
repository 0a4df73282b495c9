# One kind of PAGI::Response per path.
use strict;
use warnings;
use Cwd ();
use File::Spec;
use Future::AsyncAwait;
use PAGI::Response;

my $file = Cwd::abs_path(__FILE__);
my $r = 'PAGI::Response';
my %response = (
    '/text'     => sub { $r->text("h\x{e9}")->cookie(a => 1)->cookie(b => 2) },
    '/json'     => sub { $r->json({ a => "\x{3042}" }, status => 201) },
    '/empty'    => sub { $r->empty },
    '/modified' => sub { $r->new->status(304)->header(etag => '"x"') },
    '/redirect' => sub { $r->redirect('/text', 303) },
    '/file'     => sub { $r->send_file($file, filename => 'a.pl') },
    '/relative' => sub { $r->send_file(File::Spec->abs2rel($file)) },
    '/range'    => sub { $r->send_file($file, offset => 2, length => 15, status => 206) },
    '/stream'   => sub { $r->new->content_type('text/plain')->stream(async sub {
        my ($writer) = @_;
        for my $number (1 .. 5) { await $writer->write("$number\n") }
    }) },
    '/awaited'  => sub { 'sends itself' },
);

my $app = async sub {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}" unless $scope->{type} eq 'http';
    my $make = $response{ $scope->{path} } || sub { $r->text('?', status => 404) };
    my $response = $make->();
    if (ref $response) { await $response->respond($send) }
    else               { await PAGI::Response->new($scope, $send)->text('awaited') }
};
$app;
