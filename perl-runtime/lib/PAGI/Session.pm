package PAGI::Session;

use strict;
use warnings;

use parent 'PAGI::HashAccess';

use Scalar::Util qw(blessed);

sub new {
    my ($class, $source) = @_;

    if (blessed $source && $source->can('scope')) {
        my $scope = $source->scope;
        die "PAGI::Session requires scope hashref with 'pagi.session' key\n"
            unless ref $scope eq 'HASH' && ref $scope->{'pagi.session'} eq 'HASH';
        return $class->from_data($scope->{'pagi.session'});
    }
    die "PAGI::Session requires a scope hashref (with 'pagi.session' key) or object with ->scope method\n"
        unless ref $source eq 'HASH' && ref $source->{'pagi.session'} eq 'HASH';
    return $class->from_data($source->{'pagi.session'});
}

sub id { return $_[0]{_data}{_id} }

sub clear {
    my ($self) = @_;
    delete @{ $self->{_data} }{ $self->_user_keys };
    return;
}

# Both only leave a note: the session middleware acts on it when the response starts.
sub regenerate { $_[0]{_data}{_regenerated} = 1; return }
sub destroy    { $_[0]{_data}{_destroyed} = 1;   return }

sub _label       { return 'Session' }
sub _count_label { return 'user keys' }

sub _user_keys { return grep { !/\A_/ } CORE::keys %{ $_[0]{_data} } }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Session - access to the session of a request

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Session;

    # PAGI::Middleware::Session puts the session there.
    my $scope = { type => 'http', 'pagi.session' => { _id => 'f00d', visits => 1 } };

    my $session = PAGI::Session->new($scope);
    $session->set(visits => $session->get('visits', 0) + 1);
    print $session->get('visits'), "\n";    # 2

    $session->regenerate;                   # a new id: after every login

=head1 DESCRIPTION

Wraps the hashref that L<PAGI::Middleware::Session> puts into C<< $scope->{'pagi.session'} >>. The middleware loads and saves
it, so values must be encodable as JSON. Keys that begin with an underscore belong to the middleware: C<keys>, C<clear> and
the messages of C<get> leave them out. In WebSocket and SSE scopes a session can be read; changes are not saved.

=head1 METHODS

=head2 new

    my $session = PAGI::Session->new($scope);
    my $session = PAGI::Session->new($request);    # anything with a scope method

Further arguments are ignored. Dies C<PAGI::Session requires a scope hashref (with 'pagi.session' key) or object with -E<gt>scope
method>, or C<PAGI::Session requires scope hashref with 'pagi.session' key> when the object's scope has no session: then
L<PAGI::Middleware::Session> is not enabled.

=head2 from_data

    my $session = PAGI::Session->from_data(\%data);

Wraps a hash. Dies C<from_data() requires a hashref>.

=head2 get

    my $value = $session->get($key);
    my $value = $session->get($key, $default);

With a default, a missing key gives it, even when it is undef. Without, a missing key dies
C<Session key 'K' does not exist. Available keys: a, b> or, above ten keys, C<Session key 'K' does not exist (session has N
user keys)>. Another number of arguments dies C<get() requires 1 or 2 arguments>.

=head2 set

    $session->set(key => $value, ...);

Returns the session. Dies C<set() requires key =E<gt> value pairs> for an odd list.

=head2 exists

1 or 0.

=head2 delete

    $session->delete(@keys);

Returns the session.

=head2 keys

The keys that do not begin with an underscore, in no particular order.

=head2 slice

    my %some = $session->slice(@keys);

Key and value of those keys that exist.

=head2 data

The hashref itself, with the keys of the middleware.

=head2 id

The session id, a string of 64 hex digits, or undef.

=head2 clear

Removes every key that does not begin with an underscore. Returns nothing.

=head2 regenerate

Asks the middleware for a new id under which the data continues. Do this when a user logs in or gains rights. Returns nothing.

=head2 destroy

Asks the middleware to delete the session and its cookie. Wins over C<regenerate>. Returns nothing.

=head1 SEE ALSO

L<PAGI::Middleware::Session>, L<PAGI::Stash>

=cut
