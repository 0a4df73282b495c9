use strict;
use warnings;

my $body     = "Hello, World!\n";
my $response = [ 200, [ 'Content-Type' => 'text/plain', 'Content-Length' => length $body ], [$body] ];

sub {
    my ($env) = @_;
    my $path = $env->{PATH_INFO};
    die "soak dies as asked\n" if $path eq '/die';
    return $response if $path ne '/sleep';

    # Feersum waits in its event loop, Starman has none and blocks.
    if ($env->{'psgi.nonblocking'}) {
        require EV;
        return sub {
            my ($respond) = @_;
            my $timer;
            $timer = EV::timer(0.001, 0, sub { undef $timer; $respond->($response) });
        };
    }
    select undef, undef, undef, 0.001;
    return $response;
};
