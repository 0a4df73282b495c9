package PAGI::Middleware::Session::State;

use strict;
use warnings;

sub new {
    my ($class, %options) = @_;
    return bless {%options}, $class;
}

sub extract { my ($self) = @_; die ref($self) . " must implement extract()\n" }
sub inject  { my ($self) = @_; die ref($self) . " must implement inject()\n" }
sub clear   { return }

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::State - base class: how a session id travels

=head1 SYNOPSIS

    package My::QueryState;
    use parent 'PAGI::Middleware::Session::State';

    sub extract {
        my ($self, $scope) = @_;
        return $scope->{query_string} =~ /(?:^|&)sid=([0-9a-f]{64})/ ? $1 : undef;
    }
    sub inject { return }

=head1 METHODS

All are plain calls, not asynchronous.

=head2 new(%options)

Stores the options on the object.

=head2 extract($scope)

The id the request brought, or undef. Dies C<CLASS must implement extract()> in the base class.

=head2 inject(\@headers, $id, \%options)

Pushes C<[name, value]> pairs for the response on the array. C<$id> is what the store's C<set>
resolved to. C<%options> has C<< secure => 1 >> when the request came over https. Dies
C<CLASS must implement inject()> in the base class.

=head2 clear(\@headers)

Pushes what makes the client forget the id. Does nothing in the base class.

=cut
