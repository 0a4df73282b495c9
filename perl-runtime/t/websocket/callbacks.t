use v5.36;
use lib 't/lib';
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::WebSocket;
use PAGITest::Events qw(scripted);
use Scalar::Util qw(weaken);

my $disconnect = { type => 'websocket.disconnect', code => 1001, reason => 'gone' };
sub text ($text) { return { type => 'websocket.receive', text => $text } }

sub session (@events) {
    my ($receive, $send, $sent) = scripted(@events);
    return (PAGI::WebSocket->new({ type => 'websocket' }, $receive, $send), $sent);
}

subtest 'on_close' => sub {
    my @log;
    my ($ws) = session($disconnect);
    ref_is $ws->on_close(sub { push @log, [1, @_] }), $ws, 'chains';
    my $slow = Future->new;
    $ws->on_close(async sub { await $slow; push @log, [2, @_] });
    $ws->on_close(sub { die "third\n" });
    $ws->on_close(async sub { die "fourth\n" });
    $ws->on_close(sub { push @log, [5, @_] });
    my $receive = $ws->receive;
    is \@log, [[1, 1001, 'gone']], 'in order, awaiting each';
    my $warnings = warnings { $slow->done };
    is \@log, [map { [$_, 1001, 'gone'] } 1, 2, 5], 'with code and reason';
    is $warnings, ["PAGI::WebSocket on_close callback error: third\n", "PAGI::WebSocket on_close callback error: fourth\n"],
        'failing ones are warned about and do not stop the others';
    is $receive->get, undef, 'receive waited for them';
    $ws->close->get;
    is scalar @log, 3, 'once only';

    @log = ();
    ($ws) = session();
    $ws->on_close(sub { push @log, "@_" });
    $ws->close(4000, 'done')->get;
    is \@log, ['4000 done'], 'after a close of the app';
    $ws->on_close(sub { push @log, 'late' });
    is [$ws->{_on_close}, \@log], [[], ['4000 done']], 'too late to register';
};

subtest 'nothing is kept' => sub {
    my ($ws) = session($disconnect);
    $ws->on_close(sub { $ws && 1 })->on_error(sub { $ws && 1 })->on_message(sub { $ws && 1 });
    $ws->receive->get;
    is [@$ws{qw(_on_close _on_error _on_message)}], [[], [], []], 'all lists are empty';
    weaken(my $weak = $ws);
    undef $ws;
    is $weak, undef, 'the object is freed although its callbacks closed over it';
};

subtest 'run' => sub {
    my @log;
    my ($ws) = session({ type => 'websocket.connect' }, text('a'), { type => 'websocket.receive', bytes => 'b' }, text('0'), $disconnect);
    ref_is $ws->on_message(sub { push @log, [1, @_] }), $ws, 'on_message chains';
    my $slow = Future->new;
    $ws->on_message(async sub ($data, $event) { await $slow if $data eq 'a'; push @log, [2, $data] });
    my $run = $ws->run;
    is \@log, [[1, 'a', text('a')]], 'waits for async callbacks';
    $slow->done;
    is [map { "$_->[0]$_->[1]" } @log], [qw(1a 2a 1b 2b 10 20)], 'text or bytes, every callback, in order';
    is [$run->get], [], 'ends with the session';
    is $ws->is_closed, 1, 'closed';
};

subtest 'errors' => sub {
    my @log;
    my ($ws) = session(text('a'), text('b'), $disconnect);
    $ws->on_message(sub ($data, $) { die "no $data\n" });
    ref_is $ws->on_error(sub { push @log, [@_] }), $ws, 'on_error chains';
    $ws->on_error(async sub ($error) { push @log, "async $error" });
    $ws->on_error(sub { die "worse\n" });
    my $warnings = warnings { $ws->run->get };
    is \@log, [["no a\n"], "async no a\n", ["no b\n"], "async no b\n"], 'every error goes to every handler, the loop goes on';
    is $warnings, [("PAGI::WebSocket on_error callback error: worse\n") x 2], 'a failing handler is warned about';

    ($ws) = session(text('a'), $disconnect);
    $ws->on_message(async sub { die "unseen\n" });
    is warnings { $ws->run->get }, ["PAGI::WebSocket error: unseen\n"], 'without a handler there is a warning';

    @log = ();
    ($ws) = session();
    $ws->on_error(sub ($error) { push @log, $error });
    $ws->_trigger_error('direct');
    is \@log, ['direct'], '_trigger_error runs at once';
};

subtest 'a receive that fails' => sub {
    my @log;
    my ($ws) = session(text('a'), sub { Future->fail("connection reset\n") });
    $ws->on_close(sub { push @log, "closed @_" });
    my $run;
    is warnings { $run = $ws->run; $run->get }, ["PAGI::WebSocket receive error: connection reset\n"], 'run warns and resolves';
    is [\@log, $ws->is_closed], [['closed 1006 read_error'], 1], 'on_close ran (D14)';
};

subtest 'on' => sub {
    my @log;
    my ($ws) = session(text('x'), $disconnect);
    ref_is $ws->on(message => sub ($data, $) { push @log, "message $data"; die "e\n" }), $ws, 'chains';
    $ws->on(close => sub { push @log, 'close' })->on(error => sub ($error) { push @log, "error $error" });
    $ws->run->get;
    is \@log, ['message x', "error e\n", 'close'], 'by name';
    like dies { $ws->on(other => sub { }) }, qr/Unknown event type: other \(expected message, close, or error\) at .*callbacks\.t/, 'another name';
};

done_testing;
