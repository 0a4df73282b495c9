use v5.36;
use Future::AsyncAwait;
use IO::Async::Function;
use IO::Async::Loop;
use IO::Async::Timer::Periodic;

# What belongs to the loop is made when a worker starts, not when the file is loaded: then every worker has its own.

my ($ticks, $primes) = (0);

sub start {
    my $loop  = IO::Async::Loop->new;
    my $timer = IO::Async::Timer::Periodic->new(interval => 0.05, on_tick => sub { $ticks++ });
    $primes = IO::Async::Function->new(max_workers => 2, code => \&primes_below);
    $loop->add($timer->start);
    $loop->add($primes);
    return;
}

# In a child process: it may take as long as it likes.
sub primes_below ($limit) {
    my @primes;
    NUMBER: for my $number (2 .. $limit - 1) {
        for my $prime (@primes) { next NUMBER if $number % $prime == 0 }
        push @primes, $number;
    }
    return @primes;
}

async sub lifespan ($scope, $receive, $send) {
    await $receive->();
    start();
    await $send->({ type => 'lifespan.startup.complete' });
    await $receive->();
    $primes->stop;
    await $send->({ type => 'lifespan.shutdown.complete' });
}

async sub http ($scope, $receive, $send) {
    my $text = "$ticks ticks\n";
    if ($scope->{path} =~ m{\A/primes/(\d{1,6})\z}) {
        my @primes = await $primes->call(args => [ $1 ]);
        $text = @primes . " primes below $1\n";
    }
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $text ] ],
    });
    await $send->({ type => 'http.response.body', body => $text });
}

my %handler = (lifespan => \&lifespan, http => \&http);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
