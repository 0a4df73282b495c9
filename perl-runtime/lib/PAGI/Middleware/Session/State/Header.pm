package PAGI::Middleware::Session::State::Header;

use strict;
use warnings;
use parent 'PAGI::Middleware::Session::State';

use PAGI::Middleware::Support::Headers qw(request_header);

sub new {
    my ($class, %options) = @_;
    die "header_name is required for $class\n"
        unless defined $options{header_name} && length $options{header_name};
    return $class->SUPER::new(%options);
}

sub extract {
    my ($self, $scope) = @_;
    my $value = request_header($scope, lc $self->{header_name});
    return unless defined $value;
    return $value unless $self->{pattern};
    my ($id) = $value =~ $self->{pattern};
    return $id;
}

# The client holds the id and sends it by itself.
sub inject { return }

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::State::Header - session id in a request header

=head1 SYNOPSIS

    use PAGI::Middleware::Session;
    use PAGI::Middleware::Session::State::Header;

    my $session = PAGI::Middleware::Session->new(
        secret => 'a long random string',
        state  => PAGI::Middleware::Session::State::Header->new(header_name => 'X-Session-ID'),
    );

=head1 DESCRIPTION

For clients that are not browsers. Nothing is put into responses: hand the id
(C<< $scope->{'pagi.session_id'} >>) to the client in a body.

=head1 OPTIONS

=over 4

=item header_name

Required; dies C<header_name is required for CLASS>.

=item pattern

C<qr//> whose first capture is the id. Without it the whole value is.

=back

=head1 METHODS

C<extract($scope)> returns the id or undef; C<inject> and C<clear> do nothing.

=cut
