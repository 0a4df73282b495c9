use v5.36;
use Test2::V0;
use Future::AsyncAwait;
use Future::IO;
use Future::IO::Impl::IOAsync;
use PAGI::Test::Client;
use Time::HiRes qw(time);

# Apps that wait on a real timer: the client lets the event loop run.
my $app = async sub ($scope, $receive, $send) {
    await Future::IO->sleep(0.02);
    if ($scope->{type} eq 'http') {
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        await Future::IO->sleep(0.02);
        await $send->({ type => 'http.response.body', body => 'slow' });
    }
    elsif ($scope->{type} eq 'websocket') {
        await $send->({ type => 'websocket.accept' });
        await Future::IO->sleep(0.05);
        await $send->({ type => 'websocket.send', text => 'later' });
        await Future::IO->sleep(30);
    }
    else {
        await $send->({ type => 'sse.start' });
        await Future::IO->sleep(0.05);
        await $send->({ type => 'sse.send', data => 'later' });
        await Future::IO->sleep(30);
    }
};
my $client = PAGI::Test::Client->new(app => $app);

is $client->get('/')->content, 'slow', 'HTTP';

my $ws = $client->websocket('/');
ok $ws, 'an accept that comes late';
like dies { $ws->receive_text }, qr/Timeout/, 'without a time the answer has to be there';
is $ws->receive_text(20), 'later', 'with one it may take that long';
my $began = time;
like dies { $ws->receive_text(0.1) }, qr/Timeout waiting for WebSocket text message/, 'and not longer';
ok time - $began >= 0.09 && time - $began < 2, 'as long as asked for';

my $sse = $client->sse('/');
like dies { $sse->receive_event }, qr/Timeout/, 'SSE: without a time';
is $sse->receive_event(timeout => 20)->{data}, 'later', 'with one';
like dies { $sse->receive_event(timeout => 0.05) }, qr/Timeout waiting for SSE event/, 'and not longer';

done_testing;
