package PAGITest::ChatExample;

# The two chats of examples/toolkit are one conversation over two ways to speak WebSocket, and one test. What they know is in
# the memory of the process, so each needs a test file of its own.

use v5.36;
use Cwd ();
use Exporter qw(import);
use File::Basename ();
use Future::IO::Impl::IOAsync;
use PAGITest::Backends qw(each_backend);
use Test2::V0;

our @EXPORT_OK = qw(test_chat);

my $EXAMPLES = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../../../examples/toolkit');

sub test_chat ($example) {
    each_backend("$EXAMPLES/$example/app.pl", sub ($client, $backend) {
        my $wait = $backend eq 'server' ? 20 : undef;
        # answers come with news of others in between: look for one of a type
        my $next = sub ($ws, $type) {
            while (1) { my $message = $ws->receive_json($wait) // return undef; return $message if $message->{type} eq $type }
        };
        my ($n, $say) = (0, sub ($ws, %message) { $ws->send_json(\%message) });

        like $client->get('/')->text, qr/<form id="login">/, 'the page';
        is [ map { $client->get($_)->content_type } '/style.css', '/chat.js' ], [ 'text/css', 'application/javascript' ], 'its files';
        is [ map { $client->get($_)->status } '/../app.pl', '/none.html', '/api/room/none/users', '/api/none' ], [ (404) x 4 ], 'nothing else';
        is $client->get('/none.html')->json, { error => 'Not found' }, 'told in JSON';

        my $ann = $client->websocket("/ws/chat?name=Ann%20of%20$backend");
        my $hello = $next->($ann, 'connected');
        my $name = 'Ann_of_' . ($backend eq 'server' ? 'server' : 'in_process');
        is [ $hello->{name}, [ map { $_->{name} } @{ $hello->{rooms} } ] ], [ $name, [qw(general help random)] ], 'connected';
        is $next->($ann, 'joined')->{room}, 'general', 'in the first room';
        my $bob = $client->websocket("/ws/chat?name=$name");
        is $next->($bob, 'connected')->{name}, "${name}2", 'names are unique';
        $next->($bob, 'joined');
        is [ map { $_->{name} } @{ $next->($ann, 'user_joined')->{users} } ], [ $name, "${name}2" ], 'others are told';

        $say->($ann, type => 'message', room => 'general', text => "hi \x{263a}");
        is [ @{ $next->($_, 'message') }{qw(from text)} ], [ $name, "hi \x{263a}" ], 'a message' for $ann, $bob;
        $bob->send_text('no JSON');
        $say->($bob, type => 'message', room => 'general', text => '/me waves');
        is $next->($ann, 'action')->{text}, 'waves', 'an action; nonsense is ignored';
        $say->($bob, type => 'join', room => 'Perl Talk!');
        is $next->($bob, 'joined')->{room}, 'perltalk', 'a room of its own';
        for my $case (
            [ { type => 'join',    room => 'perltalk' },                          'You are already in perltalk' ],
            [ { type => 'leave',   room => 'general' },                           'Nobody leaves general' ],
            [ { type => 'message', room => 'random', text => 'x' },               'You are not in random' ],
            [ { type => 'pm',      to => 'nobody', text => 'x' },                 'No such user: nobody' ],
            [ { type => 'wave' },                                                 'Unknown message type: wave' ],
            [ { type => 'message', room => 'general', text => '/dance' },         qr{\AUnknown command: /dance} ],
        ) {
            my ($message, $error) = @$case;
            $bob->send_json($message);
            like $next->($bob, 'error')->{message}, $error, "error: $error";
        }
        $say->($bob, type => 'pm', to => lc $name, text => 'psst');
        is [ $next->($bob, 'pm_sent')->{to}, $next->($ann, 'pm')->{text} ], [ $name, 'psst' ], 'a private message';
        $say->($bob, type => 'typing', room => 'general', typing => \1);
        ok $next->($ann, 'typing')->{typing}, 'typing';
        $say->($bob, type => 'set_nick', name => 'Bob');
        is [ @{ $next->($ann, 'nick_changed') }{qw(old_name new_name)} ], [ "${name}2", 'Bob' ], 'another name';
        $say->($bob, type => 'ping', ts => 5);
        is $next->($bob, 'pong')->{ts}, 5, 'ping';
        $say->($bob, type => 'get_history', room => 'general');
        is [ map { $_->{text} } @{ $next->($bob, 'history')->{messages} } ], [ "hi \x{263a}", 'waves' ], 'history';
        $say->($bob, type => 'message', room => 'perltalk', text => '/leave');
        is $next->($bob, 'left')->{room}, 'perltalk', 'left';

        is [ map { $_->{name} } @{ $client->get('/api/rooms')->json } ], [qw(general help random)], 'a room without people vanishes';
        is [ map { $_->{text} } @{ $client->get('/api/room/general/history')->json } ], [ "hi \x{263a}", 'waves' ], 'history by HTTP';
        is [ sort map { $_->{name} } @{ $client->get('/api/room/general/users')->json } ], [ $name, 'Bob' ], 'so are people';
        is $client->get('/api/stats')->json, hash { field messages_total => 2; field users_online => 2; field rooms_count => 3; etc }, 'and numbers';

        $ann->close;
        $say->($bob, type => 'message', room => 'general', text => 'are you there?');
        $next->($bob, 'message');
        my $again = $client->websocket("/ws/chat?session=$hello->{session_id}&lastMsgId=2");
        my $resumed = $next->($again, 'resumed');
        is [ $resumed->{name}, map { $_->{text} } @{ $resumed->{missedMessages}{general} } ], [ $name, 'are you there?' ], 'back, with what was missed';

        my @wait = $wait ? (timeout => $wait) : ();
        my $sse = $client->sse('/events', headers => { 'Last-Event-ID' => 0 });
        my @told;
        until (@told && $told[-1]{event} eq 'stats') { push @told, $sse->receive_event(@wait) }
        is [ map { $_->{event} } @told ], bag { item 'user_connected'; item 'room_created'; item 'room_deleted'; item 'stats'; etc }, 'what happened, then statistics';
        $_->close for $bob, $again, $sse;
    }, lifespan => 1);
    return;
}

1;
