use v5.36;
use File::Basename qw(dirname);
use Future::AsyncAwait;
use Future::IO;
use JSON::MaybeXS;

# A page with numbers that move. One ticker measures for all listeners, and rests while there are none.

my $page = do {
    open my $file, '<:raw', dirname(__FILE__) . '/index.html' or die "index.html: $!";
    local $/;
    <$file>;
};

my $json     = JSON::MaybeXS->new(utf8 => 0, canonical => 1);    # characters: the server encodes them
my $interval = $ENV{DASHBOARD_INTERVAL} // 1;
my ($requests, $number) = (0, 0);
my (%listeners, $ticker);

sub measure () {
    my ($load)  = read_line('/proc/loadavg')    =~ /\A(\S+)/;
    my ($pages) = read_line('/proc/self/statm') =~ /\A\S+ (\S+)/;
    return {
        time      => time,
        load      => 0 + $load,
        memory    => $pages * 4,                                     # KiB
        requests  => $requests,
        listeners => scalar keys %listeners,
    };
}

sub read_line ($path) {
    open my $file, '<', $path or die "$path: $!";
    return scalar <$file>;
}

sub metrics () {
    return { type => 'sse.send', event => 'metrics', id => ++$number . '', data => $json->encode(measure()) };
}

async sub tick () {
    while (1) {
        await Future::IO->sleep($interval);
        last if !%listeners;
        my $event = metrics();
        # Who is behind gets the next numbers instead: old ones are of no use to anybody.
        for my $listener (values %listeners) {
            next if $listener->{transport}->buffered_amount > 0;
            $listener->{send}->({%$event})->retain;
        }
    }
    undef $ticker;
}

async sub events ($scope, $receive, $send) {
    await $send->({ type => 'sse.start' });
    await $send->({ type => 'sse.keepalive', interval => 20 });

    my $id = 0 + $send;
    $listeners{$id} = { send => $send, transport => $scope->{'pagi.transport'} };
    $ticker //= tick()->on_fail(sub ($error, @) { warn "the ticker has stopped: $error"; undef $ticker });
    await $send->(metrics());    # the first numbers at once

    while (1) {
        my $event = await $receive->();
        last if $event->{type} eq 'sse.disconnect';
    }
    delete $listeners{$id};
}

async sub page ($scope, $receive, $send) {
    my $found = $scope->{path} eq '/';
    $requests++ if $found;
    my $body = $found ? $page : "There is only one page here, /\n";
    await $send->({
        type    => 'http.response.start',
        status  => $found ? 200 : 404,
        headers => [
            [ 'content-type', $found ? 'text/html; charset=utf-8' : 'text/plain' ],
            [ 'content-length', length $body ],
        ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

my %handler = (sse => \&events, http => \&page);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
