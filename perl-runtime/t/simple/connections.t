use v5.36;
use lib 't/lib';
use Test2::V0;
use Future::IO::Impl::IOAsync;
use PAGITest::Backends qw(each_backend);
use PAGI::Simple;

# What WebSockets and event streams have in common, their callbacks, and streams as members and publishers of channels.

each_backend('t/simple/apps/connections.pl', sub ($client, $backend) {
    my $wait = $backend eq 'server' ? 20 : 2;
    my @wait = (timeout => $wait);
    my $eventually = sub ($code) {
        for (1 .. 500) { my $found = $code->(); return $found if $found; select undef, undef, undef, 0.02 }
        return $code->();
    };

    for my $case ([ websocket => 'WebSocket' ], [ sse => 'SSE' ]) {
        my ($type) = @$case;
        my $path = $type eq 'sse' ? '/sse/7?q=2' : '/ws/7?q=2';
        my $connection = $type eq 'sse' ? $client->sse($path) : $client->websocket($path);
        is $type eq 'sse' ? $connection->receive_json(@wait) : $connection->receive_json($wait), {
            app => 'Connections', type => $type, captures => { id => 7 }, param => 7, none => undef, stash => 'middleware', query => 2,
            url => '/page/1', log => 'PAGI::Simple::Context::Logger', bus => 1, closed => 0, context => 'PAGI::Simple::Context',
        }, "$case->[1]: what it knows";
        $connection->close;
    }

    my $ws = $client->websocket('/rooms');
    $ws->send_text('look');
    is $ws->receive_json($wait), { rooms => [qw(a b c)], in => 1 }, 'rooms';
    $ws->send_text('leave');
    is $ws->receive_json($wait), { rooms => [], in => 0 }, 'leave_all';
    $ws->close;
    $ws = $client->websocket('/late');
    $ws->send_text('now');
    is $ws->receive_text($wait), 'open already', 'on(open) of an open connection is called at once';
    $ws->close;
    $ws = $client->websocket('/noise');
    $ws->send_text('x');
    is $ws->receive_text($wait), "error x\n", 'an async error callback';
    $ws->close;
    is $eventually->(sub { my $log = $client->get('/log')->json; @$log && $log }), ['async close'], 'an async close callback';
    $ws = $client->websocket('/codes');
    $ws->send_text('x');
    is $ws->receive_text($wait), undef, 'closed';
    is [ $ws->close_code, $ws->close_reason ], [ 1000, '' ], 'the code and reason of a close without arguments';
    $ws = $client->websocket('/blocking');
    $ws->send_text(21);
    is $ws->receive_text($wait), 42, 'blocking work for a WebSocket';
    $ws->close;

    my $one = $client->sse('/channels/1');
    my $two = $client->sse('/channels/2');
    is $_->receive_event(@wait)->{data}, 'news,own', 'channels, one of them left again' for $one, $two;
    for my $case ([ publish => 3 ], [ publish_others => 2 ], [ publish_async => 3 ], [ publish_others_async => 2 ]) {
        my ($how, $count) = @$case;
        $eventually->(sub { $client->get('/listeners/news')->json == 2 });
        my $publisher = $client->sse("/publisher/$how");
        my @data;
        while (my $event = $publisher->receive_event(@wait)) { push @data, $event->{data} }
        is [ sort @data ], [ sort $count == 3 ? 'from the publisher' : (), 'ready', "told $count" ], "$how: the count, and whether the publisher hears itself";
        is $_->receive_event(@wait)->{data}, 'from the publisher', '... the others do' for $one, $two;
    }
    $one->close;
    is $eventually->(sub { my $log = $client->get('/log')->json; @$log && $log }), ['left 1'], 'the end of one';
    $two->close;

    my $alone = $client->sse('/alone');
    my @events;
    while (my $event = $alone->receive_event(@wait)) { push @events, $event->{data} }
    is \@events, [ '0', '{"started":true}' ], 'unsubscribe_all; keepalive is no event';
}, lifespan => 1);

subtest 'wrong calls' => sub {
    my $app = PAGI::Simple->new(name => 'x', quiet => 1);
    my %said;
    $app->websocket('/ws' => sub ($ws) {
        $said{ws} = eval { $ws->on(nonsense => sub { }); 1 } ? 'taken' : $@;
        $said{code} = eval { $ws->on(message => 'text'); 1 } ? 'taken' : $@;
        $ws->accept;
        $said{deny} = eval { $ws->deny; 1 } ? 'taken' : $@;
    });
    $app->sse('/sse' => sub ($sse) {
        $said{sse} = eval { $sse->on(message => sub { }); 1 } ? 'taken' : $@;
        $said{option} = eval { $sse->send_event(data => 1, evnet => 'x'); 1 } ? 'taken' : $@;
        $sse->start;
        $said{late} = eval { $sse->deny->get; 1 } ? 'taken' : $@;
    });
    my $client = PAGI::Test::Client->new(app => $app);
    $client->websocket('/ws')->close;
    $client->sse('/sse')->close;
    like \%said, {
        ws => qr/\AUnknown event: nonsense \(expected open, message, close, error\) at \Q$0\E/, code => qr/\Aon 'message' needs a coderef/,
        deny => qr/\AThe WebSocket is accepted already; use close/, sse => qr/\AUnknown event: message \(expected connect, close, error\)/,
        option => qr/\AUnknown options to send_event: evnet/, late => qr/\AThe stream has started already; use close/,
    }, 'say what is wrong';
};

done_testing;
