package PAGI::App::SSE::Pubsub;

use strict;
use warnings;

use Future::AsyncAwait;
use PAGI::App::Support::Answer qw(unsupported);
use PAGI::App::Support::Callback qw(call);
use PAGI::App::Support::EventStream;
use PAGI::App::Support::Outbox;
use PAGI::Middleware::Support::Headers qw(request_header);

# Process-wide: channel => { clients => { number => client }, history => [messages], keep => longest history wanted }
my %CHANNELS;
my $LAST = 0;

sub new {
    my ($class, %args) = @_;
    return bless {
        channel    => $args{channel} // 'default',
        retry      => $args{retry},
        history    => $args{history} // 0,
        headers    => $args{headers} // [],
        on_connect => $args{on_connect},
        on_close   => $args{on_close},
    }, $class;
}

sub to_app {
    my ($class) = @_;
    my $self = bless { %{ ref $class ? $class : $class->new } }, ref $class || $class;
    return sub {
        my ($scope, $receive, $send) = @_;
        return unsupported($scope) unless PAGI::App::Support::EventStream->accepts($scope);
        return $self->_serve($scope, $receive, $send);
    };
}

sub publish {
    my ($class, $name, $message) = @_;
    my $channel = $CHANNELS{$name} or return;
    if ($channel->{keep}) {
        push @{ $channel->{history} }, {%$message};
        shift @{ $channel->{history} } while @{ $channel->{history} } > $channel->{keep};
    }
    for my $id (sort { $a <=> $b } keys %{ $channel->{clients} }) {
        my $client = $channel->{clients}{$id} or next;    # lost meanwhile
        $client->{outbox}->post($client->{stream}->message($message));
    }
    return;
}

sub client_count {
    my ($class, $name) = @_;
    my $count = 0;
    $count += keys %{ ($CHANNELS{$_} || {})->{clients} || {} } for defined $name ? $name : keys %CHANNELS;
    return $count;
}

sub list_channels { return sort keys %CHANNELS }

async sub _serve {
    my ($self, $scope, $receive, $send) = @_;
    my $name = $self->{channel};
    my $stream = PAGI::App::Support::EventStream->new($scope, $send);
    await $stream->start(@{ $self->{headers} });

    my $id = ++$LAST;
    my $outbox = PAGI::App::Support::Outbox->new(send => $send, on_lost => sub { _remove($name, $id) });
    my $channel = $CHANNELS{$name} ||= { clients => {}, history => [], keep => 0 };
    $channel->{keep} = $self->{history} if $self->{history} > $channel->{keep};
    $channel->{clients}{$id} = { outbox => $outbox, stream => $stream };

    if (defined $self->{retry}) {
        $outbox->post($_) for $stream->retry($self->{retry});
    }
    my $last_id = $self->{history} ? request_header($scope, 'last-event-id') : undef;
    if (defined $last_id) {
        $outbox->post($stream->message($_)) for _after($channel->{history}, $last_id);
    }
    my $ok = eval {
        await call($self->{on_connect}, $scope, $name);
        await $stream->client_gone($receive);
        1;
    };
    my $error = $@;
    _remove($name, $id);
    die $error unless $ok;
    await call($self->{on_close}, $scope, $name);
    await $outbox->drained;
    await $stream->finish;
    return;
}

# What was published after the event with that id; nothing when it is not remembered.
sub _after {
    my ($history, $id) = @_;
    for my $index (reverse 0 .. $#$history) {
        my $known = $history->[$index]{id};
        return @$history[$index + 1 .. $#$history] if defined $known && $known eq $id;
    }
    return;
}

sub _remove {
    my ($name, $id) = @_;
    my $channel = $CHANNELS{$name} or return;
    delete $channel->{clients}{$id};
    delete $CHANNELS{$name} unless %{ $channel->{clients} };
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::SSE::Pubsub - event stream channels

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::SSE::Pubsub;

    my $app = PAGI::App::SSE::Pubsub->new(channel => 'news', retry => 3000, history => 50)->to_app;

    PAGI::App::SSE::Pubsub->publish(news => { event => 'headline', id => 7, data => 'Perl everywhere' });
    print PAGI::App::SSE::Pubsub->client_count('news'), "\n";    # 0

=head1 DESCRIPTION

Whoever requests the app gets a stream (200, C<text/event-stream>, C<cache-control: no-cache>, C<connection: keep-alive>) of what is
published to the channel until the client goes. It does not matter whether the scope is C<http> or, as for an C<EventSource>, C<sse>;
other types are rejected: the Future fails.

Channels belong to the process: with several workers each has its own. A channel is there while it has clients; what is published
before or after is not kept. A client whose send fails, or that is more than 1000 events behind, is dropped from the channel.

=head1 METHODS

=head2 new

=over

=item channel

Default C<default>.

=item retry

Reconnection time for clients in milliseconds, sent first; on an C<sse> scope with the first event.

=item history

How many events the channel keeps. A client that comes back with C<Last-Event-ID> gets all that followed that event, if it is among them.
Default 0.

=item headers

Arrayref of further C<[name, value]> pairs.

=item on_connect, on_close

Called with the scope and the channel; may return a L<Future>.

=back

=head2 to_app

The app. Works on the class too.

=head1 CLASS METHODS

=head2 publish

    PAGI::App::SSE::Pubsub->publish($channel, { event => $name, id => $id, data => $text });

Sends to all clients of the channel, without waiting. All values are characters; C<event> and C<id> are optional and lose their line
breaks, C<data> may have several lines.

=head2 client_count

    my $count = PAGI::App::SSE::Pubsub->client_count($channel);

Of the channel, or of all.

=head2 list_channels

The names of the channels that have clients, sorted.

=cut
