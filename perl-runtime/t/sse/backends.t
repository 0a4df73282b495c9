use v5.36;
use utf8;
use lib 't/lib';
use Test2::V0;
use Future::IO::Impl::IOAsync;
use PAGITest::Backends qw(each_backend);
use Time::HiRes qw(sleep time);

each_backend('t/apps/sse/stream.pl', sub ($client, $backend) {
    my $sse = $client->sse('/send', query => { q => 'é' }, headers => { 'Last-Event-ID' => 7 });
    is [$sse->status, map { $_->[1] } grep { lc $_->[0] eq 'x-stream' } @{ $sse->headers }], [200, 'yes'], 'status and headers';
    is $sse->receive_event->{data}, 'grüße ☺', 'text';
    is $sse->receive_json, { ü => '☺', id => 7, q => 'é' }, 'JSON, encoded once';
    is $sse->receive_event, { event => 'tick', data => "one\ntwo\n", id => 8, retry => 2000 }, 'all fields, several lines';
    is $sse->receive_event, undef, 'the end';
    is [map { s/\A //r } $sse->comments], ['a comment'], 'a comment';

    $sse = $client->sse('/each');
    is [map { $sse->receive_json } 1 .. 3], [{ 0 => 'a' }, { 1 => 'b' }, { 2 => 'c' }], 'each';

    $sse = $client->sse('/wait', method => 'POST');
    is $sse->receive_event->{data}, 'waiting', 'a stream that stays open';
    $sse->close;

    # The server notices that a client has left a moment later.
    my $told = sub ($count) {
        my $deadline = time + 20;
        my $log;
        do {
            sleep 0.02 if $log;
            $log = $client->sse('/log')->receive_json;
        } while @$log < $count && time < $deadline;
        return $log;
    };
    my @first = (['/send', 'all sent'], ['/each', 'app_closed'], ['/wait', 'client_closed']);
    is $told->(3), \@first, 'on_close with its reason, once per stream';

    $sse = $client->sse('/every');
    is [map { $sse->receive_json(timeout => 20)->{n} } 1 .. 5], [1 .. 5], 'every, over several intervals';
    $sse->close;
    push @first, ['/every', 'client_closed'], ['/every', 'returned'];
    is $told->(5), \@first, 'notices that the client has left in any of them (D3)';
    $sse = $client->sse('/tries');
    is [map { $sse->receive_event(timeout => 20)->{data} } 1, 2], ['one', '{"n":2}'], 'try_send and its kin';
    is $sse->receive_event(timeout => 20), undef, 'to the end';
    is $told->(6), [@first, ['/tries', '1 1 1 0']], 'and what they return';
}, lifespan => 1);

done_testing;
