use v5.36;
use Test2::V0;
use File::Temp qw(tempfile);
use Future;
use Future::AsyncAwait;
use PAGI::Simple;

# A server that takes its time over every event: order is kept, and the request is not over before the last one is taken, whether
# or not the handler waits.

my ($fh, $path) = tempfile(UNLINK => 1);
print $fh 'content';
close $fh;
my @after;
my $app = PAGI::Simple->new(name => 'Waiting', quiet => 1);
$app->hook(after => sub ($c) { push @after, $c->path });
$app->get('/text' => sub ($c) { $c->text('x'); return });
$app->get('/async' => async sub ($c) { await $c->json([]) });
$app->get('/file' => sub ($c) { $c->send_file($path); return });
$app->get('/stream' => sub ($c) { $c->stream(async sub ($w) { await $w->write('a'); await $w->write('b') }); return });
$app->get('/stream-plain' => sub ($c) { $c->stream(sub ($w) { $w->write('a') }); return });
$app->get('/abort' => sub ($c) { $c->abort(403) });
$app->get('/empty' => sub ($c) { });
$app->get('/middleware' => [ sub ($c, $next) { $next->() } ] => sub ($c) { $c->text('x'); return });
$app->get('/dies-after' => sub ($c) { $c->text('x'); die "late\n" });
my $code = $app->to_app;

sub run ($path) {
    my (@events, @waiting);
    my $life = $code->(
        { type => 'http', method => 'GET', path => $path, headers => [] }, sub { Future->new },
        sub ($event) {
            push @events, $event->{type} =~ s/.*\.//r . (defined $event->{status} ? " $event->{status}" : defined $event->{file} ? ' file' : " $event->{body}" . ($event->{more} ? '+' : ''));
            push @waiting, my $future = Future->new;
            return $future;
        },
    );
    my $early = 0;
    while (my $future = shift @waiting) {
        $early++ if $life->is_ready;
        $future->done;
    }
    return [ $early, $life->is_done ? 1 : 0, @events ];
}

local $SIG{__WARN__} = sub { };
is run('/text'), [ 0, 1, 'start 200', 'body x' ], 'an ignored Future is waited for';
is run('/async'), [ 0, 1, 'start 200', 'body []' ], 'an awaited one';
is run('/file'), [ 0, 1, 'start 200', 'body file' ], 'a file';
is run('/stream'), [ 0, 1, 'start 200', 'body a+', 'body b+', 'body ' ], 'a stream, in order';
is run('/stream-plain'), [ 0, 1, 'start 200', 'body a+', 'body ' ], 'a plain stream callback';
is run('/abort'), [ 0, 1, 'start 403', 'body Forbidden' ], 'an error page';
is run('/empty'), [ 0, 1, 'start 500', 'body Internal Server Error' ], 'a handler that forgot';
is run('/middleware'), [ 0, 1, 'start 200', 'body x' ], 'behind middleware';
is run('/dies-after'), [ 0, 1, 'start 200', 'body x' ], 'an exception after the response';
is run('/none'), [ 0, 1, 'start 404', 'body Not Found' ], 'no route';
is \@after, [qw(/text /async /file /stream /stream-plain /abort /empty /middleware /dies-after)], 'after hooks ran for each';

# the same for a handshake
my (@events, @waiting);
$app->websocket('/ws' => sub ($ws) { $ws->on(open => sub { $ws->send('open') }); $ws->send('first'); $ws->join('waiting') });
my $life = $app->to_app->({ type => 'websocket', path => '/ws', headers => [] }, sub { Future->new }, sub ($event) {
    push @events, $event->{type} . (defined $event->{text} ? " $event->{text}" : '');
    push @waiting, my $future = Future->new;
    return $future;
});
is \@events, ['websocket.accept'], 'nothing is sent before the accept is taken';
while (my $future = shift @waiting) { $future->done }
is \@events, [ 'websocket.accept', 'websocket.send open', 'websocket.send first' ], 'then all of it';

done_testing;
