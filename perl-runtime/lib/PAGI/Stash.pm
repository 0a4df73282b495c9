package PAGI::Stash;

use strict;
use warnings;

use parent 'PAGI::HashAccess';

use Scalar::Util qw(blessed);

sub new {
    my ($class, $source) = @_;

    my $scope = $source;
    if (blessed $source && $source->can('scope')) {
        $scope = $source->scope;
        die "PAGI::Stash requires scope hashref from ->scope method\n" unless ref $scope eq 'HASH';
    }
    die "PAGI::Stash requires a scope hashref or object with ->scope method\n" unless ref $scope eq 'HASH';
    return $class->from_data($scope->{'pagi.stash'} ||= {});
}

sub _label       { return 'Stash' }
sub _count_label { return 'keys' }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Stash - per-request data shared by the layers of an app

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Stash;

    my $scope = { type => 'http' };
    PAGI::Stash->new($scope)->set(user => 'ann', role => 'admin');

    my $stash = PAGI::Stash->new($scope);       # the same data
    print $stash->get('user'), "\n";            # ann
    print $stash->get('locale', 'en'), "\n";    # en: the default

=head1 DESCRIPTION

Wraps C<< $scope->{'pagi.stash'} >>, a hashref made when the first stash of a scope is. Every stash made from this scope,
or from a shallow copy of it taken later, works on the same hash. A stash first made in a copy of the scope is not
visible in the original: make it in the outermost layer that needs it.

Values may be anything. For data that outlives the request see L<PAGI::Session>; for data shared by all requests of a
worker see C<state> in L<PAGI::Lifespan>.

=head1 METHODS

=head2 new

    my $stash = PAGI::Stash->new($scope);
    my $stash = PAGI::Stash->new($request);    # anything with a scope method

Further arguments are ignored. Dies C<PAGI::Stash requires a scope hashref or object with -E<gt>scope method>, or
C<PAGI::Stash requires scope hashref from -E<gt>scope method> when the object's scope is no hashref.

=head2 from_data

    my $stash = PAGI::Stash->from_data(\%data);

Wraps a hash that belongs to no scope. Dies C<from_data() requires a hashref>.

=head2 get

    my $value = $stash->get($key);
    my $value = $stash->get($key, $default);

With a default, a missing key gives it, even when it is undef. Without, a missing key dies
C<Stash key 'K' does not exist. Available keys: a, b> or, above ten keys, C<Stash key 'K' does not exist (stash has N keys)>.

=head2 set

    $stash->set(key => $value, ...);

Returns the stash. Dies C<set() requires key =E<gt> value pairs> for an odd list.

=head2 exists

1 or 0.

=head2 delete

    $stash->delete(@keys);

Returns the stash.

=head2 keys

All keys, in no particular order.

=head2 slice

    my %some = $stash->slice(@keys);

Key and value of those keys that exist.

=head2 data

The hashref itself.

=head1 SEE ALSO

L<PAGI::Session>, L<PAGI::Request>

=cut
