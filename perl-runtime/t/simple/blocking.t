use v5.36;
use lib 't/lib';
use Test2::V0;
use Future::IO::Impl::IOAsync;
use PAGITest::Backends qw(each_backend);

# Blocking work in processes of its own (defect 32).

each_backend('t/simple/apps/blocking.pl', sub ($client, $backend) {
    my $sum = $client->get('/sum/21')->json;
    is [ @$sum[0, 1] ], [ 42, [1] ], 'a closure with a signature, data in and out';
    isnt $sum->[2], $sum->[3], 'in another process';
    is $client->get('/die')->json, [ "inside\n", { code => 7 }, "The process of the blocking work died\n" ], 'exceptions and death';
    my ($stats, @results) = $client->get('/queue')->json->@*;
    is $stats, { workers => 2, busy => 2, queue_depth => 2, queue_limit => 2 }, 'two run, two wait';
    is [ @results[0 .. 3] ], [ 1 .. 4 ], 'all of them are answered';
    like $results[4], qr/Too much blocking work: 2 calls are waiting/, 'one too many fails at once';
    is $client->get('/slow')->text, "Blocking work took longer than 2 seconds\n", 'a limit in time';
    is $client->get('/sum/1')->json->[0], 2, 'and it goes on';
});

done_testing;
