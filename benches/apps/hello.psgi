use strict;
use warnings;

my $body = "Hello, World!\n";

sub {
    return [ 200, [ 'Content-Type' => 'text/plain', 'Content-Length' => length $body ], [$body] ];
};
