use strict;
use warnings;

use Future::AsyncAwait;
use PAGI::Lifespan;
use PAGI::SSE;

# What on_close callbacks saw, shown to /log.
my @closed;

my %handlers = (
    '/send' => async sub {
        my ($sse) = @_;
        await $sse->keepalive(30);
        await $sse->start(headers => [['x-stream', 'yes']]);
        await $sse->send("gr\x{fc}\x{df}e \x{263a}");
        await $sse->send_json({ "\x{fc}" => "\x{263a}", id => $sse->last_event_id, q => $sse->query_param('q') });
        await $sse->send_comment('a comment');
        await $sse->send_event(event => 'tick', data => "one\ntwo\n", id => 8, retry => 2000);
        await $sse->close(reason => 'all sent');
    },
    '/each' => async sub {
        my ($sse) = @_;
        await $sse->each(['a', 'b', 'c'], async sub { return { event => 'item', data => { $_[1] => $_[0] } } });
        await $sse->close;
    },
    '/wait' => async sub {
        my ($sse) = @_;
        await $sse->send('waiting');
        await $sse->run;
    },
    '/every' => async sub {
        my ($sse) = @_;
        my $n = 0;
        await $sse->every(0.01, async sub { my $sent = await $sse->try_send_json({ n => ++$n }); return $sent });
        push @closed, ['/every', 'returned'];
    },
    '/tries' => async sub {
        my ($sse) = @_;
        my @sent = await $sse->try_send('one');
        push @sent, await $sse->try_send_event(data => { n => 2 }, event => 'two');
        push @sent, await $sse->try_send_comment('three');
        await $sse->close;
        push @sent, await $sse->try_send('late');
        push @closed, ['/tries', "@sent"];
    },
    '/log' => async sub {
        my ($sse) = @_;
        await $sse->send_json(\@closed);
    },
);

async sub stream {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'sse';
    my $sse = PAGI::SSE->new($scope, $receive, $send);
    my $path = $sse->path;
    $sse->on_close(sub { push @closed, [$path, $_[1]] }) unless $path eq '/log' || $path eq '/tries';
    await $handlers{$path}->($sse);
}

PAGI::Lifespan->wrap(\&stream);
