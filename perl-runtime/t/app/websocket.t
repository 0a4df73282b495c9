use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(call_app);
use Future;
use PAGI::App::Support::Outbox;
use PAGI::App::WebSocket::Broadcast;
use PAGI::App::WebSocket::Chat;
use PAGI::App::WebSocket::Echo;
use PAGI::Test::Client;
use PAGITest::Backends qw(each_backend);

sub client ($app) { PAGI::Test::Client->new(app => $app) }

subtest 'Echo' => sub {
    my @log;
    my $app = PAGI::App::WebSocket::Echo->new(
        on_connect => sub ($scope) { push @log, "connect $scope->{path}"; Future->done },
        on_disconnect => sub ($scope, $code) { push @log, "disconnect $code" },
    )->to_app;
    my $ws = client($app)->websocket('/echo');
    $ws->send_text("caf\x{e9} \x{3042}");
    is $ws->receive_text, "caf\x{e9} \x{3042}", 'text';
    $ws->send_bytes("\x00\xff");
    is $ws->receive_bytes, "\x00\xff", 'binary';
    $ws->send_text($_), is($ws->receive_text, $_, "'$_'") for '', '0';
    $ws->close(4001);
    is \@log, ['connect /echo', 'disconnect 4001'], 'callbacks';

    my ($sent) = call_app(PAGI::App::WebSocket::Echo->to_app, { type => 'websocket' }, { type => 'websocket.connect' },
        { type => 'websocket.receive', text => undef, bytes => 'b' }, { type => 'websocket.receive', text => 't', bytes => undef }, { type => 'websocket.disconnect', code => 1000 });
    is $sent, [{ type => 'websocket.accept' }, { type => 'websocket.send', bytes => 'b' }, { type => 'websocket.send', text => 't' }], 'both keys present';
};

subtest 'Broadcast' => sub {
    my $class = 'PAGI::App::WebSocket::Broadcast';
    my $app = $class->new(channel => 'news')->to_app;
    is [$class->client_count('news'), $class->client_count], [0, 0], 'nobody';
    my ($ann, $bob) = map { client($app)->websocket('/') } 1, 2;
    my $self = client($class->new(channel => 'self', echo_self => 1)->to_app)->websocket('/');
    is [$class->client_count('news'), $class->client_count('self'), $class->client_count], [2, 1, 3], 'counts';
    $ann->send_text('hi');
    $ann->send_bytes("\xff");
    is [$bob->receive_text, $bob->receive_bytes], ['hi', "\xff"], 'the other one hears it';
    $class->broadcast(news => 'all');
    $class->broadcast(news => 'bin', binary => 1);
    $class->broadcast(nowhere => 'x');
    is [$ann->receive_text, $ann->receive_bytes], ['all', 'bin'], 'broadcast; her own words did not come back';
    $self->send_text('me');
    is $self->receive_text, 'me', 'echo_self';
    $bob->close;
    is $class->client_count('news'), 1, 'gone';
    $_->close for $ann, $self;
    is $class->client_count, 0, 'all gone';

    my $fail = 0;
    my $receive = sub { Future->new };
    my $future = $app->({ type => 'websocket' }, $receive, sub ($event) { $fail ? Future->fail('broken') : Future->done });
    is $class->client_count('news'), 1, 'one more';
    $fail = 1;
    $class->broadcast(news => 'x');
    is $class->client_count('news'), 0, 'a client whose send fails is dropped';
    $future->cancel;
    my ($own) = call_app($class->new(channel => 'keys', echo_self => 1)->to_app, { type => 'websocket' }, { type => 'websocket.connect' },
        { type => 'websocket.receive', text => undef, bytes => 'b' }, { type => 'websocket.receive', text => 't', bytes => undef }, { type => 'websocket.disconnect', code => 1000 });
    is [@$own[1, 2]], [{ type => 'websocket.send', bytes => 'b' }, { type => 'websocket.send', text => 't' }], 'the kind is kept, also with both keys present';
    my ($sent, $ended) = call_app($app, { type => 'websocket' }, { type => 'websocket.connect' }, sub { Future->fail('receive broke') });
    ok $ended->is_done, 'an error in the loop is swallowed';
    is $class->client_count('news'), 0, 'and the client removed';
};

subtest 'Outbox' => sub {
    my (@pending, @sent, $lost);
    my $outbox = PAGI::App::Support::Outbox->new(limit => 2, on_lost => sub { $lost++ }, send => sub ($event) { push @sent, $event; push @pending, Future->new; $pending[-1] });
    $outbox->post($_) for 1 .. 3;
    is \@sent, [1], 'one at a time';
    my $drained = $outbox->drained;
    (shift @pending)->done for 1 .. 2;
    is \@sent, [1, 2, 3], 'in order';
    ok !$drained->is_ready, 'one is under way';
    (shift @pending)->done;
    ok $drained->is_ready && $outbox->drained->is_ready, 'drained';
    $outbox->post($_) for 4 .. 7;
    is [$lost, $outbox->is_lost], [1, 1], 'too far behind';
    $outbox->post(8);
    is [$#sent, $lost], [3, 1], 'nothing more is sent';
};

subtest 'Chat' => sub {
    my $app = PAGI::App::WebSocket::Chat->new(max_rooms => 2)->to_app;
    my $ann = client($app)->websocket('/');
    my $welcome = $ann->receive_json;
    like $welcome, { type => 'welcome', room => 'lobby', username => qr/\Auser_\d+\z/, user_id => qr/\A\d+\z/ }, 'welcome';
    my $bob = client($app)->websocket('/');
    my $id = $bob->receive_json->{user_id};
    is $ann->receive_json, { type => 'user_joined', room => 'lobby', user_id => $id, username => "user_$id" }, 'others are told';

    $bob->send_json({ type => 'nick', username => "b ob!\x{e9}-" . 'x' x 30 });
    is $bob->receive_json, { type => 'nick', username => "bob\x{e9}-" . 'x' x 15 }, 'nick';
    $bob->send_json({ type => 'nick', username => '!!' });
    like $bob->receive_json, { type => 'error', message => qr/Invalid username/ }, 'an empty nickname';
    $bob->send_json({ type => 'nick', username => 'bob' });
    $bob->receive_json;

    $bob->send_json({ type => 'message', message => "hi \x{3042}" });
    my $message = $ann->receive_json;
    ok abs(delete($message->{timestamp}) - time) < 3, 'timestamp';
    is $message, { type => 'message', room => 'lobby', user_id => $id, username => 'bob', message => "hi \x{3042}" }, 'message';
    $bob->send_json({ message => 'no type', room => 'lobby' });
    is $ann->receive_json->{message}, 'no type', 'type may be missing';
    $bob->send_json({ type => 'message', message => 'x', room => 'elsewhere' });

    $bob->send_json({ type => 'join', room => 'perl' });
    is $bob->receive_json, { type => 'joined', room => 'perl' }, 'joined; no echo of messages in between';
    $ann->send_json({ type => 'join', room => 'full' });
    is $ann->receive_json, { type => 'error', message => 'Max rooms reached' }, 'too many rooms';
    $ann->send_json({ type => 'join', room => 'perl' });
    is $ann->receive_json, { type => 'joined', room => 'perl' }, 'an existing one is fine';
    is $bob->receive_json->{type}, 'user_joined', 'he is told';
    $ann->send_json({ type => 'list', room => 'perl' });
    is $ann->receive_json, { type => 'users', room => 'perl', users => [$welcome->{username}, 'bob'] }, 'list';
    $ann->send_json({ type => 'list', room => 'none' });
    $ann->send_json({ type => 'rooms' });
    is $ann->receive_json, { type => 'rooms', rooms => [{ name => 'lobby', count => 2 }, { name => 'perl', count => 2 }] }, 'rooms';
    $ann->send_json({ type => 'leave', room => 'perl' });
    is $ann->receive_json, { type => 'left', room => 'perl' }, 'left';
    is $bob->receive_json, { type => 'user_left', room => 'perl', user_id => $welcome->{user_id}, username => $welcome->{username} }, 'told';
    $ann->send_json({ type => 'unknown' });
    for my $bad (sub { $ann->send_text('no json') }, sub { $ann->send_text('[1]') }, sub { $ann->send_bytes('{}') }, sub { $ann->send_json({}) }, sub { $ann->send_json({ message => 'x', room => {} }) }) {
        $bad->();
        like $ann->receive_json, { type => 'error', message => qr/Invalid/ }, 'an error, and nothing to the others';
    }
    $bob->close;
    is $ann->receive_json->{type}, 'user_left', 'a disconnect leaves all rooms';
    $ann->send_json({ type => 'rooms' });
    is $ann->receive_json->{rooms}, [{ name => 'lobby', count => 1 }], 'empty rooms vanish';
    $ann->close;
};

subtest 'Chat: options' => sub {
    my $app = PAGI::App::WebSocket::Chat->new(default_room => 'hall')->to_app;
    my $ann = client($app)->websocket('/');
    is $ann->receive_json->{room}, 'hall', 'default_room';
    $ann->send_json({ type => 'leave', room => 'hall' });
    is $ann->receive_json, { type => 'left', room => 'hall' }, 'left';
    $ann->send_json({ type => 'rooms' });
    is $ann->receive_json->{rooms}, [], 'a room that is left by its last member is gone';
    $ann->send_json({ type => 'join' });
    is $ann->receive_json, { type => 'joined', room => 'hall' }, 'join without a room means that one';
    $ann->send_json({ type => 'join', room => "room $_" }) for 1 .. 100;
    my @answers = map { $ann->receive_json } 1 .. 100;
    is [$answers[98]{type}, $answers[99]], ['joined', { type => 'error', message => 'Max rooms reached' }], 'max_rooms is 100';
    my $bob = client($app)->websocket('/');
    $bob->receive_json;
    is $ann->receive_json->{type}, 'user_joined', 'another one comes';
    $bob->send_json({ type => 'join', room => 'room 1' });
    is [$bob->receive_json->{type}, $ann->receive_json->{room}], ['joined', 'room 1'], 'to two rooms';
    $bob->send_json({ type => 'message', message => 'hi' });
    is [map { $ann->receive_json->{room} } 1, 2], ['hall', 'room 1'], 'a message without a room goes to all that were joined';
    $bob->send_json({ type => 'nick', username => 'bob' });
    $bob->receive_json;
    $ann->send_json({ type => 'list', room => 'room 1' });
    like $ann->receive_json->{users}, [qr/user_/, 'bob'], 'a new name holds in all rooms';
    $_->close for $ann, $bob;
};

for my $class (map {"PAGI::App::WebSocket::$_"} qw(Echo Broadcast Chat)) {
    like dies { call_app($class->to_app, { type => $_ }) }, qr/\AUnsupported scope type: $_ at /, "$class rejects $_" for qw(http sse lifespan);
}

each_backend(<<'END', sub ($client, $backend) {
use PAGI::App::URLMap;
PAGI::App::URLMap->new->map({ map { '/' . lc $_ => "PAGI::App::WebSocket::$_" } qw(Echo Broadcast Chat) })->to_app;
END
    my $echo = $client->websocket('/echo');
    $echo->send_text("\x{3042}");
    is $echo->receive_text(20), "\x{3042}", 'Echo';
    my ($one, $two) = map { $client->websocket('/broadcast') } 1, 2;
    $one->send_text('first');    # both connections are open, but the second may not be in the channel yet
    $two->send_text('second');
    is $one->receive_text(20), 'second', 'Broadcast';
    my $chat = $client->websocket('/chat');
    is $chat->receive_json(20)->{type}, 'welcome', 'Chat';
    $_->close for $echo, $one, $two, $chat;
});

done_testing;
