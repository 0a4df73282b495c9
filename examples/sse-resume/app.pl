use v5.36;
use Future::AsyncAwait;
use Future::IO;

# A log of events that clients follow without gaps, however often their connection breaks: every event has a number, and
# a client that comes back says in Last-Event-ID which one it had last.

my $interval = $ENV{SSE_RESUME_INTERVAL} // 1;
my $kept     = $ENV{SSE_RESUME_KEPT}     // 1000;    # events that a client may be behind

# Numbers go on where they would be had the server never stopped: an ID from before a restart is never an ID of the future.
my $next = int(time * 1000);
my @log;        # [number, text], the latest at the end
my %waiting;    # clients that have got everything, by address of their $send

sub add ($text) {
    push @log, [ $next++, $text ];
    shift @log if @log > $kept;
    wake($_) for keys %waiting;
}

sub wake ($client) {
    my $future = delete $waiting{$client} or return;
    $future->done;
}

# Something has to happen that can be logged.
async sub clock () {
    while (1) {
        await Future::IO->sleep($interval);
        add('it is now ' . localtime);
    }
}

async sub lifespan ($scope, $receive, $send) {
    await $receive->();
    my $clock = clock()->on_fail(sub ($error, @) { warn "the clock has stopped: $error" });
    await $send->({ type => 'lifespan.startup.complete' });
    await $receive->();
    $clock->cancel;
    await $send->({ type => 'lifespan.shutdown.complete' });
}

# Where to go on for this client, and whether it has missed something that is not kept any more.
sub place ($scope) {
    my ($header) = grep { $_->[0] eq 'last-event-id' } $scope->{headers}->@*;
    return ($next, 0) if !$header || $header->[1] !~ /\A[0-9]{1,15}\z/;
    my $wanted = $header->[1] + 1;
    my $oldest = @log ? $log[0][0] : $next;
    return $wanted >= $oldest && $wanted <= $next ? ($wanted, 0) : ($oldest, 1);
}

async sub follow ($scope, $receive, $send) {
    my ($number, $missed) = place($scope);
    await $send->({ type => 'sse.start' });
    await $send->({ type => 'sse.keepalive', interval => 15 });
    # Come back soon after a break. An event without data would not be dispatched; this one says what it is.
    await $send->({ type => 'sse.send', event => $missed ? 'gap' : 'resume', data => "$number", retry => 200 });

    my $client = 0 + $send;
    my $gone   = gone($receive)->on_ready(sub { wake($client) });
    until ($gone->is_ready) {
        if ($number == $next) {
            my $more = $waiting{$client} = Future->new;
            await $more;
            next;
        }
        # A client that reads more slowly than things happen, too.
        $number = $log[0][0] if $number < $log[0][0];
        my $entry = $log[ $number - $log[0][0] ];
        await $send->({ type => 'sse.send', id => "$entry->[0]", data => $entry->[1] });
        $number++;
    }
}

async sub gone ($receive) {
    while (1) {
        my $event = await $receive->();
        return if $event->{type} eq 'sse.disconnect';
    }
}

async sub page ($scope, $receive, $send) {
    my $body = <<~'HTML';
        <!doctype html>
        <meta charset="utf-8">
        <title>Log</title>
        <p id="state">connecting</p>
        <ol id="log"></ol>
        <script>
        const source = new EventSource('log');
        const say = text => { document.getElementById('state').textContent = text; };
        source.addEventListener('resume', event => say(`from ${event.data}`));
        source.addEventListener('gap', event => say(`something was missed; from ${event.data}`));
        source.onerror = () => say('waiting for the server');
        source.onmessage = event => {
            const item = document.createElement('li');
            item.value = event.lastEventId;
            item.textContent = event.data;
            document.getElementById('log').append(item);
        };
        </script>
        HTML
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/html; charset=utf-8' ], [ 'content-length', length $body ] ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

my %handler = (lifespan => \&lifespan, sse => \&follow, http => \&page);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
