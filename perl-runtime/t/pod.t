use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGITest::Modules qw(documented_files);
use Pod::Checker ();

# podchecker over the whole library: every file has documentation, without an error or a warning in it.
my @files = documented_files();
ok @files > 20, 'there is a library to check';

for my $file (@files) {
    my $report = '';
    open my $output, '>', \$report or die "Cannot write to memory: $!";
    my $checker = Pod::Checker->new(-warnings => 1);
    $checker->parse_from_file($file, $output);
    is [$checker->num_errors, $checker->num_warnings], [0, 0], "$file: errors and warnings (-1 errors: no documentation)"
        or diag $report;
}

done_testing;
