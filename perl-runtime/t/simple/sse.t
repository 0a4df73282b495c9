use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGITest::Backends qw(each_backend);

# Event streams of PAGI::Simple: the forms of the introduction, channels, refusals, clean-up.

each_backend('t/simple/apps/sse.pl', sub ($client, $backend) {
    my @wait = $backend eq 'server' ? (timeout => 20) : ();
    my $eventually = sub ($code) {
        for (1 .. 50) { my $found = $code->(); return $found if $found; select undef, undef, undef, 0.02 }
        return $code->();
    };

    my $sse = $client->sse('/events', headers => { Origin => 'https://a.example' });
    my %headers = map { lc $_->[0] => $_->[1] } @{ $sse->headers };
    like \%headers, { 'content-type' => qr{\Atext/event-stream}, 'cache-control' => 'no-cache',
        'access-control-allow-origin' => 'https://a.example' }, 'headers of the stream, CORS included';
    is $sse->receive_event(@wait), { event => 'welcome', data => "{\"hello\":\"\x{263a}\"}", id => 7, retry => 500 },
        'on(connect) and send with a hashref (defect 27: characters)';
    is $client->post('/metrics', json => { cpu => 3 })->json, 1, 'published to one';
    is $sse->receive_json(@wait), { cpu => 3 }, 'the subscription forwards it';
    $sse->close;
    is $eventually->(sub { !$client->post('/metrics', json => 1)->json }), T, 'unsubscribed at the end';

    $sse = $client->sse('/count');
    is [ map { $_->{data} } map { $sse->receive_event(@wait) } 1 .. 3 ], [ 'n 1', 'n 2', 'n 3' ], 'an async callback';
    is $sse->receive_event(@wait), undef, 'close ends the stream (defect 30)';

    $sse = $client->sse('/user/9', headers => { 'Last-Event-ID' => 41 });
    is $sse->receive_event(@wait)->{data}, 'all,user:9,1,41', 'channels, in_channel, last_event_id';
    is $client->post('/publish/user:9', json => 'x')->json, 1, 'subscribed once';
    $client->post('/publish/all', json => 'y');
    is [ map { $_->{data} } map { $sse->receive_event(@wait) } 1, 2 ], [ 'x', 'custom y' ], 'default and custom callback';
    $sse->close;
    is $eventually->(sub { my $log = $client->get('/log')->json; @$log && $log }), ['close 9 0'], 'close callback, once, after unsubscribing';

    for my $case ([ '/secret', 401, 'members only' ], [ '/deny', 410, 'gone' ], [ '/nowhere', 404, 'Not Found' ]) {
        my ($path, $status, $body) = @$case;
        my $response = $client->sse($path, decline_ok => 1)->response;
        is [ $response->status, $response->text ], [ $status, $body ], "$path is declined (defects 5, 28)";
    }
    {
        local $SIG{__WARN__} = sub { };
        is $client->sse('/dies', decline_ok => 1)->response->status, 500, 'a callback that dies';
    }
    is $client->sse('/secret?key=1')->receive_event(@wait)->{data}, 'in', 'let in';
    is $client->sse('/page', decline_ok => 1)->response->text, 'a page', 'a page asked for with the Accept header of a stream';
});

done_testing;
