use v5.36;
use Future::AsyncAwait;
use Future::IO;

# Background work hangs on something that lives long enough: a job on the list of jobs, the sweeper on the lifespan
# handler. A Future that nobody holds would be lost.

my $step  = $ENV{BACKGROUND_STEP}  // 1;
my $sweep = $ENV{BACKGROUND_SWEEP} // 60;
my $STEPS = 3;

my %jobs;
my $last = 0;

async sub work ($job) {
    for my $number (1 .. $STEPS) {
        await Future::IO->sleep($step);
        $job->{done} = $number;
    }
    $job->{finished} = time;
}

sub start_job {
    my $job = { number => ++$last, done => 0 };
    $jobs{$last} = $job;
    $job->{running} = work($job)->on_fail(sub ($error, @) { warn "job $job->{number} failed: $error" });
    return $job;
}

async sub sweeper {
    while (1) {
        await Future::IO->sleep($sweep);
        my @old = grep { $jobs{$_}{finished} && $jobs{$_}{finished} < time - $sweep } keys %jobs;
        delete @jobs{@old};
    }
}

async sub lifespan ($scope, $receive, $send) {
    await $receive->();
    await $send->({ type => 'lifespan.startup.complete' });
    my $sweeper = sweeper();
    # Whichever ends first: normally the receive, when the server stops. The sweeper is cancelled then.
    await Future->wait_any($receive->(), $sweeper);
    my @running = map { $_->{running} } values %jobs;
    await Future->wait_all(@running) if @running;
    await $send->({ type => 'lifespan.shutdown.complete' });
}

async sub http ($scope, $receive, $send) {
    my $path = $scope->{path};
    if ($scope->{method} eq 'POST' && $path eq '/jobs') {
        my $job = start_job();
        return await answer($send, 202, "job $job->{number} is on its way\n", [ 'location', "/jobs/$job->{number}" ]);
    }
    my $job = $path =~ m{\A/jobs/(\d+)\z} ? $jobs{$1} : undef;
    return await answer($send, 404, "no such job\n") if !$job;
    my $state = $job->{finished} ? 'finished' : 'running';
    await answer($send, 200, "job $job->{number} is $state: $job->{done} of $STEPS\n");
}

async sub answer ($send, $status, $text, @headers) {
    await $send->({
        type    => 'http.response.start',
        status  => $status,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $text ], @headers ],
    });
    await $send->({ type => 'http.response.body', body => $text });
}

my %handler = (lifespan => \&lifespan, http => \&http);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
