use strict;
use warnings;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Response;

# The contract of release 0.001: PAGI::Response->new($scope, $send), and body methods that are awaited.

subtest 'awaiting sends' => sub {
    my @events;
    my $handler = async sub {
        my ($send) = @_;
        my $response = PAGI::Response->new({ type => 'http' }, $send);
        await $response->status(201)->header('x-a', 1)->json({ a => 1 });
        return 'done';
    };
    is $handler->(sub { push @events, $_[0]; Future->done })->get, 'done', 'goes on afterwards';
    is [ map { $_->{type} } @events ], [ 'http.response.start', 'http.response.body' ], 'sent';
    is [ $events[0]{status}, $events[1]{body} ], [ 201, '{"a":1}' ], 'as built';

    my @pending;
    my $future = $handler->(sub { push @pending, my $f = Future->new; $f });
    for my $number (1, 2) {
        is [ scalar(@pending), !!$future->is_ready ], [ $number, F ], 'waits for the server';
        $pending[-1]->done;
    }
    is $future->get, 'done', 'and resumes';
    is scalar $handler->(sub { Future->fail("refused\n") })->failure, "refused\n", 'errors arrive at the await';

    @pending = ();
    $future = $handler->(sub { push @pending, my $f = Future->new; $f });
    $future->cancel;
    ok $pending[0]->is_cancelled, 'cancellation reaches the send';
};

subtest 'nothing to be sent on' => sub {
    my $handler = async sub { await PAGI::Response->text('x') };
    like scalar $handler->()->failure, qr/^This response has no connection to be awaited on: return it, or await \$response->respond\(\$send\)/,
        'a detached response says so';
};

subtest 'a response that is only returned is not sent' => sub {
    my @events;
    my $handler = async sub { return PAGI::Response->new({}, sub { push @events, $_[0]; Future->done })->text('x') };
    isa_ok $handler->()->get, 'PAGI::Response';
    is \@events, [], 'not sent';
};

done_testing;
