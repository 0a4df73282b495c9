use strict;
use warnings;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Response;
use Scalar::Util qw(weaken);

sub body { my ($body, $more) = @_; return { type => 'http.response.body', body => $body, more => $more } }

sub sender {
    my ($events) = @_;
    return sub { push @$events, $_[0]; return Future->done };
}

subtest stream => sub {
    my @events;
    my $response = PAGI::Response->new->content_type('text/x')->header('content-length', 6)->stream(async sub {
        my ($writer) = @_;
        await $writer->write('abc');
        await $writer->write(undef);
        await $writer->write('def');
        is [ $writer->bytes_written, $writer->is_closed ], [ 6, 0 ], 'state';
    });
    $response->respond(sender(\@events))->get;
    is \@events, [
        { type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/x' ], [ 'content-length', 6 ] ] },
        body('abc', 1), body('', 1), body('def', 1), body('', 0),
    ], 'headers as given, pieces, end';
    ok ref $response->{_stream}, 'the callback is kept';

    my @again;
    $response->respond(sender(\@again))->get;
    is \@again, \@events, 'can be sent again';

    @events = ();
    PAGI::Response->stream(sub { $_[0]->write('x'); return 'plain' })->respond(sender(\@events))->get;
    is [ map { $_->{body} } @events[ 1 .. $#events ] ], [ 'x', '' ], 'a callback need not return a Future';

    @events = ();
    PAGI::Response->stream(async sub { await $_[0]->close })->respond(sender(\@events))->get;
    is \@events, [ { type => 'http.response.start', status => 200, headers => [] }, body('', 0) ], 'closed once, no length is made up';
    like dies { PAGI::Response->stream('x') }, qr/^stream\(\) requires a coderef at \Q$0\E/, 'coderef';

    @events = ();
    PAGI::Response->text('bytes')->stream(async sub { })->respond(sender(\@events))->get;
    is $events[-1]{body}, '', 'a stream comes before bytes';
};

subtest 'a stream that dies' => sub {
    my (@events, @closed);
    my $response = PAGI::Response->stream(async sub {
        my ($writer) = @_;
        $writer->on_close(sub { push @closed, 1 });
        await $writer->write('abc');
        die "oops\n";
    });
    my $future = $response->respond(sender(\@events));
    is scalar $future->failure, "oops\n", 'the error is passed on';
    is [ map { $_->{more} } @events ], [ undef, 1 ], 'without an end: the body is visibly incomplete';
    is \@closed, [1], 'cleaned up';
};

subtest 'pace' => sub {
    my (@events, @pending);
    my $send = sub { push @events, $_[0]; push @pending, my $f = Future->new; return $f };
    my $future = PAGI::Response->stream(async sub {
        my ($writer) = @_;
        for my $number (1 .. 3) { await $writer->write($number) }
    })->respond($send);
    is scalar(@events), 1, 'nothing before the start is through';
    for my $number (2 .. 5) {
        (shift @pending)->done;
        is scalar(@events), $number, "one send at a time ($number)";
    }
    (shift @pending)->done;
    ok $future->is_done, 'done';
};

subtest writer => sub {
    my (@events, @order);
    my $response = PAGI::Response->new->status(202)->header('x-a', 1);
    my $writer = $response->writer(sender(\@events), on_close => sub { push @order, 'option' })->get;
    isa_ok $writer, 'PAGI::Response::Writer';
    is \@events, [ { type => 'http.response.start', status => 202, headers => [ [ 'x-a', 1 ] ] } ], 'the start is sent at once';
    ref_is $writer->on_close(sub { push @order, 'first' }), $writer, 'on_close chains';
    $writer->on_close(async sub { push @order, 'async'; die "bad\n" })->on_close(sub { push @order, 'last'; die "worse\n" });
    $writer->on_close(sub { push @order, [@_] });
    $writer->write('x')->get;

    like warnings { $writer->close->get }, [
        qr/^PAGI::Response::Writer on_close callback error: bad$/, qr/^PAGI::Response::Writer on_close callback error: worse$/,
    ], 'exceptions are reported';
    is \@order, [ 'option', 'first', 'async', 'last', [] ], 'in order, without arguments, none is stopped';
    is [ $writer->is_closed, $writer->{_on_close} ], [ 1, [] ], 'closed, list emptied';
    $writer->close->get;
    is scalar(@order), 5, 'close is idempotent';
    is \@events, [ $events[0], body('x', 1), body('', 0) ], 'events';

    is scalar $writer->write('y')->failure, 'Writer already closed', 'write after close';
    is scalar(@events), 3, 'sends nothing';
    like scalar $response->writer(sender(\@events))->failure, qr/^Response already sent/, 'one writer per response';
    like scalar PAGI::Response->new->writer('x')->failure, qr/^send must be a coderef/, 'send';
};

subtest 'suspended callbacks' => sub {
    my @order;
    my $gate = Future->new;
    my $writer = PAGI::Response::Writer->new(sub { Future->done });
    $writer->on_close(async sub { await $gate; push @order, 'slow'; die "late\n" })->on_close(sub { push @order, 'next' });
    my $closing = $writer->close;
    is [ !!$closing->is_ready, \@order ], [ F, [] ], 'close waits for an async callback';
    like warnings { $gate->done }, [qr/^PAGI::Response::Writer on_close callback error: late$/], 'whose error is reported';
    is [ !!$closing->is_done, \@order ], [ T, [ 'slow', 'next' ] ], 'then the next one runs';

    my (@pending, @events);
    my $send = sub { push @events, $_[0]; push @pending, my $f = Future->new; return $f };
    my $future = PAGI::Response->stream(async sub { my ($w) = @_; await $w->write('a'); die "oops\n" })->respond($send);
    $_->done for shift @pending;
    $_->done for shift @pending;
    is [ scalar $future->failure, scalar @events ], [ "oops\n", 2 ], 'a stream callback that dies after it was suspended';
};

subtest 'failing sends' => sub {
    my $writer = PAGI::Response::Writer->new(sub { Future->fail("refused\n") });
    is scalar $writer->write('x')->failure, "refused\n", 'write';
    my $closed = 0;
    $writer->on_close(sub { $closed++ });
    is scalar $writer->close->failure, "refused\n", 'close';
    is $closed, 1, 'callbacks run all the same';
    $writer = PAGI::Response::Writer->new(sub { die "dead\n" });
    is scalar $writer->write('x')->failure, "dead\n", 'a dying send is a failed Future';
    is $writer->bytes_written, 0, 'not counted';
};

subtest 'no leaks' => sub {
    my $writer = PAGI::Response::Writer->new(sub { Future->done });
    $writer->on_close(sub { $writer->is_closed });
    weaken(my $weak = $writer);
    $writer->close->get;
    undef $writer;
    is $weak, undef, 'a callback over the writer does not keep it alive';
};

done_testing;
