package PAGI::ClientConnection;

use strict;
use warnings;

# Without a connection object nothing is known, and nobody is taken to be there.

sub connection { $_[0]{scope}{'pagi.connection'} }

sub is_connected {
    my $connection = $_[0]->connection or return 0;
    return $connection->is_connected ? 1 : 0;
}

sub is_disconnected { $_[0]->is_connected ? 0 : 1 }

sub disconnect_reason {
    my $connection = $_[0]->connection or return undef;
    return $connection->disconnect_reason;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::ClientConnection - whether the client is still there

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Request;

    my $app = sub {
        my ($scope, $receive, $send) = @_;
        my $request = PAGI::Request->new($scope, $receive);    # has these methods
        return $send->({ type => 'http.response.start', status => $request->is_connected ? 200 : 500 })
            ->then(sub { $send->({ type => 'http.response.body', body => '' }) });
    };

=head1 DESCRIPTION

What L<PAGI::Request> and L<PAGI::Context> have in common: a look at the server's C<pagi.connection>, which exists for http scopes. A class
that inherits from this keeps the scope in C<< $self->{scope} >>.

=head1 METHODS

=head2 connection

The object, or undef.

=head2 is_connected, is_disconnected

1 or 0. Without the object: not connected.

=head2 disconnect_reason

Reason of an abnormal end, or undef.

=cut
