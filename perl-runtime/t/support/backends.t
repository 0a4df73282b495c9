use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# Lifespan hooks, state and stash, where a server runs them.

each_backend("$FindBin::Bin/apps/support.pl", sub ($client, $backend) {
    for my $count (1, 2) {
        is $client->get('/')->json, {
            order => [ 'outer', 'middle 1', 'middle 2', 'application' ], stash => { from => 'outer', n => 2 }, count => $count,
            error => "PAGI::Session requires a scope hashref (with 'pagi.session' key) or object with ->scope method\n",
        }, "request $count: nested hooks ran once, the state is shared, the stash is of the request";
    }
}, lifespan => 1);

done_testing;
