use strict;
use warnings;
use File::Temp;

# 100 KiB: hexadecimal digits, over and over. Not lexical: it has to live as long as the application.
our $file = File::Temp->new;
print {$file} '0123456789abcdef' x 6400;
$file->flush;
my $path = $file->filename;

sub {
    open my $handle, '<:raw', $path or die "$path: $!\n";
    return [ 200, [ 'Content-Type', 'text/plain', 'Content-Length', 102_400 ], $handle ];
};
