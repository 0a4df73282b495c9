package PAGI::App::Proxy::Connection;

use strict;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use Future;
use Future::AsyncAwait;
use Future::IO;
use IO::Socket ();
use PAGI::App::Proxy::Failure;
use PAGI::Utils::Turn qw(next_turn);
use Socket qw(IPPROTO_TCP MSG_NOSIGNAL SOCK_STREAM TCP_NODELAY);

my $CHUNK = 65_536;    # bytes
my $TURN  = 8;         # chunks

# Tries the addresses one after the other; each gets that many seconds.
async sub open {    ## no critic (ProhibitTwoArgOpen): a method of that name
    my ($class, %args) = @_;
    my $problem = 'its name has no address';
    for my $address (@{ $args{addresses} }) {
        my $socket = IO::Socket->new;
        socket($socket, $address->{family}, SOCK_STREAM, 0) or PAGI::App::Proxy::Failure->throw(502, "no socket: $!");
        $socket->blocking(0);
        my $connected = Future::IO->connect($socket, $address->{addr});
        await Future->wait_any($connected->else(sub { Future->done }), Future::IO->sleep($args{timeout}))
            unless $connected->is_ready;
        if ($connected->is_done) {
            setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1 if $address->{is_ip};
            return bless { socket => $socket, idle => $args{idle}, in => '', out => '', flushing => undef, filled => 0 }, $class;
        }
        # wait_any has cancelled what was too slow
        ($problem) = $connected->is_cancelled ? "no connection within $args{timeout} seconds" : $connected->failure;
        chomp $problem;
    }
    PAGI::App::Proxy::Failure->throw(502, "cannot connect to the backend: $problem");
}

# What was received and not taken yet, to be looked at and shortened by the parsers.
sub buffer { return \$_[0]{in} }

# Receives more: a Future of 1, or of 0 at the end of the stream.
sub fill {
    my ($self) = @_;
    my $got = sysread $self->{socket}, $self->{in}, $CHUNK, length $self->{in};
    if (defined $got) {
        return Future->done($got ? 1 : 0) if !$got || ++$self->{filled} % $TURN;
        # A backend that is always faster than its reader would keep the process, also when nobody reads any more.
        return next_turn()->then(sub { Future->done(1) });
    }
    return _broken("reading from the backend: $!") unless $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
    return $self->_fill_later;
}

async sub _fill_later {
    my ($self) = @_;
    my $bytes = await $self->_in_time(Future::IO->sysread($self->{socket}, $CHUNK));
    return 0 unless defined $bytes;
    $self->{in} .= $bytes;
    return 1;
}

# Sends; the Future is done when the system has taken all of it.
sub write {
    my ($self, $bytes) = @_;
    $self->{out} .= $bytes;
    my $flushing = $self->{flushing};
    return $flushing if $flushing && !$flushing->is_ready;
    my $sent = $self->_send_now;
    return _broken("writing to the backend: $!") unless defined $sent;
    return Future->done unless length $self->{out};
    return $self->{flushing} = $self->_flush;
}

sub _send_now {
    my ($self) = @_;
    my $sent = send $self->{socket}, $self->{out}, MSG_NOSIGNAL;
    if (!defined $sent) {
        return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR ? 0 : undef;
    }
    substr $self->{out}, 0, $sent, '';
    return $sent;
}

async sub _flush {
    my ($self) = @_;
    while (length $self->{out}) {
        my $sent = await $self->_in_time(Future::IO->syswrite($self->{socket}, substr $self->{out}, 0, $CHUNK));
        substr $self->{out}, 0, $sent, '';
    }
    return;
}

async sub _in_time {
    my ($self, $io) = @_;
    return await $io if $io->is_ready || !$self->{idle};
    await Future->wait_any($io->else(sub { Future->done }), Future::IO->sleep($self->{idle}));
    # wait_any has cancelled what was too slow
    PAGI::App::Proxy::Failure->throw(504, "the backend was silent for $self->{idle} seconds") if $io->is_cancelled;
    if (my ($problem) = $io->failure) {
        chomp $problem;
        PAGI::App::Proxy::Failure->throw(502, "the connection to the backend broke: $problem");
    }
    return $io->get;
}

sub set_idle { $_[0]{idle} = $_[1]; return }

sub _broken {
    my ($message) = @_;
    eval { PAGI::App::Proxy::Failure->throw(502, $message) };
    return Future->fail($@);
}

# Whether a connection that was left open can take another request: nothing may have come, not even its end.
sub is_fresh {
    my ($self) = @_;
    return 0 if length $self->{in} || length $self->{out};
    my $got = sysread $self->{socket}, my $byte, 1;
    return !defined $got && ($! == EAGAIN || $! == EWOULDBLOCK);
}

sub close {
    my ($self) = @_;
    # The descriptor itself is given back with the last reference: the event loop may be about to stop watching it.
    my $socket = delete $self->{socket};
    shutdown $socket, 2 if $socket;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy::Connection - a socket to the backend

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::App::Proxy::Backend;
    use PAGI::App::Proxy::Connection;

    my $backend    = PAGI::App::Proxy::Backend->new('http://127.0.0.1:8080');
    my $connection = await PAGI::App::Proxy::Connection->open(addresses => $backend->addresses, timeout => 5, idle => 60);
    await $connection->write("GET / HTTP/1.0\r\n\r\n");
    1 while await $connection->fill;
    print ${ $connection->buffer };

=head1 DESCRIPTION

Nothing here blocks. All methods that return Futures fail with a L<PAGI::App::Proxy::Failure>.

=head1 METHODS

=head2 open

A Future of a connection. C<addresses> is an arrayref as of L<PAGI::App::Proxy::Backend/addresses>, C<timeout> the number of seconds for each of them,
C<idle> the number of seconds that one wait for the peer may take, 0 for ever.

=head2 fill

Receives some more bytes into the buffer. A Future of 1, or of 0 at the end of the stream.

=head2 buffer

A reference to the received bytes; take from it what you have used.

=head2 write($bytes)

A Future that is done when the system has taken all bytes.

=head2 set_idle($seconds)

Changes C<idle>.

=head2 is_fresh

Whether nothing was received since the last response, not even the end of the stream.

=head2 close

Closes it.

=cut
