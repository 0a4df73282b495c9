use v5.36;
use Future::AsyncAwait;
use Future::IO;

# Server-sent events: a tick at intervals until the client leaves, taking up where it left off when it comes back.

my $interval = $ENV{PERIODIC_EVENTS_INTERVAL} // 1;

sub header ($scope, $name) {
    my ($pair) = grep { $_->[0] eq $name } $scope->{headers}->@*;
    return $pair ? $pair->[1] : undef;
}

async sub events ($scope, $receive, $send) {
    my $last = header($scope, 'last-event-id') // 0;
    $last = 0 if $last !~ /\A\d{1,9}\z/;

    await $send->({ type => 'sse.start', headers => [ [ 'cache-control', 'no-store' ] ] });
    # Proxies close connections that are silent for too long.
    await $send->({ type => 'sse.keepalive', interval => 15, comment => 'still here' });

    # One receive stays outstanding all the time: it tells when the client has gone.
    my $gone = gone($receive);
    until ($gone->is_ready) {
        my $number = ++$last;
        await $send->({ type => 'sse.send', event => 'tick', id => "$number", data => "tick $number" });
        await Future->wait_any(Future::IO->sleep($interval), $gone->without_cancel);
    }
    warn "listener left: " . $gone->get . "\n";
}

async sub gone ($receive) {
    while (1) {
        my $event = await $receive->();
        return $event->{reason} if $event->{type} eq 'sse.disconnect';
    }
}

async sub page ($scope, $receive, $send) {
    my $body = <<~'HTML';
        <!doctype html>
        <title>Ticks</title>
        <ul id="ticks"></ul>
        <script>
        new EventSource('/').addEventListener('tick', event => {
            const item = document.createElement('li');
            item.textContent = event.data;
            document.getElementById('ticks').append(item);
        });
        </script>
        HTML
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/html; charset=utf-8' ], [ 'content-length', length $body ] ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

my %handler = (sse => \&events, http => \&page);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
