use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use Bench::Page;

sub {
    my $body = Bench::Page::html();
    return [ 200, [ 'Content-Type' => 'text/html', 'Content-Length' => length $body ], [$body] ];
};
