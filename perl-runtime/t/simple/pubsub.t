use v5.36;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Simple;
use PAGI::Simple::PubSub;
use PAGI::Simple::WebSocket;

# The bus and its backend seam.

my $bus = PAGI::Simple::PubSub->new;
my @got;
my ($one, $two) = (sub ($m) { push @got, "one $m" }, sub ($m) { push @got, "two $m" });
ref_is $bus->subscribe(news => $one), $bus, 'subscribe returns the bus';
$bus->subscribe(news => $one)->subscribe(news => $two);
is $bus->subscribers('news'), 2, 'a callback once';
is $bus->publish(news => 'x'), 2, 'the count';
is [ sort splice @got ], [ 'one x', 'two x' ], 'delivered at once';
is $bus->publish(news => 'y', except => $one), 1, 'but for one (defect 37)';
is [ splice @got ], ['two y'], 'not to that one';
is $bus->publish(nobody => 1), 0, 'nobody there';
$bus->unsubscribe(news => $one)->unsubscribe(news => $one)->unsubscribe(other => $one);
is [ $bus->channels ], ['news'], 'channels';
$bus->unsubscribe_all($two);
is [ [ $bus->channels ], $bus->has_channel('news') ], [ [], 0 ], 'an empty channel vanishes';

my @warnings;
local $SIG{__WARN__} = sub { push @warnings, @_ };
$bus->subscribe(bad => sub { die "oops\n" })->subscribe(bad => $one);
is $bus->publish(bad => 'z'), 2, 'a failing callback counts';
is [ splice @got ], ['one z'], 'the others get it';
is [ splice @warnings ], ["Error in pubsub callback: oops\n"], 'and it is reported';

my $pending = Future->new;
$bus->subscribe(slow => async sub ($m) { await $pending; push @got, "late $m" });
$bus->publish(slow => 1);
$pending->done;
is [ splice @got ], ['late 1'], 'a Future of a callback is kept until it is done (defect 29)';
my $failing = Future->new;
$bus->subscribe(fails => sub { $failing });
$bus->publish(fails => 1);
$failing->fail("later\n");
is \@warnings, ["Error in pubsub callback: later\n\n"], 'its failure is reported';

ref_is(PAGI::Simple::PubSub->instance, PAGI::Simple->new(name => 'x', quiet => 1)->pubsub, 'one bus per process');
my $first = PAGI::Simple::PubSub->instance;
PAGI::Simple::PubSub->reset;
ref_is_not(PAGI::Simple::PubSub->instance, $first, 'reset');

# Two processes, seen from the seam: what one publishes the other delivers.
package SimpleTest::Backend {
    sub new ($class) { return bless { calls => [], others => [] }, $class }
    sub attach ($self, $bus) { $self->{bus} = $bus; return }
    sub listeners ($self, $channel, $count) { push @{ $self->{calls} }, "$channel $count"; return }
    sub publish ($self, $channel, $message) {
        my $count = 0;
        $count += $_->{bus}->deliver($channel, $message) for @{ $self->{others} };
        return Future->done($count);
    }
}
my ($here, $there) = map { SimpleTest::Backend->new } 1, 2;
$here->{others} = [$there];
my ($bus_here, $bus_there) = map { PAGI::Simple::PubSub->new(backend => $_) } $here, $there;
$bus_here->subscribe(room => $one);
$bus_there->subscribe(room => $two);
is $bus_here->publish(room => 'a'), 1, 'publish counts this process';
is $bus_here->publish_async(room => 'b')->get, 2, 'publish_async all of them';
is [ splice @got ], [ 'one a', 'two a', 'one b', 'two b' ], 'everybody gets it';
$bus_here->subscribe(room => $one)->subscribe(room => $two)->unsubscribe(room => $one)->unsubscribe(room => $one)->unsubscribe(room => $two);
is $here->{calls}, [ 'room 1', 'room 2', 'room 1', 'room 0' ], 'the backend knows what is wanted here';

# A client that does not read: what is sent to it stays pending.
{
    my $app = PAGI::Simple->new(name => 'Slow', quiet => 1);
    $app->websocket('/' => sub ($ws) { $ws->join('slow') });
    my (@sent, @stuck);
    my $receive = sub { Future->new };
    my $send = sub ($event) {
        push @sent, $event->{type} eq 'websocket.close' ? "close $event->{code}" : $event->{type};
        return Future->done unless $event->{type} eq 'websocket.send';
        push @stuck, my $future = Future->new;
        return $future;
    };
    local $PAGI::Simple::Connection::MAX_PENDING = 3;
    my $life = $app->to_app->({ type => 'websocket', path => '/', headers => [] }, $receive, $send);
    is $app->pubsub->publish(slow => $_), 1, "message $_" for 1 .. 3;
    @warnings = ();
    $app->pubsub->publish(slow => 4);
    is \@sent, [ 'websocket.accept', ('websocket.send') x 3, 'close 1013' ], 'a client that does not read is let go (defect 29)';
    like $warnings[0], qr/3 messages are waiting for a client that does not read/, 'and reported';
    is $app->pubsub->publish(slow => 5), 0, 'it is in no room any more';
    $_->done for @stuck;
}

done_testing;
