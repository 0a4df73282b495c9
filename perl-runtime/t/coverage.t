use v5.36;
use Test2::V0;

# docs/toolkit-coverage.md names tests that are there, and is what tests/toolkit-coverage makes of its rows.

my $output = `python3 -B ../tests/toolkit-coverage --check 2>&1`;
is $?, 0, 'every row has its tests, and the page is up to date' or diag $output;
like $output, qr/\A[1-9][0-9]* rows, 0 problems$/m, 'there are rows';

done_testing;
