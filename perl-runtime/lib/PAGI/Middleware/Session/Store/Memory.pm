package PAGI::Middleware::Session::Store::Memory;

use strict;
use warnings;
use parent 'PAGI::Middleware::Session::Store';

use Carp qw(croak);
use Future;

my %sessions;    # id => session, shared by all instances of the process

sub new {
    my ($class, %options) = @_;
    my $self = $class->SUPER::new(%options);
    for my $name (qw(max_idle max_sessions)) {
        croak "Store::Memory '$name' must be a number above 0"
            if defined $self->{$name} && !($self->{$name} =~ /\A\d+\z/a && $self->{$name});
    }
    $self->{next_prune} = 0;
    return $self;
}

sub get {
    my ($self, $id) = @_;
    return Future->done(defined $id ? $sessions{$id} : undef);
}

sub set {
    my ($self, $id, $data) = @_;
    $sessions{$id} = $data;
    $self->_tidy;
    return Future->done($id);
}

sub delete {
    my ($self, $id) = @_;
    delete $sessions{$id} if defined $id;
    return Future->done(1);
}

sub clear_all { %sessions = (); return }

sub prune {
    my ($class, $max_idle) = @_;
    my $oldest = time - $max_idle;
    my @stale = grep { _seen($sessions{$_}) < $oldest } keys %sessions;
    delete @sessions{@stale};
    return scalar @stale;
}

# At most one sweep per tenth of the idle time, so that a busy store is not
# walked through on every request.
sub _tidy {
    my ($self) = @_;
    my $now = time;
    if ($self->{max_idle} && $now >= $self->{next_prune}) {
        $self->{next_prune} = $now + int($self->{max_idle} / 10) + 1;
        $self->prune($self->{max_idle});
    }
    if ($self->{max_sessions} && keys %sessions > $self->{max_sessions}) {
        my @by_age = sort { _seen($sessions{$a}) <=> _seen($sessions{$b}) } keys %sessions;
        my $surplus = @by_age - int($self->{max_sessions} * 0.9);
        delete @sessions{ @by_age[ 0 .. $surplus - 1 ] };
    }
    return;
}

sub _seen {
    my ($session) = @_;
    return 0 if ref $session ne 'HASH';
    return $session->{_last_access} // $session->{_created} // 0;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::Store::Memory - sessions in the memory of one process

=head1 SYNOPSIS

    use PAGI::Middleware::Session;
    use PAGI::Middleware::Session::Store::Memory;

    my $session = PAGI::Middleware::Session->new(
        secret => 'a long random string',
        store  => PAGI::Middleware::Session::Store::Memory->new(
            max_idle     => 3600,
            max_sessions => 100_000,
        ),
    );

=head1 DESCRIPTION

One hash per process, shared by all objects of this class. For development, tests and servers with a
single worker: with several workers each has sessions of its own, and all are lost on restart or
reload. Use L<PAGI::Middleware::Session::Store::Shared> or another store there.

The very reference given to C<set> is kept, so later changes to it are seen by later requests.

=head1 OPTIONS

Without options nothing is ever removed but by C<delete>.

=over 4

=item max_idle

Seconds. Sessions not used for longer are removed now and then, while others are saved. The hash is
shared: take the longest C<expire> of the program.

=item max_sessions

Above this number the longest unused are removed, a tenth at a time.

=back

=head1 METHODS

=head2 get($id), set($id, $data), delete($id)

See L<PAGI::Middleware::Session::Store>.

=head2 prune($max_idle)

Class or object method. Removes sessions not used for C<$max_idle> seconds and returns their number.

=head2 clear_all

Class method. Removes every session.

=cut
