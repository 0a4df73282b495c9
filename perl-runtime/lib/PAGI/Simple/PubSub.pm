package PAGI::Simple::PubSub;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use PAGI::Simple::Callback;
use PAGI::Simple::PubSub::Shared;
use Scalar::Util qw(refaddr);

my $INSTANCE;

sub instance { return $INSTANCE ||= $_[0]->new }
sub reset    { undef $INSTANCE; return }

sub new {
    my ($class, %options) = @_;
    my $self = bless {
        channels => {},    # name => { address of a callback => callback }
        backend  => $options{backend} || PAGI::Simple::PubSub::Shared->new,
        running  => {},    # Futures of callbacks, which nobody else holds
    }, $class;
    $self->{backend}->attach($self);
    return $self;
}

sub subscribe {
    my ($self, $channel, $callback) = @_;
    croak 'subscribe takes ($channel, $coderef)' unless defined $channel && ref $callback eq 'CODE';
    my $members = $self->{channels}{$channel} ||= {};
    my $known = keys %$members;
    $members->{ refaddr $callback } = $callback;
    $self->{backend}->listeners($channel, scalar keys %$members) if keys %$members != $known;
    return $self;
}

sub unsubscribe {
    my ($self, $channel, $callback) = @_;
    my $members = $self->{channels}{$channel} or return $self;
    delete $members->{ refaddr $callback } or return $self;
    delete $self->{channels}{$channel} unless %$members;
    $self->{backend}->listeners($channel, scalar keys %$members);
    return $self;
}

sub unsubscribe_all {
    my ($self, $callback) = @_;
    $self->unsubscribe($_, $callback) for keys %{ $self->{channels} };
    return $self;
}

# CH-45: the count is that of this process, at once; publish_async waits for the total.
sub publish {
    my ($self, $channel, $message, %options) = @_;
    my $count = $self->deliver($channel, $message, %options);
    $self->_retain($self->{backend}->publish($channel, $message), 'Error in publishing to other workers');
    return $count;
}

sub publish_async {
    my ($self, $channel, $message, %options) = @_;
    my $count = $self->deliver($channel, $message, %options);
    return $self->{backend}->publish($channel, $message)->then(sub { Future->done($count + $_[0]) });
}

# To the subscribers of this process. Also called by the backend with what other processes published.
sub deliver {
    my ($self, $channel, $message, %options) = @_;
    my $members = $self->{channels}{$channel} or return 0;
    my $except = $options{except} ? refaddr $options{except} : 0;
    my $count = 0;
    for my $address (keys %$members) {
        next if $address == $except;
        # a callback may have unsubscribed others
        my $callback = $members->{$address} or next;
        $count++;
        if (!eval { $self->_retain($callback->($message)); 1 }) {
            warn "Error in pubsub callback: $@";
        }
    }
    return $count;
}

sub _retain {
    my ($self, $future, $what) = @_;
    return unless PAGI::Simple::Callback::is_future($future) && !$future->is_done;
    my $running = $self->{running};
    my $address = refaddr $future;
    $running->{$address} = $future;
    $future->on_ready(sub {
        my ($done) = @_;
        delete $running->{$address};
        warn +($what || 'Error in pubsub callback') . ': ' . $done->failure . "\n" if $done->is_failed;
    });
    return;
}

sub subscribers { return scalar keys %{ $_[0]{channels}{ $_[1] } || {} } }
sub has_channel { return exists $_[0]{channels}{ $_[1] } ? 1 : 0 }

# Names that begin with NUL are the framework's own.
sub channels { return grep { !/\A\0/ } sort keys %{ $_[0]{channels} } }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::PubSub - messages to everybody on a channel

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::PubSub;

    my $bus = PAGI::Simple::PubSub->instance;
    my $callback = sub { my ($message) = @_; print "got $message\n" };
    $bus->subscribe('news:sport' => $callback);
    my $count = $bus->publish('news:sport', 'goal');    # 1
    $bus->unsubscribe('news:sport' => $callback);

=head1 DESCRIPTION

C<< $app->pubsub >>, the rooms of WebSockets and the channels of event streams are one namespace, on one bus of all workers of
a server. Channel names are any strings. Messages are plain data (what JSON can carry) to reach other workers, and anything within the process; they have no
history, and there is no order among subscribers. What one process publishes arrives in the order in which it was published.

How messages reach other processes is the matter of the backend: L<PAGI::Simple::PubSub::Shared>, or L<PAGI::Simple::PubSub::Local>, which
keeps them in the process.

=head1 METHODS

=head2 instance, reset

The bus of the process; C<reset> forgets it (for tests).

=head2 new

    my $private = PAGI::Simple::PubSub->new(backend => $backend);

=head2 subscribe, unsubscribe, unsubscribe_all

    $bus->subscribe($channel, $code);

The same coderef subscribes a channel once. Unsubscribing what is not subscribed is harmless. They return the bus. A Future that a callback returns
is kept until it is done; its failure is a warning.

=head2 publish

    my $count = $bus->publish($channel, $message, except => $code);

Calls every callback at once and returns how many there were in B<this process>, but for C<except>. Their exceptions are warned about as C<Error in pubsub
callback: ...>.

=head2 publish_async

The same, as a Future of the number of recipients in all processes.

=head2 deliver

To the subscribers of this process only; for backends.

=head2 subscribers, channels, has_channel

The number of callbacks of a channel, the sorted names, 1 or 0.

=cut
