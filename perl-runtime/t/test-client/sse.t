use v5.36;
use utf8;
use Test2::V0;
use Future::AsyncAwait;
use PAGI::Test::Client;
use PAGI::Test::SSE;

my ($seen, $ended);
my $ticker = async sub ($scope, $receive, $send) {
    $seen = $scope;
    await $send->({ type => 'sse.keepalive', interval => 5 });
    await $send->({ type => 'sse.start', status => 201, headers => [['x-stream', 'yes']] });
    await $send->({ type => 'sse.comment', comment => 'hi' });
    await $send->({ type => 'sse.send', event => 'tick', data => '{"n":"☺"}', id => 7, retry => 100 });
    await $send->({ type => 'sse.send', data => 'plain' });
    $ended = await $receive->();
};
my $client = PAGI::Test::Client->new(app => $ticker);

subtest 'explicit style' => sub {
    my $sse = $client->sse('/events?a=1');
    like $seen, { type => 'sse', method => 'GET', scheme => 'http', path => '/events', query_string => 'a=1' }, 'scope';
    ok !exists $seen->{'pagi.connection'}, 'no pagi.connection (SCOPE-13)';
    is [$sse->status, $sse->headers], [201, [['x-stream', 'yes']]], 'status and headers';
    is $sse->receive_event, { event => 'tick', data => '{"n":"☺"}', id => 7, retry => 100 }, 'a full event';
    is $sse->receive_event, { event => undef, data => 'plain', id => undef, retry => undef }, 'one without a name';
    like dies { $sse->receive_event }, qr/\ATimeout waiting for SSE event at .*sse\.t/, 'no more';
    is [$sse->comments], ['hi'], 'comments';
    is [map { $_->{type} } $sse->sent_events], [qw(sse.keepalive sse.start sse.comment sse.send sse.send)], 'everything that was sent';
    is [$sse->is_closed, $ended], [0, undef], 'open';
    ref_is $sse->close, $sse, 'close chains';
    is $sse->close->is_closed, 1, 'and may be repeated';
    is $ended, { type => 'sse.disconnect', reason => 'client_closed' }, 'the app was told';
    is [$sse->receive_event, $sse->receive_json], [undef, undef], 'undef when closed';
};

subtest 'callback style' => sub {
    my $kept;
    my @returned = $client->sse('/', sub ($sse) { $kept = $sse; is $sse->receive_json, { n => '☺' }, 'receive_json' });
    is [\@returned, $kept->is_closed], [[], 1], 'returns nothing, closed afterwards';
    is dies { $client->sse('/', sub { die "x\n" }) }, "x\n", 'an exception passes';
};

subtest 'closed by the app' => sub {
    my @log;
    my $app = async sub ($scope, $receive, $send) {
        push @log, $send->({ type => 'sse.send', data => 'early' })->failure;
        await $send->({ type => 'sse.start' });
        await $send->({ type => 'sse.send', data => 'x' });
        await $send->({ type => 'sse.close', reason => 'done' });
        push @log, $send->({ type => 'sse.send', data => 'late' })->failure, $send->({ type => 'sse.close' })->is_done, (await $receive->())->{reason};
    };
    my $sse = PAGI::Test::Client->new(app => $app)->sse('/');
    is $sse->is_closed, 1, 'noticed';
    is $sse->receive_event->{data}, 'x', 'what came before can be read';
    is $sse->receive_event, undef, 'then undef';
    is \@log, ["sse.send before sse.start\n", "sse.send after sse.close\n", T, 'done'], 'out of sequence sends fail (SSE-9, SSE-27), the reason surfaces (SSE-29)';
};

subtest 'not started' => sub {
    my $returns = PAGI::Test::Client->new(app => async sub { });
    like dies { $returns->sse('/') }, qr/\ASSE connection not started \(the application has returned\) at .*sse\.t/, 'returned';
    my $dies = PAGI::Test::Client->new(app => async sub { die "oops\n" });
    like dies { $dies->sse('/') }, qr/\ASSE connection not started \(the application died: oops\)/, 'died';
    my $declines = PAGI::Test::Client->new(app => async sub ($scope, $receive, $send) {
        await $send->({ type => 'sse.http.response.start', status => 404, headers => [['content-type', 'text/plain']] });
        await $send->({ type => 'sse.http.response.body', body => 'Not Found' });
    });
    like dies { $declines->sse('/') }, qr/\ASSE connection not started \(the application answered with HTTP 404\)/, 'declined';
    my $sse = $declines->sse('/', decline_ok => 1);
    is [$sse->is_closed, $sse->status, $sse->response->status, $sse->response->text], [1, undef, 404, 'Not Found'], 'can be looked at';
    is $dies->sse('/', decline_ok => 1)->response->exception, "oops\n", 'an exception too';
};

like dies { PAGI::Test::SSE->new(scope => {}) }, qr/app is required/, 'app is required';
like dies { PAGI::Test::SSE->new(app => $ticker) }, qr/scope is required/, 'scope is required';

done_testing;
