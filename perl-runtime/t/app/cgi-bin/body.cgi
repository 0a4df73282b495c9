#!/usr/bin/perl
use strict;
use warnings;
binmode STDIN;
my ($bytes, $sum) = (0, 0);
while (read STDIN, my $chunk, 65536) { $bytes += length $chunk; $sum = ($sum + unpack '%32C*', $chunk) % 4294967296 }
print "Status: 201 Created\nContent-Type: text/plain\nX-A: 1\nX-A: 2\n\n$bytes $sum $ENV{CONTENT_LENGTH} $ENV{REQUEST_METHOD}";
