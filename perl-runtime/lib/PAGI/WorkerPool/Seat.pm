package PAGI::WorkerPool::Seat;

use strict;
use warnings;

our $VERSION = '0.001';

use PAGI::WorkerPool::Key;

# WP-3: as many names as processes may do jobs of the pool at the same time. No key that an application chooses is one of them.
sub new {
    my ($class, $pool, $count) = @_;
    return bless { keys => [map { PAGI::WorkerPool::Key->new("\0seats\0$pool", $_) } 1 .. $count], taken => undef }, $class;
}

sub take {
    my ($self) = @_;
    for my $key (@{ $self->{keys} }) {
        next unless $key->take;
        $self->{taken} = $key;
        return 1;
    }
    return 0;
}

sub release {
    my ($self) = @_;
    my $key = delete $self->{taken};
    $key->release if $key;
    return;
}

sub when_free {
    my ($self, $code) = @_;
    my @stops;
    my $first = sub {
        $_->() for splice @stops;
        $code->();
    };
    push @stops, map { $_->when_free($first) } @{ $self->{keys} };
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Seat - so many processes at a time

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::WorkerPool::Seat;

    my ($one, $two, $three) = map { PAGI::WorkerPool::Seat->new('reports', 2) } 1 .. 3;
    die "not free\n" unless $one->take && $two->take;
    print "two at a time\n" unless $three->take;
    $one->release;
    print "and now the third\n" if $three->take;

=head1 DESCRIPTION

A pool of L<PAGI::WorkerPool> with C<workers> may occupy so many processes of the server at a time, whichever workers ask. The process that does one of its jobs has
one of so many L<PAGI::WorkerPool::Key>s, which the kernel takes back however the process ends.

=head1 METHODS

=head2 new

    my $seat = PAGI::WorkerPool::Seat->new($pool_name, $count);

=head2 take

True when this object has a seat now.

=head2 release

Lets it go. So does the end of the object, and of the process.

=head2 when_free

    $seat->when_free(sub { ... });

Inside a worker of C<pagi-server>: calls the code once, in a later turn of the loop, when one of the seats was free for a moment.

=cut
