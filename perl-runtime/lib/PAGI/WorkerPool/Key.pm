package PAGI::WorkerPool::Key;

use strict;
use warnings;

our $VERSION = '0.001';

use Digest::SHA qw(sha256_hex);
use Socket qw(AF_UNIX SOCK_CLOEXEC SOCK_NONBLOCK SOCK_STREAM pack_sockaddr_un);

# Waits this long for a process that has more waiting for it than its socket can keep in mind.
my $AGAIN = 0.02;

# WP-14: a name that only one process of this machine can have at a time, for as long as it lives. It is in the abstract
# namespace, so a process that is killed leaves nothing behind; the store's name keeps servers apart.
sub new {
    my ($class, $pool, $key) = @_;
    my @parts = ($ENV{PAGI_SHARED_STORE} // '', $pool, $key);
    utf8::encode($_) for @parts;
    return bless { address => pack_sockaddr_un("\0pagi-key-" . sha256_hex(join "\0", map { length($_) . ":$_" } @parts)) }, $class;
}

# True when this process has the key now: until `release`, or until this object goes away.
sub take {
    my ($self) = @_;
    socket my $socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0 or return 0;
    return 0 unless bind($socket, $self->{address}) && listen $socket, 128;
    $self->{socket} = $socket;
    return 1;
}

sub release {
    my ($self) = @_;
    close delete $self->{socket} if $self->{socket};
    return;
}

# Calls the code in a later turn, when whoever has the key has let it go. Somebody else may be faster then. Returns a coderef that
# stops the waiting.
sub when_free {
    my ($self, $code) = @_;
    socket my $socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 or return _after($AGAIN, $code);
    if (!connect $socket, $self->{address}) {
        return _after($!{EAGAIN} ? $AGAIN : 0, $code);
    }
    my $watch;
    my $stop = sub {
        PAGI::Native::unwatch($watch) if defined $watch;
        undef $watch;
        close $socket;
        return;
    };
    # Nobody ever accepts: the end of the process, or of the key, is the end of this connection.
    $watch = PAGI::Native::watch(fileno $socket, 0, sub { $stop->(); $code->() });
    return $stop;
}

sub _after {
    my ($seconds, $code) = @_;
    my $timer = PAGI::Native::timer($seconds, $code);
    return sub { PAGI::Native::cancel_timer($timer); return };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Key - one process at a time

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::WorkerPool::Key;

    my ($mine, $yours) = map { PAGI::WorkerPool::Key->new('default', 'user 7') } 1, 2;
    die "not free\n" unless $mine->take;
    print "one at a time\n" unless $yours->take;
    $mine->release;
    print "and now the other\n" if $yours->take;

=head1 DESCRIPTION

Jobs of L<PAGI::WorkerPool> with a C<key> run one after the other, whichever process does them. The process that runs one holds a Unix socket whose name
(in the abstract namespace of Linux) is made of server, pool and key, which nobody else can then bind. The kernel takes the name back when the
process ends, however it ends; and who waits is connected to the socket, and so notices.

=head1 METHODS

=head2 new

    my $key = PAGI::WorkerPool::Key->new($pool_name, $key);

Both are strings of characters.

=head2 take

True when this object has the key now.

=head2 release

Lets it go. So does the end of the object, and of the process.

=head2 when_free

    $key->when_free(sub { ... });

Inside a worker of C<pagi-server>: calls the code, in a later turn of the loop, once the key was free for a moment. Returns a coderef; calling it before
ends the waiting.

=cut
