use v5.36;
use utf8;
use Encode qw(decode);
use File::Basename qw(dirname);
use Future::AsyncAwait;
use JSON::MaybeXS;

# A chat with rooms, and the page for it. Rooms live in this process: run it without workers.

my $page = do {
    open my $file, '<:raw', dirname(__FILE__) . '/index.html' or die "index.html: $!";
    local $/;
    <$file>;
};

my $json    = JSON::MaybeXS->new(utf8 => 0, canonical => 1);    # characters: the server encodes text
my $history = 50;          # messages that a newcomer gets to see
my $longest = 2000;        # characters of a message
my $behind  = 1_000_000;   # bytes that a member may be behind before we give up on it

my %rooms;                 # name => { members => { id => member }, history => [text, ...] }
my $last_id = 0;

# What a query parameter is, in characters.
sub parameter ($scope, $wanted) {
    for my $pair (split /&/, $scope->{query_string}) {
        my ($name, $value) = map { tr/+/ /r =~ s/%([0-9A-Fa-f]{2})/chr hex $1/gers } split /=/, "$pair=", -1;
        return decode('UTF-8', $value) if $name eq $wanted;
    }
    return '';
}

# To one member. Nobody waits for it: whoever does not read for long is put out instead.
sub deliver ($member, $text) {
    if ($member->{transport}->buffered_amount > $behind) {
        leave($member);
        $member->{send}->({ type => 'websocket.close', code => 1008, reason => 'too slow' })->retain;
        return;
    }
    $member->{send}->({ type => 'websocket.send', text => $text })->retain;
}

sub broadcast ($room, $message) {
    my $text = $json->encode($message);
    if ($message->{type} eq 'message') {
        push $room->{history}->@*, $text;
        shift $room->{history}->@* if $room->{history}->@* > $history;
    }
    deliver($_, $text) for values $room->{members}->%*;
}

sub names ($room) {
    return [ sort map { $_->{name} } values $room->{members}->%* ];
}

sub join_room ($member) {
    my $room = $rooms{ $member->{room} } //= { members => {}, history => [] };
    deliver($member, $_) for $room->{history}->@*;
    $room->{members}{ $member->{id} } = $member;
    broadcast($room, { type => 'joined', name => $member->{name}, names => names($room) });
}

sub leave ($member) {
    my $room = $rooms{ $member->{room} } or return;
    delete $room->{members}{ $member->{id} } or return;
    broadcast($room, { type => 'left', name => $member->{name}, names => names($room) });
    delete $rooms{ $member->{room} } if !$room->{members}->%*;
}

async sub chat ($scope, $receive, $send) {
    my ($room) = $scope->{path} =~ m{\A/rooms/([\w -]{1,30})\z};
    my $name = parameter($scope, 'name');
    $name =~ s/\A\s+|\s+\z//g;

    await $receive->();
    if (!defined $room || $name !~ /\A[\w .-]{1,30}\z/) {
        return await refuse($scope, $send);
    }
    await $send->({ type => 'websocket.accept' });
    await $send->({ type => 'websocket.keepalive', interval => 25, timeout => 20 });

    my $member = { id => ++$last_id, name => $name, room => $room, send => $send, transport => $scope->{'pagi.transport'} };
    join_room($member);
    while (1) {
        my $event = await $receive->();
        last if $event->{type} eq 'websocket.disconnect';
        my $text = $event->{text} // '';
        next if $text !~ /\S/;
        broadcast($rooms{$room}, { type => 'message', name => $name, text => substr($text, 0, $longest) })
            if $rooms{$room} && $rooms{$room}{members}{ $member->{id} };
    }
    leave($member);
}

# An answer that says why, where the server can give one to a handshake.
async sub refuse ($scope, $send) {
    if (!$scope->{extensions}{'websocket.http.response'}) {
        return await $send->({ type => 'websocket.close' });
    }
    await $send->({
        type    => 'websocket.http.response.start',
        status  => 422,
        headers => [ [ 'content-type', 'text/plain' ] ],
    });
    await $send->({ type => 'websocket.http.response.body', body => "Rooms and names have 1 to 30 letters and digits.\n" });
}

async sub page ($scope, $receive, $send) {
    my $found = $scope->{path} eq '/';
    my $body  = $found ? $page : "There is only one page here, /\n";
    await $send->({
        type    => 'http.response.start',
        status  => $found ? 200 : 404,
        headers => [
            [ 'content-type', $found ? 'text/html; charset=utf-8' : 'text/plain' ],
            [ 'content-length', length $body ],
        ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

my %handler = (websocket => \&chat, http => \&page);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
