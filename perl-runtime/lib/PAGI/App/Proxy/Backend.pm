package PAGI::App::Proxy::Backend;

use strict;
use warnings;

use Carp qw(croak);
use Future::AsyncAwait;
use PAGI::App::Proxy::Connection;
use Socket qw(AF_INET AF_INET6 SOCK_STREAM getaddrinfo);

our @CARP_NOT = qw(PAGI::App::Proxy);

my $KEEP_SECONDS    = 15;    # an unused connection
my $RESOLVE_SECONDS = 60;    # an address

sub new {
    my ($class, $url, %options) = @_;
    my ($scheme, $host, $port) = $url =~ m{\A(?:(\w+)://)?(\[[0-9A-Fa-f:.]+\]|[^/:\[\]\s]+)(?::([0-9]+))?(?:/[^\s]*)?\z}
        or croak "The backend '$url' must be a URL such as http://127.0.0.1:8080";
    croak "The backend '$url' must be reached by http: encrypted backends are not supported"
        if defined $scheme && lc $scheme ne 'http' && lc $scheme ne 'ws';
    $port //= 80;
    my $self = bless {
        host      => $host,
        port      => $port,
        keep      => $options{keep} // 16,
        timeout   => $options{timeout},
        idle      => $options{idle},
        addresses => [],
        resolved  => 0,
        unused    => [],
    }, $class;
    $self->addresses;    # name servers are asked before there are requests to hold up
    return $self;
}

sub authority { return "$_[0]{host}:$_[0]{port}" }

sub addresses {
    my ($self) = @_;
    return $self->{addresses} if time - $self->{resolved} < $RESOLVE_SECONDS;
    (my $name = $self->{host}) =~ tr/[]//d;
    my ($error, @found) = getaddrinfo($name, $self->{port}, { socktype => SOCK_STREAM });
    $self->{resolved} = time;
    # A name server that does not answer now is no reason to forget what it said before.
    $self->{addresses} = [map { +{ family => $_->{family}, addr => $_->{addr}, is_ip => 1 } }
        grep { $_->{family} == AF_INET || $_->{family} == AF_INET6 } @found] unless $error;
    return $self->{addresses};
}

# An unused connection, or undef.
sub reuse {
    my ($self) = @_;
    while (my $entry = pop @{ $self->{unused} }) {
        my ($connection, $since, $pid) = @$entry;
        # Not across fork: parent and child would share one stream.
        return $connection if $pid == $$ && time - $since < $KEEP_SECONDS && $connection->is_fresh;
        $connection->close;
    }
    return undef;
}

sub connect {
    my ($self) = @_;
    return PAGI::App::Proxy::Connection->open(
        addresses => $self->addresses, timeout => $self->{timeout}, idle => $self->{idle},
    );
}

sub keep {
    my ($self, $connection) = @_;
    my $unused = $self->{unused};
    push @$unused, [$connection, time, $$];
    (shift @$unused)->[0]->close while @$unused > $self->{keep};
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy::Backend - where the proxy sends requests, and open connections to it

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Proxy::Backend;

    my $backend = PAGI::App::Proxy::Backend->new('http://127.0.0.1:8080', timeout => 5, idle => 60, keep => 4);
    print $backend->authority, "\n";    # 127.0.0.1:8080

=head1 METHODS

=head2 new

    my $backend = PAGI::App::Proxy::Backend->new($url, timeout => $seconds, idle => $seconds, keep => $connections);

The port defaults to 80; a path is ignored. Croaks C<The backend 'URL' must be a URL such as http://127.0.0.1:8080> and
C<The backend 'URL' must be reached by http: encrypted backends are not supported>.

=head2 authority

HOST:PORT.

=head2 addresses

Arrayref of C<family> and C<addr>. The name is looked up at construction and again when the answer is a minute old; use an address, or a name from
F</etc/hosts>, where a slow name server must not hold up the worker.

=head2 connect

A Future of a new L<PAGI::App::Proxy::Connection>.

=head2 reuse

A kept connection that is still open, or undef.

=head2 keep($connection)

Keeps it for another request, for 15 seconds; at most C<keep> (default 16) of them.

=cut
