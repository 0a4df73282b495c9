use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use Bench::Record;

sub {
    my $body = Bench::Record::json();
    return [
        200, [ 'Content-Type' => 'application/json', 'Content-Length' => length $body ], [$body]
    ];
};
