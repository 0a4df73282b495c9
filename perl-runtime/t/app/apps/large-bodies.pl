use v5.36;
use Future::AsyncAwait;
use PAGI::WebSocket;

# Sends what TEST_FILE names, counts what it is sent, and echoes over WebSockets.
async sub app ($scope, $receive, $send) {
    if ($scope->{type} eq 'websocket') {
        my $ws = PAGI::WebSocket->new($scope, $receive, $send);
        await $ws->accept;
        while (defined(my $bytes = await $ws->receive_bytes)) {
            await $ws->send_bytes($bytes);
        }
        return;
    }
    die "not for $scope->{type}\n" if $scope->{type} ne 'http';
    if ($scope->{method} eq 'GET') {
        await $send->({ type => 'http.response.start', status => 200, headers => [['content-length', -s $ENV{TEST_FILE}]] });
        await $send->({ type => 'http.response.body', file => $ENV{TEST_FILE} });
        return;
    }
    my $size = 0;
    while (1) {
        my $event = await $receive->();
        return if $event->{type} ne 'http.request';
        $size += length $event->{body};
        last if !$event->{more};
    }
    await $send->({ type => 'http.response.start', status => 200, headers => [['content-length', length $size]] });
    await $send->({ type => 'http.response.body', body => $size });
}

\&app;
