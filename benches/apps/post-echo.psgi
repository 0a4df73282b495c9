use strict;
use warnings;

sub {
    my ($env) = @_;
    my $length = $env->{CONTENT_LENGTH} || 0;
    my $body   = '';
    while (length $body < $length) {
        my $read = $env->{'psgi.input'}->read($body, $length - length $body, length $body);
        last unless $read;
    }
    return [
        200,
        [ 'Content-Type' => 'application/octet-stream', 'Content-Length' => length $body ],
        [$body]
    ];
};
