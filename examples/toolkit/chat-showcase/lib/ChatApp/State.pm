package ChatApp::State;

use strict;
use warnings;
use Exporter qw(import);
use Future;
use Future::IO;
use PAGI::Utils::Random qw(secure_random_bytes);

# Everything the chat knows, in the memory of this process: people, rooms, what happened, and who listens to that.

our @EXPORT_OK = qw(
    session create_session resume_session end_connection rename_session sessions session_named
    room rooms create_room join_room leave_room users_of add_message history missed_messages
    send_to send_to_room subscribe unsubscribe system_event events_since stats
    MESSAGES_PER_ROOM
);

use constant {
    MESSAGES_PER_ROOM => 100,
    SYSTEM_EVENTS     => 50,
    PRESENCE_GRACE    => 30,         # seconds until "left" is told: a reload is no farewell
    SESSION_EXPIRY    => 86_400,
};

my @DEFAULT_ROOMS = qw(general random help);
my (%sessions, %rooms, %subscribers, @events);
my ($next_message, $next_event, $next_subscriber, $messages, $started) = (0, 0, 0, 0, time);

create_room($_, 'system') for @DEFAULT_ROOMS;

# --- people

sub session { return defined $_[0] ? $sessions{ $_[0] } : undef }
sub sessions { return grep { $_->{connected} } values %sessions }

sub session_named {
    my ($name) = @_;
    my ($found) = grep { lc $_->{name} eq lc $name } sessions();
    return $found;
}

sub create_session {
    my ($name, $send) = @_;
    _expire();
    my $id = unpack 'H*', secure_random_bytes(16);
    my $session = $sessions{$id} = {
        id => $id, name => _free_name($name), send_cb => $send, rooms => {}, connected => 1,
        joined_at => time, last_seen => time, last_message_id => 0, typing_in => undef,
        disconnected_at => undef, disconnect_timer => undef,
    };
    system_event(user_connected => { name => $session->{name} });
    return $session;
}

sub resume_session {
    my ($id, $send) = @_;
    my $session = session($id) or return undef;
    my $timer = delete $session->{disconnect_timer};
    $timer->cancel if $timer && !$timer->is_ready;
    @$session{qw(send_cb connected disconnected_at last_seen)} = ($send, 1, undef, time);
    return $session;
}

# The connection is gone; the person is, after a while.
sub end_connection {
    my ($session, $send) = @_;
    # a newer connection may have taken over
    return if !$session->{send_cb} || $session->{send_cb} != $send;
    @$session{qw(send_cb connected disconnected_at)} = (undef, 0, time);
    my $timer = $session->{disconnect_timer} = Future::IO->sleep(PRESENCE_GRACE);
    $timer->on_done(sub {
        return if $session->{connected};
        leave_room($session, $_) for keys %{ $session->{rooms} };
        system_event(user_disconnected => { name => $session->{name} });
    });
    return;
}

sub rename_session {
    my ($session, $name) = @_;
    my $old = $session->{name};
    $session->{name} = '';
    $session->{name} = _free_name($name);
    return $old;
}

sub _free_name {
    my ($wanted) = @_;
    my $name = defined $wanted ? $wanted : '';
    $name =~ s/\W/_/ga;
    $name = substr $name, 0, 20;
    $name = sprintf 'User%03d', int rand 1000 if length $name < 2;
    my %taken = map { lc $_->{name} => 1 } sessions();
    return $name unless $taken{ lc $name };
    my $number = 2;
    $number++ while $taken{ lc "$name$number" };
    return "$name$number";
}

sub _expire {
    my $oldest = time - SESSION_EXPIRY;
    delete @sessions{ grep { !$sessions{$_}{connected} && $sessions{$_}{last_seen} < $oldest } keys %sessions };
    return;
}

# --- rooms

sub room  { return defined $_[0] ? $rooms{ lc $_[0] } : undef }
sub rooms { return map { $rooms{$_} } sort keys %rooms }

sub create_room {
    my ($wanted, $by) = @_;
    my $name = lc(defined $wanted ? $wanted : '');
    $name =~ s/[^\w-]//ga;
    $name = substr $name, 0, 30;
    $name = sprintf 'room%03d', int rand 1000 unless length $name;
    return $rooms{$name} if $rooms{$name};
    $rooms{$name} = { name => $name, users => {}, messages => [], created_at => time, created_by => $by };
    system_event(room_created => { room => $name, by => $by }) if $by ne 'system';
    return $rooms{$name};
}

sub users_of {
    my ($room) = @_;
    my @users = sort { $a->{name} cmp $b->{name} } map { $sessions{$_} || () } keys %{ $room->{users} };
    return [ map { +{ id => $_->{id}, name => $_->{name}, typing => ($_->{typing_in} || '') eq $room->{name} ? \1 : \0 } } @users ];
}

sub join_room {
    my ($session, $room) = @_;
    $room->{users}{ $session->{id} } = 1;
    $session->{rooms}{ $room->{name} } = 1;
    send_to_room($room, { type => 'user_joined', room => $room->{name}, user => $session->{name}, users => users_of($room) }, $session);
    return;
}

sub leave_room {
    my ($session, $name) = @_;
    delete $session->{rooms}{$name};
    my $room = $rooms{$name} or return;
    delete $room->{users}{ $session->{id} };
    send_to_room($room, { type => 'user_left', room => $name, user => $session->{name}, users => users_of($room) });
    if (!%{ $room->{users} } && !grep { $_ eq $name } @DEFAULT_ROOMS) {
        delete $rooms{$name};
        system_event(room_deleted => { room => $name });
    }
    return;
}

sub add_message {
    my ($room, $type, $from, $text) = @_;
    my $message = { type => $type, room => $room->{name}, from => $from, text => $text, ts => time, id => ++$next_message };
    push @{ $room->{messages} }, $message;
    shift @{ $room->{messages} } while @{ $room->{messages} } > MESSAGES_PER_ROOM;
    $messages++;
    return $message;
}

sub history {
    my ($room, $count) = @_;
    my @all = @{ $room->{messages} };
    return [ @all > $count ? @all[ -$count .. -1 ] : @all ];
}

sub missed_messages {
    my ($session, $last_id) = @_;
    my %missed;
    for my $room (map { room($_) || () } keys %{ $session->{rooms} }) {
        my @later = grep { $_->{id} > $last_id } @{ $room->{messages} };
        $missed{ $room->{name} } = \@later if @later;
    }
    return \%missed;
}

# --- telling

sub send_to {
    my ($session, $message) = @_;
    return unless $session->{send_cb};
    my $sent = $session->{send_cb}->($message);
    # a client that has just left is not an error, and its Future must live until it is done
    $sent->else(sub { Future->done })->retain;
    return;
}

sub send_to_room {
    my ($room, $message, $except) = @_;
    for my $id (keys %{ $room->{users} }) {
        my $session = $sessions{$id} or next;
        send_to($session, $message) unless $except && $except == $session;
    }
    return;
}

sub subscribe {
    my ($code) = @_;
    $subscribers{ ++$next_subscriber } = $code;
    return $next_subscriber;
}

sub unsubscribe { delete $subscribers{ $_[0] }; return }

sub system_event {
    my ($type, $data) = @_;
    my $event = { id => ++$next_event, type => $type, data => { %$data, ts => time } };
    push @events, $event;
    shift @events while @events > SYSTEM_EVENTS;
    $_->($event) for values %subscribers;
    return $event;
}

sub events_since {
    my ($id) = @_;
    return grep { $_->{id} > $id } @events;
}

sub stats {
    return {
        uptime          => time - $started,
        users_online    => scalar(() = sessions()),
        rooms_count     => scalar keys %rooms,
        messages_total  => $messages,
        sse_subscribers => scalar keys %subscribers,
    };
}

1;
