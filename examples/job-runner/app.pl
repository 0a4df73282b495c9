use v5.36;
use File::Basename qw(dirname);
use Future::AsyncAwait;
use JSON::MaybeXS;
use PAGI::Shared;
use PAGI::WorkerPool;

# Jobs for the pool, and a page that follows them. A job reports over a channel, so it does not matter which worker was
# asked for it and which one the page is connected to; what it has come to is in the shared store for those who come later.

my $page = do {
    open my $file, '<:raw', dirname(__FILE__) . '/index.html' or die "index.html: $!";
    local $/;
    <$file>;
};

my $STEPS  = 20;
my $KEPT   = 3600;      # seconds
my $LARGEST = $ENV{JOB_RUNNER_LARGEST} // 500_000;

my $json   = JSON::MaybeXS->new(utf8 => 1, canonical => 1);
my $shared = PAGI::Shared->instance;

# --- in a pool process: blocking code, and Futures are waited for

sub report ($job) {
    my $text = $json->encode($job);
    $shared->set("job $job->{id}", $text, $KEPT)->get;
    $shared->publish(jobs => $text)->get;
    return;
}

sub count_primes ($state, $id, $largest) {
    my $job = { id => $id, largest => $largest, state => 'running', done => 0, found => 0, pid => $$ };
    report($job);
    my $from = 2;
    for my $step (1 .. $STEPS) {
        if (defined $shared->get("stop $id")->get) {
            report({ %$job, state => 'stopped' });
            return;
        }
        my $to = int($largest * $step / $STEPS);
        $job->{found} += is_prime($_) for $from .. $to;
        $from = $to + 1;
        $job->{done} = $step / $STEPS;
        report($job);
    }
    report({ %$job, state => 'finished' });
    return;
}

sub is_prime ($number) {
    for (my $divisor = 2; $divisor * $divisor <= $number; $divisor++) { return 0 if $number % $divisor == 0 }
    return 1;
}

my $pool = PAGI::WorkerPool->new(timeout => 300, handlers => { 'primes.count' => \&count_primes });

# --- in a worker

my %listeners;
$shared->interest(jobs => 1)->on_message(sub ($channel, $text) {
    # A page that is too slow misses numbers, not the end: it can ask for that.
    for my $listener (values %listeners) {
        next if $listener->{transport}->buffered_amount > 64 * 1024;
        $listener->{send}->({ type => 'sse.send', event => 'job', data => $text })->retain;
    }
});

async sub events ($scope, $receive, $send) {
    await $send->({ type => 'sse.start' });
    my $id = 0 + $send;
    $listeners{$id} = { send => $send, transport => $scope->{'pagi.transport'} };
    await $send->({ type => 'sse.keepalive', interval => 20 });
    await $send->({ type => 'sse.comment', comment => 'listening' });
    while (1) {
        my $event = await $receive->();
        last if $event->{type} eq 'sse.disconnect';
    }
    delete $listeners{$id};
}

async sub start_job ($receive, $send) {
    my ($body, $more) = ('', 1);
    while ($more) {
        my $event = await $receive->();
        return if $event->{type} ne 'http.request';
        $body .= $event->{body};
        return await answer($send, 413, { error => 'that is too long' }) if length $body > 1000;
        $more = $event->{more};
    }
    my $largest = eval { $json->decode($body)->{largest} } // '';
    return await answer($send, 422, { error => "largest must be a number from 2 to $LARGEST" })
        if ref $largest || $largest !~ /\A[1-9][0-9]{0,8}\z/ || $largest < 2 || $largest > $LARGEST;
    my $id = new_id();
    await $shared->set("job $id", $json->encode({ id => $id, largest => 0 + $largest, state => 'waiting', done => 0, found => 0 }), $KEPT);
    return await answer($send, 202, { id => $id }, [ location => "/jobs/$id" ])
        if $pool->call_forget('primes.count', args => [ $id, 0 + $largest ]);
    await $shared->delete("job $id");
    return await answer($send, 503, { error => $pool->is_available ? 'too much waits already' : 'start the server with --pool' }, [ 'retry-after', 5 ]);
}

sub new_id () { return sprintf '%x%05x', time, int rand 2**20 }

async sub http ($scope, $receive, $send) {
    my ($method, $path) = $scope->@{qw(method path)};
    return await answer($send, 200, $page) if $path eq '/' && $method eq 'GET';
    return await start_job($receive, $send) if $path eq '/jobs' && $method eq 'POST';
    my ($id) = $path =~ m{\A/jobs/([0-9a-f]+)\z} or return await answer($send, 404, { error => 'there is no such page' });
    my $text = await $shared->get("job $id");
    return await answer($send, 404, { error => 'there is no such job' }) if !defined $text;
    if ($method eq 'DELETE') {
        await $shared->set("stop $id", 1, $KEPT);
        return await answer($send, 202, { id => $id });
    }
    return await answer($send, 405, { error => 'GET and DELETE are what a job knows' }, [ allow => 'GET, DELETE' ]) if $method ne 'GET';
    return await answer($send, 200, $json->decode($text));
}

async sub answer ($send, $status, $content, @headers) {
    my $body = ref $content ? $json->encode($content) : $content;
    my $type = ref $content ? 'application/json' : 'text/html; charset=utf-8';
    await $send->({ type => 'http.response.start', status => $status, headers => [ [ 'content-type', $type ], [ 'content-length', length $body ], @headers ] });
    await $send->({ type => 'http.response.body', body => $body });
}

my %handler = (http => \&http, sse => \&events);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
