use v5.36;
use AnyEvent;
use Future;
use Future::AsyncAwait;
use Future::IO;
use IO::Async::Loop;
use Mojo::Promise;

my $delay = $ENV{FOUR_LOOPS_DELAY} // 0.5;

async sub future_io { await Future::IO->sleep($delay); return 'Future::IO' }

async sub io_async { await IO::Async::Loop->new->delay_future(after => $delay); return 'IO::Async' }

async sub mojo { return await Mojo::Promise->timer($delay, 'Mojo::IOLoop') }

async sub anyevent {
    my $future = Future->new;
    my $timer  = AnyEvent->timer(after => $delay, cb => sub { $future->done('AnyEvent') });
    return await $future;
}

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    my @waited = await Future->needs_all(future_io(), io_async(), mojo(), anyevent());
    my $text   = join(', ', @waited) . "\n";
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $text ] ],
    });
    await $send->({ type => 'http.response.body', body => $text });
}
