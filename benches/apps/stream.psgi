use strict;
use warnings;

my $chunk = '0123456789abcdef' x 64;

sub {
    return sub {
        my ($respond) = @_;
        my $writer = $respond->([ 200, [ 'Content-Type' => 'application/octet-stream' ] ]);
        $writer->write($chunk) for 1 .. 64;
        $writer->close;
    };
};
