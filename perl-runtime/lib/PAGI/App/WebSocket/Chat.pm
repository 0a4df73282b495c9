package PAGI::App::WebSocket::Chat;

use strict;
use warnings;

use Future::AsyncAwait;
use PAGI::App::Support::Answer qw(unsupported);
use PAGI::App::Support::Outbox;
use PAGI::Utils::TextJSON;

# Process-wide: room => { user id => client }
my %ROOMS;
my $LAST_ID = 0;

my %COMMAND = map { $_ => __PACKAGE__->can("_do_$_") } qw(message join leave nick list rooms);

sub new {
    my ($class, %args) = @_;
    return bless { default_room => $args{default_room} // 'lobby', max_rooms => $args{max_rooms} // 100 }, $class;
}

sub to_app {
    my ($class) = @_;
    my $self = bless { %{ ref $class ? $class : $class->new } }, ref $class || $class;
    return sub {
        my ($scope, $receive, $send) = @_;
        return unsupported($scope) if ($scope->{type} // '') ne 'websocket';
        return $self->_serve($receive, $send);
    };
}

async sub _serve {
    my ($self, $receive, $send) = @_;
    await $send->({ type => 'websocket.accept' });

    my $id = ++$LAST_ID;
    my %client = (id => $id, username => "user_$id", rooms => {});
    $client{outbox} = PAGI::App::Support::Outbox->new(send => $send);
    my $room = $self->{default_room};
    _enter(\%client, $room);
    _tell(\%client, { type => 'welcome', user_id => $id, username => $client{username}, room => $room });

    my $ok = eval {
        while (!$client{outbox}->is_lost) {
            my $event = await $receive->();
            last if $event->{type} eq 'websocket.disconnect';
            $self->_command(\%client, $event) if $event->{type} eq 'websocket.receive';
        }
        1;
    };
    my $error = $@;
    _exit(\%client, $_) for sort keys %{ $client{rooms} };
    die $error unless $ok;
    return;
}

sub _command {
    my ($self, $client, $event) = @_;
    my $data = defined $event->{text} ? eval { PAGI::Utils::TextJSON::decode($event->{text}) } : undef;
    return _error($client, 'Invalid message: a JSON object in a text message is expected') unless ref $data eq 'HASH';
    return _error($client, 'Invalid room name') if ref $data->{room} || (defined $data->{room} && !length $data->{room});
    my $do = $COMMAND{ ref $data->{type} ? '' : $data->{type} // 'message' } or return;
    return $self->$do($client, $data);
}

sub _do_message {
    my ($self, $client, $data) = @_;
    return _error($client, 'Invalid message: no text in "message"') if !defined $data->{message} || ref $data->{message};
    for my $room (defined $data->{room} ? $data->{room} : sort keys %{ $client->{rooms} }) {
        next unless $client->{rooms}{$room};
        _tell_others($client, $room, {
            type      => 'message',
            room      => $room,
            _user($client),
            message   => $data->{message},
            timestamp => time,
        });
    }
    return;
}

sub _do_join {
    my ($self, $client, $data) = @_;
    my $room = $data->{room} // $self->{default_room};
    return _error($client, 'Max rooms reached') if !$ROOMS{$room} && keys %ROOMS >= $self->{max_rooms};
    _enter($client, $room);
    return _tell($client, { type => 'joined', room => $room });
}

sub _do_leave {
    my ($self, $client, $data) = @_;
    my $room = $data->{room};
    return unless defined $room && $client->{rooms}{$room};
    _exit($client, $room);
    return _tell($client, { type => 'left', room => $room });
}

sub _do_nick {
    my ($self, $client, $data) = @_;
    my $name = ref $data->{username} ? '' : $data->{username} // '';
    $name =~ s/[^\w\-]//g;
    $name = substr $name, 0, 20;
    return _error($client, 'Invalid username: letters, digits, "_" or "-" are expected') unless length $name;
    $client->{username} = $name;
    return _tell($client, { type => 'nick', username => $name });
}

sub _do_list {
    my ($self, $client, $data) = @_;
    my $room = $data->{room} // $self->{default_room};
    my $members = $ROOMS{$room} or return;
    return _tell($client, {
        type  => 'users',
        room  => $room,
        users => [map { $members->{$_}{username} } sort { $a <=> $b } keys %$members],
    });
}

sub _do_rooms {
    my ($self, $client) = @_;
    return _tell($client, {
        type  => 'rooms',
        rooms => [map { +{ name => $_, count => scalar keys %{ $ROOMS{$_} } } } sort keys %ROOMS],
    });
}

# --- rooms

sub _enter {
    my ($client, $room) = @_;
    return if $client->{rooms}{$room}++;
    $ROOMS{$room}{ $client->{id} } = $client;
    return _tell_others($client, $room, { type => 'user_joined', room => $room, _user($client) });
}

sub _exit {
    my ($client, $room) = @_;
    delete $client->{rooms}{$room};
    delete $ROOMS{$room}{ $client->{id} };
    if (!%{ $ROOMS{$room} }) {
        delete $ROOMS{$room};
        return;
    }
    return _tell_others($client, $room, { type => 'user_left', room => $room, _user($client) });
}

sub _user { return (user_id => $_[0]{id}, username => $_[0]{username}) }

sub _tell {
    my ($client, $data) = @_;
    $client->{outbox}->post({ type => 'websocket.send', text => PAGI::Utils::TextJSON::encode($data) });
    return;
}

sub _error { return _tell($_[0], { type => 'error', message => $_[1] }) }

sub _tell_others {
    my ($client, $room, $data) = @_;
    my $text = PAGI::Utils::TextJSON::encode($data);
    my $members = $ROOMS{$room};
    for my $id (sort { $a <=> $b } keys %$members) {
        next if $id == $client->{id};
        $members->{$id}{outbox}->post({ type => 'websocket.send', text => $text });
    }
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WebSocket::Chat - chat rooms

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::WebSocket::Chat;

    my $app = PAGI::App::WebSocket::Chat->new(default_room => 'lobby', max_rooms => 100)->to_app;

=head1 DESCRIPTION

Everybody who connects gets a number, the name C<user_NUMBER> and a place in the default room, and is told so:

    {"type":"welcome","user_id":1,"username":"user_1","room":"lobby"}

All messages are JSON objects in text messages. Clients send

    {"type":"message","message":"Hi","room":"lobby"}   to the others in that room, or in all rooms joined
    {"type":"join","room":"perl"}                      {"type":"joined",...}, others {"type":"user_joined",...}
    {"type":"leave","room":"perl"}                     {"type":"left",...}, others {"type":"user_left",...}
    {"type":"nick","username":"ann"}                   {"type":"nick",...}; word characters and "-", 20 at most
    {"type":"list","room":"perl"}                      {"type":"users","room":"perl","users":["ann"]}
    {"type":"rooms"}                                   {"type":"rooms","rooms":[{"name":"perl","count":1}]}

and see messages of others as

    {"type":"message","room":"lobby","user_id":2,"username":"bob","message":"Hi","timestamp":1700000000}

C<type> may be left out for messages; unknown types are ignored. What cannot be done is answered with
C<{"type":"error","message":"..."}>. Rooms belong to the process, and vanish when the last one leaves. Other scope types are
rejected: the Future fails.

=head1 METHODS

=head2 new

=over

=item default_room

Default C<lobby>.

=item max_rooms

How many rooms there may be before C<join> makes no new one. Default 100.

=back

=head2 to_app

The app. Works on the class too.

=cut
