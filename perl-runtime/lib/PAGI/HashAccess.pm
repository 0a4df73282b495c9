package PAGI::HashAccess;

use strict;
use warnings;

# The accessors that PAGI::Stash and PAGI::Session have in common. A subclass says how its keys are called in messages
# (_label, _count_label) and which of them belong to the user (_user_keys).

sub from_data {
    my ($class, $data) = @_;
    die "from_data() requires a hashref\n" unless ref $data eq 'HASH';
    return bless { _data => $data }, $class;
}

sub data { return $_[0]{_data} }

sub get {
    my ($self, @args) = @_;
    die "get() requires 1 or 2 arguments\n" unless @args == 1 || @args == 2;

    my ($key, $default) = @args;
    return $self->{_data}{$key} if exists $self->{_data}{$key};
    return $default if @args == 2;

    my @keys = sort $self->_user_keys;
    my $hint = @keys > 10
        ? '(' . lc($self->_label) . ' has ' . @keys . ' ' . $self->_count_label . ')'
        : 'Available keys: ' . join ', ', @keys;
    die $self->_label . " key '$key' does not exist" . (@keys > 10 ? " $hint\n" : ". $hint\n");
}

sub set {
    my ($self, @pairs) = @_;
    die "set() requires key => value pairs\n" if @pairs % 2;
    while (my ($key, $value) = splice @pairs, 0, 2) {
        $self->{_data}{$key} = $value;
    }
    return $self;
}

sub exists {
    my ($self, $key) = @_;
    return exists $self->{_data}{$key} ? 1 : 0;
}

sub delete {
    my ($self, @keys) = @_;
    delete @{ $self->{_data} }{@keys};
    return $self;
}

sub keys { return $_[0]->_user_keys }

sub slice {
    my ($self, @keys) = @_;
    return map { $_ => $self->{_data}{$_} } grep { exists $self->{_data}{$_} } @keys;
}

sub _user_keys { return CORE::keys %{ $_[0]{_data} } }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::HashAccess - the accessors that PAGI::Stash and PAGI::Session share

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Stash;    # a subclass

    my $stash = PAGI::Stash->from_data({ user => 'ann' });
    print $stash->get('user'), "\n";

=head1 DESCRIPTION

Base class; use L<PAGI::Stash> or L<PAGI::Session>.

=head1 METHODS

=head2 from_data

    my $access = CLASS->from_data(\%data);

Wraps a hash; dies C<from_data() requires a hashref> otherwise.

=head2 data

The wrapped hashref itself.

=head2 get

    my $value = $access->get($key);
    my $value = $access->get($key, $default);

The value. A missing key gives the default, even an undefined one; without a default it dies and names up to ten keys
that do exist. Another number of arguments dies C<get() requires 1 or 2 arguments>.

=head2 set

    $access->set(key => $value, ...);

Returns the object. An odd list dies C<set() requires key =E<gt> value pairs>.

=head2 exists

    my $is_there = $access->exists($key);    # 1 or 0

=head2 delete

    $access->delete(@keys);

Returns the object.

=head2 keys

The keys, in no particular order.

=head2 slice

    my %some = $access->slice(@keys);

Key and value of those keys that exist.

=head1 SEE ALSO

L<PAGI::Stash>, L<PAGI::Session>

=cut
