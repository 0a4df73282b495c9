package PAGI::App::WebSocket::Broadcast;

use strict;
use warnings;

use Future::AsyncAwait;
use PAGI::App::Support::Answer qw(unsupported);
use PAGI::App::Support::Outbox;

# Process-wide: channel => { client number => outbox }
my %CHANNELS;
my $LAST = 0;

sub new {
    my ($class, %args) = @_;
    return bless { channel => $args{channel} // 'default', echo_self => $args{echo_self} ? 1 : 0 }, $class;
}

sub to_app {
    my ($class) = @_;
    my ($channel, $echo_self) = @{ ref $class ? $class : $class->new }{qw(channel echo_self)};
    return sub {
        my ($scope, $receive, $send) = @_;
        return unsupported($scope) if ($scope->{type} // '') ne 'websocket';
        return _serve($receive, $send, $channel, $echo_self);
    };
}

sub broadcast {
    my ($class, $channel, $message, %options) = @_;
    _forward($channel, { type => 'websocket.send', ($options{binary} ? 'bytes' : 'text') => $message });
    return;
}

sub client_count {
    my ($class, $channel) = @_;
    my $count = 0;
    $count += keys %{ $CHANNELS{$_} || {} } for defined $channel ? $channel : keys %CHANNELS;
    return $count;
}

async sub _serve {
    my ($receive, $send, $channel, $echo_self) = @_;
    await $send->({ type => 'websocket.accept' });

    my $id = ++$LAST;
    $CHANNELS{$channel}{$id} = PAGI::App::Support::Outbox->new(send => $send, on_lost => sub { _remove($channel, $id) });
    # Whatever ends the loop, the client leaves.
    eval {
        while (1) {
            my $event = await $receive->();
            last if $event->{type} eq 'websocket.disconnect';
            next if $event->{type} ne 'websocket.receive';
            my $kind = defined $event->{text} ? 'text' : 'bytes';
            _forward($channel, { type => 'websocket.send', $kind => $event->{$kind} }, $echo_self ? undef : $id)
                if defined $event->{$kind};
        }
    };
    _remove($channel, $id);
    return;
}

sub _forward {
    my ($channel, $event, $except) = @_;
    my $clients = $CHANNELS{$channel} or return;
    for my $id (sort { $a <=> $b } keys %$clients) {
        next if defined $except && $id == $except;
        my $outbox = $clients->{$id} or next;    # lost meanwhile
        $outbox->post({%$event});
    }
    return;
}

sub _remove {
    my ($channel, $id) = @_;
    my $clients = $CHANNELS{$channel} or return;
    delete $clients->{$id};
    delete $CHANNELS{$channel} unless %$clients;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WebSocket::Broadcast - everybody hears everybody

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::WebSocket::Broadcast;

    my $app = PAGI::App::WebSocket::Broadcast->new(channel => 'news')->to_app;

    PAGI::App::WebSocket::Broadcast->broadcast(news => 'Good morning');
    print PAGI::App::WebSocket::Broadcast->client_count('news'), "\n";    # 0

=head1 DESCRIPTION

Each message of a client goes to the other clients of the channel, text as text and binary as binary. A client whose send fails, or that
is more than 1000 messages behind, is dropped from the channel. Channels belong to the process: with several workers each has its own. Other
scope types are rejected: the Future fails.

=head1 METHODS

=head2 new

=over

=item channel

Default C<default>.

=item echo_self

True: the sender gets its messages too. Default 0.

=back

=head2 to_app

The app. Works on the class too.

=head1 CLASS METHODS

=head2 broadcast

    PAGI::App::WebSocket::Broadcast->broadcast($channel, $message, binary => 1);

Sends to all clients of the channel, without waiting. C<$message> is characters, or bytes with C<binary>. Does nothing for an unknown
channel.

=head2 client_count

    my $count = PAGI::App::WebSocket::Broadcast->client_count($channel);

Of the channel, or of all.

=cut
