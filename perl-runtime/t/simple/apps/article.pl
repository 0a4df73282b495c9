use v5.36;
use Cwd ();
use File::Basename ();

# A listing of t/simple/apps/article as it stands. Which worker serves what kind of connection is written down for the test.
my $file = File::Basename::dirname(Cwd::abs_path(__FILE__)) . "/article/$ENV{ARTICLE_LISTING}.pl";
my $app  = do $file || die $@ || $!;

sub ($scope, $receive, $send) {
    if ($scope->{type} ne 'lifespan') {
        open my $out, '>>', $ENV{ARTICLE_CENSUS} or die "$ENV{ARTICLE_CENSUS}: $!";
        syswrite $out, "$scope->{type} $$\n";
    }
    return $app->($scope, $receive, $send);
};
