use v5.36;
use lib 't/lib';
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::SSE;
use PAGITest::Events qw(scripted);

sub stream (@events) {
    my ($receive, $send, $sent) = scripted(@events);
    return (PAGI::SSE->new({ type => 'sse' }, $receive, $send), $sent);
}
sub data_of ($sent) { return [map { $_->{data} } grep { $_->{type} eq 'sse.send' } @$sent] }

# Before any implementation is configured, which the rest of this file does.
like [stream()]->[0]->every(1, sub { })->failure, qr/Future::IO backend not configured\. Add to your app\.pl: use Future::IO::Impl::/,
    'every without a backend says what to do';
require Future::IO;
require Future::IO::Impl::IOAsync;

subtest 'each' => sub {
    my @got;
    my ($sse, $sent) = stream();
    ref_is $sse->each(['a', undef, 0], async sub ($item, $index) { push @got, [$item, $index] })->get, $sse, 'chains';
    is \@got, [['a', 0], [undef, 1], [0, 2]], 'items and their index';
    is $sent, [{ type => 'sse.start', status => 200 }], 'the stream was started';

    my @queue = (1, 0, '', 2);
    @got = ();
    $sse->each(sub { shift @queue }, sub ($item, $index) { push @got, "$index:$item"; return })->get;
    is \@got, ['0:1', '1:0', '2:', '3:2'], 'a source of code, until undef; a plain callback (D4)';

    @$sent = ();
    $sse->each([1, 2], async sub ($item, $) { return { event => 'n', data => $item, id => $item } })->get;
    $sse->each([3], sub ($item, $) { return { data => $item } })->get;
    is $sent, [
        { type => 'sse.send', event => 'n', data => 1, id => 1 }, { type => 'sse.send', event => 'n', data => 2, id => 2 },
        { type => 'sse.send', data => 3 },
    ], 'a hashref is sent as an event';

    @got = ();
    $sse->each([1, 2, 3], async sub ($item, $) { push @got, $item; await $sse->close if $item == 2 })->get;
    is \@got, [1, 2], 'stops when closed';
    like $sse->each($_->[0], sub { })->failure, qr/each\(\) requires arrayref or coderef, got $_->[1]/, "refuses $_->[1]"
        for [{}, 'HASH'], ['x', 'x'], [undef, 'undef'];

    my @log;
    ($sse) = stream();
    $sse->on_close(sub ($s, $reason) { push @log, $reason });
    is $sse->each([1], async sub { die "oops\n" })->failure, "oops\n", 'a callback that dies';
    is \@log, ['unknown'], 'after on_close has run';
};

subtest 'every' => sub {
    my ($sse) = stream();
    like $sse->every(@$_)->failure, qr/every\(\) requires interval/, 'interval: ' . ($_->[0] // 'undef') for [undef, sub { }], [0, sub { }], [-1, sub { }], ['x', sub { }];
    like $sse->every(1)->failure, qr/every\(\) requires callback coderef/, 'callback';

    my @log;
    $sse->on_close(sub ($s, $reason) { push @log, "closed $reason" });
    my $count = 0;
    my $every = $sse->every(0.02, async sub { $count++; await $sse->send("n$count"); await $sse->close(reason => 'enough') if $count == 3 });
    is $count, 1, 'calls back first, then sleeps';
    $every->get;
    is [$count, \@log], [3, ['closed enough']], 'until closed';

    ($sse) = stream();
    $sse->on_close(sub ($s, $reason) { push @log, $reason });
    is $sse->every(5, sub { die "oops\n" })->failure, "oops\n", 'a callback that dies';
    is [$sse->is_closed, $log[-1]], [1, 'unknown'], 'closes the stream';
};

# D3: the disconnect was noticed only during the first interval.
subtest 'every notices a disconnect in any interval' => sub {
    {
        package My::CountingFuture;
        our @ISA = 'Future';
        our $listeners = 0;
        sub on_ready ($self, @rest) { $listeners++; return $self->SUPER::on_ready(@rest) }
    }
    my @receives;
    my $sse = PAGI::SSE->new({ type => 'sse' }, sub { push @receives, my $f = My::CountingFuture->new; $f }, sub { Future->done });
    my $count = 0;
    my $every = $sse->every(0.01, sub { $count++ });
    Future::IO->sleep(0.1)->get;
    ok $count > 2, 'several intervals have passed';
    is [scalar @receives, !!$receives[0]->is_ready], [1, !!0], 'with one receive, still pending';
    is $My::CountingFuture::listeners, 1, '... that does not collect callbacks';

    $receives[0]->done({ type => 'sse.request', body => '', more => 0 });
    my $before = $count;
    Future::IO->sleep(0.05)->get;
    ok $count > $before, 'another event changes nothing';
    is scalar @receives, 2, 'but there is a new receive';
    $receives[1]->done({ type => 'sse.disconnect', reason => 'client_closed' });
    is [$every->is_done, $sse->disconnect_reason], [T, 'client_closed'], 'the disconnect ends it at once';

    my $long = PAGI::SSE->new({ type => 'sse' }, sub { Future->new }, sub { Future->done });
    $every = $long->every(3600, sub { });
    $long->close->get;
    is $every->is_done, T, 'and so does close, however long the interval';
};

done_testing;
