use strict;
use warnings;
use Future::AsyncAwait;
use File::Temp;

# 100 KiB: hexadecimal digits, over and over. Not lexical: it has to live as long as the application.
our $file = File::Temp->new;
print {$file} '0123456789abcdef' x 6400;
$file->flush;
my $path = $file->filename;

async sub {
    my ($scope, $receive, $send) = @_;
    die "file serves HTTP only, not $scope->{type}\n" if $scope->{type} ne 'http';

    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', 102_400 ] ],
    });
    await $send->({ type => 'http.response.body', file => $path });
};
