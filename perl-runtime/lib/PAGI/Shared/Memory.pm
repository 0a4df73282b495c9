package PAGI::Shared::Memory;

use strict;
use warnings;

use Future;
use Time::HiRes ();

# What an entry costs besides key and value; the number the master counts with.
my $OVERHEAD = 256;
# How often entries that have ended are looked for, in seconds.
my $SWEEP = 1;

sub new {
    my ($class, %limits) = @_;
    return bless { %limits, shelf => {}, size => 0, turn => 0, swept => 0 }, $class;
}

# There is nobody else to hear or to listen to.
sub interest { return }
sub publish  { my ($self, $channel, $message) = @_; return $self->_too_large($message) || Future->done(0) }

sub get {
    my ($self, $key) = @_;
    my $entry = $self->_entry($key) or return Future->done(undef);
    return Future->done($entry->{value});
}

sub set {
    my ($self, $key, $value, $milliseconds) = @_;
    my $refusal = $self->_too_large($value);
    return $refusal if $refusal;
    my $size = length($key) + length($value) + $OVERHEAD;
    return _refused("The entry takes $size bytes, more than the $self->{bytes} of the whole store") if $size > $self->{bytes};

    $self->_sweep;
    $self->_remove($key);
    $self->_make_room($size);
    $self->{shelf}{$key} = { value => $value, size => $size, ends => _now() + $milliseconds / 1000, used => ++$self->{turn} };
    $self->{size} += $size;
    return Future->done;
}

sub touch {
    my ($self, $key, $milliseconds) = @_;
    my $entry = $self->_entry($key) or return Future->done(0);
    $entry->{ends} = _now() + $milliseconds / 1000;
    return Future->done(1);
}

sub delete {
    my ($self, $key) = @_;
    my $there = $self->_entry($key) ? 1 : 0;
    $self->_remove($key);
    return Future->done($there);
}

sub _entry {
    my ($self, $key) = @_;
    my $entry = $self->{shelf}{$key} or return undef;
    return $self->_remove($key) if $entry->{ends} <= _now();
    $entry->{used} = ++$self->{turn};
    return $entry;
}

sub _remove {
    my ($self, $key) = @_;
    my $entry = delete $self->{shelf}{$key} or return undef;
    $self->{size} -= $entry->{size};
    return undef;
}

sub _sweep {
    my ($self) = @_;
    my $now = _now();
    return if $now < $self->{swept} + $SWEEP;
    $self->{swept} = $now;
    my $shelf = $self->{shelf};
    $self->_remove($_) for grep { $shelf->{$_}{ends} <= $now } keys %$shelf;
    return;
}

# A tenth at a time: looking for the longest unused takes a walk through all.
sub _make_room {
    my ($self, $size) = @_;
    my $shelf = $self->{shelf};
    return if keys %$shelf < $self->{entries} && $self->{size} + $size <= $self->{bytes};
    my ($entries, $bytes) = ($self->{entries} * 0.9, $self->{bytes} * 0.9 - $size);
    for my $key (sort { $shelf->{$a}{used} <=> $shelf->{$b}{used} } keys %$shelf) {
        last if keys %$shelf < $entries && $self->{size} <= $bytes;
        $self->_remove($key);
    }
    return;
}

sub _too_large {
    my ($self, $value) = @_;
    return undef if length $value <= $self->{item};
    return _refused(length($value) . " bytes are more than --store-item-bytes $self->{item} allows");
}

sub _refused { return Future->fail("The shared store has refused this: $_[0]\n", 'shared') }

sub _now { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Shared::Memory - the shared store of a server that has one process

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Shared::Memory;

    my $store = PAGI::Shared::Memory->new(entries => 1000, bytes => 1_000_000, item => 10_000);
    $store->set('key', 'value', 60_000)->get;
    print $store->get('key')->get, "\n";

=head1 DESCRIPTION

What L<PAGI::Shared> uses where there are no other processes. Its methods are those of PAGI::Shared, with lives in
milliseconds and arguments that have been looked at already.

=head1 METHODS

=head2 new

C<entries>, C<bytes> and C<item> (bytes of one value), all required.

=head2 get, set, touch, delete

Return done Futures, or failed ones where a limit is crossed. When entries or bytes reach the limit, a tenth of them is
forgotten, the longest unused first.

=head2 publish, interest

There is nobody to hear it: C<publish> resolves to 0.

=cut
