package PAGI::Shared;

use strict;
use warnings;

our $VERSION = '0.001';

use Carp qw(croak);
use Scalar::Util qw(weaken);

# What the server says about the store: where it is, and the limits of one that is kept here.
my $VARIABLE = 'PAGI_SHARED_STORE';
my %DEFAULT = (entries => 100_000, bytes => 64 * 1024 * 1024, item => 1024 * 1024);

my $INSTANCE;

sub instance { return $INSTANCE ||= $_[0]->new }

sub new {
    my ($class, %options) = @_;
    my $place = defined $options{place} ? delete $options{place} : $ENV{$VARIABLE} // 'memory:';
    croak 'Unknown options to PAGI::Shared->new: ' . join(', ', sort keys %options) if %options;

    my ($where, @limits) = split /;/, $place;
    my %limits = (%DEFAULT, map { split /=/, $_, 2 } @limits);
    my $self = bless { receivers => [] }, $class;
    weaken(my $weak = $self);
    my $deliver = sub {
        my @message = @_;
        $_->(@message) for @{ $weak ? $weak->{receivers} : [] };
    };
    my ($name) = $where =~ /\Aunix:\@(.+)\z/s;
    # a program that a worker has started inherits the variable, but has no loop that could watch the socket
    if (defined $name && PAGI::Native->can('watch')) {
        require PAGI::Shared::Connection;
        $self->{backend} = PAGI::Shared::Connection->new(name => $name, on_message => $deliver);
        $self->{is_shared} = 1;
    }
    elsif (defined $name || $where eq 'memory:') {
        require PAGI::Shared::Memory;
        $self->{backend} = PAGI::Shared::Memory->new(%limits);
    }
    else {
        croak "$VARIABLE must start with unix:\@NAME or memory:, not '$where'";
    }
    return $self;
}

sub is_shared { return $_[0]{is_shared} ? 1 : 0 }

sub get    { my ($self, $key) = @_; return $self->{backend}->get(_bytes(key => $key)) }
sub delete { my ($self, $key) = @_; return $self->{backend}->delete(_bytes(key => $key)) }

sub set {
    my ($self, $key, $value, $seconds) = @_;
    return $self->{backend}->set(_bytes(key => $key), _bytes(value => $value), _milliseconds($seconds));
}

sub touch {
    my ($self, $key, $seconds) = @_;
    return $self->{backend}->touch(_bytes(key => $key), _milliseconds($seconds));
}

sub publish {
    my ($self, $channel, $message) = @_;
    return $self->{backend}->publish(_bytes(channel => $channel), _bytes(message => $message));
}

sub interest {
    my ($self, $channel, $count) = @_;
    $self->{backend}->interest(_bytes(channel => $channel), $count);
    return $self;
}

sub on_message {
    my ($self, $code) = @_;
    croak 'on_message takes a coderef' unless ref $code eq 'CODE';
    push @{ $self->{receivers} }, $code;
    return $self;
}

sub _bytes {
    my ($what, $bytes) = @_;
    croak "A $what must be defined" unless defined $bytes;
    my $copy = "$bytes";
    croak "A $what must be bytes: encode characters first" unless utf8::downgrade($copy, 1);
    return $copy;
}

sub _milliseconds {
    my ($seconds) = @_;
    croak 'The life of an entry must be a number of seconds above 0'
        unless defined $seconds && $seconds =~ /\A[0-9]+(?:\.[0-9]+)?\z/ && $seconds > 0;
    # what is longer than a century is for ever
    $seconds = 3_155_760_000 if $seconds > 3_155_760_000;
    return int($seconds * 1000) || 1;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Shared - entries and messages shared by the workers of a server

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Shared;

    my $shared = PAGI::Shared->instance;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        die "Unsupported scope type: $scope->{type}" unless $scope->{type} eq 'http';

        my $seen = await $shared->get('last-path');
        await $shared->set('last-path', $scope->{path}, 60);
        my $text = defined $seen ? "Before you, somebody asked for $seen\n" : "You are the first for a minute\n";
        await $send->({ type => 'http.response.start', status => 200, headers => [['content-type', 'text/plain']] });
        await $send->({ type => 'http.response.body', body => $text });
    };

=head1 DESCRIPTION

A store in the master process of C<pagi-server>: all workers see the same entries, and a message that one of them
publishes reaches the others. It outlasts workers, restarts of workers and reloads, and ends with the server. In a server
of one process, under any other server, and in programs that a worker has started, the entries are kept in the process.

Sessions (L<PAGI::Middleware::Session::Store::Shared>) and the rooms and channels of L<PAGI::Simple> are built on it.

The store is bounded. When it is full the entry that was not used for longest is forgotten: it is a place for sessions and
caches, not a database. The limits are options of the server: C<--store-entries> (default 100000), C<--store-bytes> (64
MiB, 256 bytes for every entry included), C<--store-item-bytes> (1 MiB, one value or message) and C<--store-backlog> (16
MiB, messages that wait for a worker that is busy; later ones are lost to it). Keys and channel names have at most 1024
bytes.

Keys, values, channels and messages are B<bytes>; a character above 0xFF dies with C<A value must be bytes: encode
characters first>. Lives are B<seconds>, fractions allowed.

=head1 METHODS

Methods that return a I<future> never block. It fails with a sentence: C<The shared store has refused this: REASON> or
C<The shared store is gone: REASON>. Wrong arguments die at once.

=head2 instance

The store of this process.

=head2 new

    my $private = PAGI::Shared->new(place => 'memory:;entries=1000;bytes=1000000;item=10000');

For tests. C<place> defaults to what the server says in C<PAGI_SHARED_STORE>, then to C<memory:>.

=head2 is_shared

1 if there are other processes that see the same.

=head2 get

    my $value = await $shared->get($key);

I<Future>. The value, or undef.

=head2 set

    await $shared->set($key, $value, $seconds);

I<Future>. Keeps the value for so long.

=head2 touch

    my $was_there = await $shared->touch($key, $seconds);

I<Future>. Keeps what is there for so long from now: 1, or 0 if there is nothing.

=head2 delete

    await $shared->delete($key);

I<Future>. 1, or 0 if there was nothing.

=head2 interest

    $shared->interest($channel, $count);

Says that this process has so many listeners on a channel: none (0), or some. With some, its C<on_message> callbacks get
what other processes publish on it; their sum is what C<publish> resolves to. The first listener is announced in the same turn of
the loop, and a count that changes soon after. May be called while the application is loaded: every worker announces it
for itself.

=head2 on_message

    $shared->on_message(sub { my ($channel, $message) = @_; ... });

Called for each message of other processes, in the order in which a process sent them.

=head2 publish

    my $listeners = await $shared->publish($channel, $message);

I<Future>. Sends a message to every B<other> process with an interest in the channel, and resolves to the number of their
listeners. Nothing is kept for those that come later.

=head1 SEE ALSO

L<PAGI::Simple::PubSub>, L<PAGI::Middleware::Session::Store::Shared>

=cut
