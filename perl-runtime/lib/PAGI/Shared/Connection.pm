package PAGI::Shared::Connection;

use strict;
use warnings;

use Errno qw(EAGAIN EINTR EINPROGRESS EWOULDBLOCK);
use Future;
use PAGI::Native::Future;
use Scalar::Util qw(weaken);
use Socket ();

# Directions of PAGI::Native::watch.
use constant { READ => 0, WRITE => 1 };

my $PORTION = 256 * 1024;

sub new {
    my ($class, %options) = @_;
    return bless {
        name       => $options{name},
        on_message => $options{on_message},
        tag        => 0,
        waiting    => {},    # tag => Future
        interest   => {},    # channel => listeners here
        told       => {},    # channel => what the store knows of it
        changed    => {},    # channels to tell the store about
        in         => '',
        out        => '',
    }, $class;
}

# --- what can be asked

sub get    { my ($self, @fields) = @_; return $self->_ask('G', @fields) }
sub set    { my ($self, @fields) = @_; return $self->_ask('S', @fields) }
sub touch  { my ($self, @fields) = @_; return $self->_ask('T', @fields)->then(\&_was_there) }
sub delete { my ($self, @fields) = @_; return $self->_ask('D', @fields)->then(\&_was_there) }
sub publish { my ($self, @fields) = @_; return $self->_ask('P', @fields) }

sub _was_there { return Future->done(@_ && defined $_[0] ? 1 : 0) }

# CH-19: the first listener is announced at once, so that whoever hears of it later cannot publish too early. A number
# that changes can wait until it has settled, and everything waits while the application loads: then this process may be
# one that only forks workers. What is put off with `later` before a fork happens after it, in each of them.
sub interest {
    my ($self, $channel, $count) = @_;
    if ($count) { $self->{interest}{$channel} = $count }
    else        { delete $self->{interest}{$channel} }
    $self->{changed}{$channel} = 1;
    return $self->_announce if $count && !$self->{told}{$channel} && !_is_loading();
    return if $self->{announcing}++;
    weaken(my $weak = $self);
    PAGI::Native::later(sub { $weak->_announce if $weak });
    return;
}

# PAGI::Native is there under our server only, and compiled before anything that could be asked for by name.
sub _is_loading { no warnings 'once'; return $PAGI::Native::LOADING }

sub _announce {
    my ($self) = @_;
    $self->{announcing} = 0;
    if (!$self->_is_connected) {
        # announces all there is
        my $problem = %{ $self->{interest} } ? $self->_connect : undef;
        warn "Messages of other workers cannot be received: the shared store is gone: $problem\n" if defined $problem;
        return;
    }
    for my $channel (keys %{ $self->{changed} }) {
        delete $self->{changed}{$channel};
        my $count = $self->{interest}{$channel} || 0;
        next if $count == ($self->{told}{$channel} || 0);
        if ($count) { $self->{told}{$channel} = $count }
        else        { delete $self->{told}{$channel} }
        $self->_send('I', $channel, $count);
    }
    return;
}

# --- frames

sub _ask {
    my ($self, $kind, @fields) = @_;
    if (!$self->_is_connected) {
        my $problem = $self->_connect;
        return Future->fail("The shared store is gone: $problem\n", 'shared') if defined $problem;
    }
    my $tag = $self->_send($kind, @fields);
    my $future = $self->{waiting}{$tag} = PAGI::Native::Future->new;
    weaken(my $waiting = $self->{waiting});
    $future->on_cancel(sub { delete $waiting->{$tag} if $waiting });
    return $future;
}

sub _send {
    my ($self, $kind, @fields) = @_;
    my $tag = $self->{tag} = $self->{tag} % 0x7fff_ffff + 1;
    my $idle = !length $self->{out};
    $self->{out} .= pack 'N/a*', pack 'a N (N/a*)*', $kind, $tag, @fields;
    $self->_flush if $idle;
    return $tag;
}

sub _take_frames {
    my ($self) = @_;
    my $in = \$self->{in};
    my $from = 0;
    while (length($$in) - $from >= 4) {
        my $length = unpack 'N', substr $$in, $from, 4;
        last if length($$in) - $from - 4 < $length;
        my ($kind, $tag, $fields) = unpack 'a N a*', substr $$in, $from + 4, $length;
        my @fields = length $fields ? unpack '(N/a)*', $fields : ();
        $from += 4 + $length;
        $self->_take_frame($kind, $tag, @fields);
        # what a callback did may have ended this connection
        return unless $self->{socket};
    }
    substr $$in, 0, $from, '';
    return;
}

sub _take_frame {
    my ($self, $kind, $tag, @fields) = @_;
    if ($kind eq 'M') {
        return if eval { $self->{on_message}->(@fields); 1 };
        warn "A message of another worker was not taken: $@";
        return;
    }
    my $future = delete $self->{waiting}{$tag};
    return if !$future || $future->is_ready;
    if    ($kind eq 'K') { $future->done(@fields ? $fields[0] : 1) }
    elsif ($kind eq 'N') { $future->done(undef) }
    else                 { $future->fail("The shared store has refused this: $fields[0]\n", 'shared') }
    return;
}

# --- the socket

# A process that was forked must not speak on the connection of its parent.
sub _is_connected { return $_[0]{socket} && $_[0]{owner} == $$ }

# Returns what went wrong, or undef.
sub _connect {
    my ($self) = @_;
    $self->_drop('this process was forked') if $self->{socket};
    socket my $socket, Socket::AF_UNIX(), Socket::SOCK_STREAM() | Socket::SOCK_CLOEXEC(), 0 or return "$!";
    # The queue of a listening Unix socket is taken up by the master at once; only a full one would make us wait here.
    connect $socket, Socket::pack_sockaddr_un("\0$self->{name}") or return "$!";
    $socket->blocking(0);
    @$self{qw(socket owner)} = ($socket, $$);
    weaken(my $weak = $self);
    $self->{reading} = PAGI::Native::watch(fileno $socket, READ, sub { $weak->_readable if $weak });
    $self->{told} = {};
    $self->{changed} = { map { $_ => 1 } keys %{ $self->{interest} } };
    $self->_announce;
    return undef;
}

sub _readable {
    my ($self) = @_;
    my $socket = $self->{socket} or return;
    my $read = sysread $socket, $self->{in}, $PORTION, length $self->{in};
    if (!defined $read) {
        return if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
        return $self->_drop("$!");
    }
    return $self->_drop('the server is going down') if $read == 0;
    $self->_take_frames;
    return;
}

sub _flush {
    my ($self) = @_;
    my $socket = $self->{socket} or return;
    while (length $self->{out}) {
        my $written = syswrite $socket, $self->{out}, $PORTION;
        if (defined $written) {
            substr $self->{out}, 0, $written, '';
            next;
        }
        next if $! == EINTR;
        return $self->_drop("$!") unless $! == EAGAIN || $! == EWOULDBLOCK;
        return if $self->{writing};
        weaken(my $weak = $self);
        $self->{writing} = PAGI::Native::watch(fileno $socket, WRITE, sub { $weak->_flush if $weak });
        return;
    }
    my $writing = delete $self->{writing};
    PAGI::Native::unwatch($writing) if $writing;
    return;
}

sub _drop {
    my ($self, $reason) = @_;
    my $socket = delete $self->{socket} or return;
    PAGI::Native::unwatch($_) for grep { $_ } @$self{qw(reading writing)};
    close $socket;
    my $waiting = $self->{waiting};
    @$self{qw(in out waiting told reading writing)} = ('', '', {}, {}, 0, 0);
    for my $future (values %$waiting) {
        $future->fail("The shared store is gone: $reason\n", 'shared') unless $future->is_ready;
    }
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Shared::Connection - a worker's connection to the store in the master

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Shared;

    # inside pagi-server --workers 4; PAGI::Shared makes the connection when it is first needed
    my $shared = PAGI::Shared->instance;
    print "there are others\n" if $shared->is_shared;

=head1 DESCRIPTION

What L<PAGI::Shared> uses in a worker. One Unix socket per process, opened when it is first needed and watched by the
worker's loop, so nothing here waits. A process that was forked opens its own. The protocol is described in
F<supervisor/src/store/frame.rs>.

=head1 METHODS

=head2 new

C<name>, in the abstract namespace, and C<on_message>, a coderef.

=head2 get, set, touch, delete, publish, interest

As in L<PAGI::Shared>, with lives in milliseconds and arguments that have been looked at already.

=cut
