package ChatApp::Conversation;

use strict;
use warnings;
use ChatApp::State qw(
    create_session resume_session end_connection rename_session sessions session_named
    room rooms create_room join_room leave_room users_of add_message history missed_messages send_to send_to_room
);

# What one client says and is told, whatever carries it. A message is a hash with a type; so is every answer.

# Begins or resumes. `send` takes a hash and returns a Future.
sub begin {
    my ($class, %args) = @_;
    my $self = bless { send => $args{send} }, $class;
    my $session = resume_session($args{session}, $args{send});
    if ($session) {
        $self->{session} = $session;
        my $last = ($args{last_message} || 0) =~ /\A([0-9]+)\z/ ? $1 : 0;
        $self->tell(
            type => 'resumed', session_id => $session->{id}, name => $session->{name},
            rooms => [ sort keys %{ $session->{rooms} } ], missedMessages => missed_messages($session, $last),
        );
        join_room($session, room('general')) unless %{ $session->{rooms} };
        return $self;
    }
    $session = $self->{session} = create_session($args{name}, $args{send});
    $self->tell(type => 'connected', session_id => $session->{id}, name => $session->{name}, rooms => _room_list());
    $self->_join('general');
    return $self;
}

sub end {
    my ($self) = @_;
    end_connection($self->{session}, $self->{send});
    return;
}

sub tell {
    my ($self, %message) = @_;
    send_to($self->{session}, \%message);
    return;
}

sub fail { my ($self, $message) = @_; return $self->tell(type => 'error', message => $message) }

my %HANDLER = (
    message     => sub { my ($self, $m) = @_; $self->_say(@$m{qw(room text)}) },
    join        => sub { my ($self, $m) = @_; $self->_join($m->{room}) },
    leave       => sub { my ($self, $m) = @_; $self->_leave($m->{room}) },
    typing      => sub { my ($self, $m) = @_; $self->_typing(@$m{qw(room typing)}) },
    pm          => sub { my ($self, $m) = @_; $self->_private(@$m{qw(to text)}) },
    set_nick    => sub { my ($self, $m) = @_; $self->_rename($m->{name}) },
    get_rooms   => sub { my ($self) = @_; $self->tell(type => 'room_list', rooms => _room_list()) },
    get_users   => sub { my ($self, $m) = @_; $self->_users($m->{room}) },
    get_history => sub {
        my ($self, $m) = @_;
        my $room = $self->_room($m->{room}) or return;
        $self->tell(type => 'history', room => $room->{name}, messages => history($room, 100));
    },
    ping => sub { my ($self, $m) = @_; $self->tell(type => 'pong', ts => $m->{ts}) },
    pong => sub { return },
);

sub take {
    my ($self, $message) = @_;
    return unless ref $message eq 'HASH' && defined $message->{type} && !ref $message->{type};
    $self->{session}{last_seen} = time;
    my $handler = $HANDLER{ $message->{type} } or return $self->fail("Unknown message type: $message->{type}");
    $handler->($self, $message);
    return;
}

sub _room_list { return [ map { +{ name => $_->{name}, users => scalar keys %{ $_->{users} }, created_at => $_->{created_at} } } rooms() ] }

# The room, if there is one and the person is in it.
sub _room {
    my ($self, $name) = @_;
    my $room = room($name);
    return $room if $room && $self->{session}{rooms}{ $room->{name} };
    $self->fail('You are not in ' . (defined $name ? $name : 'that room'));
    return undef;
}

sub _say {
    my ($self, $name, $text) = @_;
    return unless defined $text && !ref $text && length $text && length $text <= 2000;
    return $self->_command($name, $1, $2) if $text =~ m{\A/(\w+)\s*(.*)\z}s;
    my $room = $self->_room($name) or return;
    $self->{session}{typing_in} = undef;
    send_to_room($room, add_message($room, 'message', $self->{session}{name}, $text));
    return;
}

sub _join {
    my ($self, $name) = @_;
    my $session = $self->{session};
    my $room = create_room($name, $session->{name});
    return $self->fail("You are already in $room->{name}") if $session->{rooms}{ $room->{name} };
    join_room($session, $room);
    $self->tell(type => 'joined', room => $room->{name}, history => history($room, 50), users => users_of($room));
    return;
}

sub _leave {
    my ($self, $name) = @_;
    my $room = $self->_room($name) or return;
    return $self->fail('Nobody leaves general') if $room->{name} eq 'general';
    leave_room($self->{session}, $room->{name});
    return $self->tell(type => 'left', room => $room->{name});
}

sub _typing {
    my ($self, $name, $typing) = @_;
    my $room = $self->_room($name) or return;
    $self->{session}{typing_in} = $typing ? $room->{name} : undef;
    send_to_room($room, { type => 'typing', room => $room->{name}, user => $self->{session}{name}, typing => $typing ? \1 : \0 }, $self->{session});
    return;
}

sub _private {
    my ($self, $to, $text) = @_;
    return unless defined $text && length $text;
    my $other = session_named(defined $to ? $to : '') or return $self->fail('No such user: ' . (defined $to ? $to : ''));
    send_to($other, { type => 'pm', from => $self->{session}{name}, text => $text, ts => time });
    return $self->tell(type => 'pm_sent', to => $other->{name}, text => $text, ts => time);
}

sub _rename {
    my ($self, $name) = @_;
    my $session = $self->{session};
    my %change = (type => 'nick_changed', old_name => rename_session($session, $name), new_name => $session->{name});
    return $self->tell(%change) unless %{ $session->{rooms} };
    for my $room (map { room($_) || () } sort keys %{ $session->{rooms} }) {
        send_to_room($room, { %change, room => $room->{name}, users => users_of($room) });
    }
    return;
}

sub _users {
    my ($self, $name) = @_;
    my $room = $self->_room($name) or return;
    return $self->tell(type => 'user_list', room => $room->{name}, users => users_of($room));
}

my $HELP = 'Commands: /help, /rooms, /users, /join ROOM, /leave, /pm NAME TEXT, /nick NAME, /me ACTION';

sub _command {
    my ($self, $room, $command, $rest) = @_;
    return $self->tell(type => 'system', room => $room, text => $HELP) if $command eq 'help';
    return $self->take({ type => 'get_rooms' })                        if $command eq 'rooms';
    return $self->_users($room)                                        if $command eq 'users';
    return $self->_join($rest)                                         if $command eq 'join' && length $rest;
    return $self->_leave(length $rest ? $rest : $room)                 if $command eq 'leave';
    return $self->_rename($rest)                                       if $command eq 'nick';
    return $self->_private($1, $2)                                     if $command eq 'pm' && $rest =~ /\A(\S+)\s+(.+)\z/s;
    if ($command eq 'me' && length $rest) {
        my $here = $self->_room($room) or return;
        return send_to_room($here, add_message($here, 'action', $self->{session}{name}, $rest));
    }
    return $self->fail("Unknown command: /$command. $HELP");
}

1;
