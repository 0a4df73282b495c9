package PAGI::Middleware::Session::State::Bearer;

use strict;
use warnings;
use parent 'PAGI::Middleware::Session::State::Header';

sub new {
    my ($class, %options) = @_;
    return $class->SUPER::new(
        header_name => 'Authorization',
        pattern     => qr/^Bearer\s+(.+)$/i,
        %options,
    );
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::State::Bearer - session id as a bearer token

=head1 SYNOPSIS

    use PAGI::Middleware::Session;
    use PAGI::Middleware::Session::State::Bearer;

    my $session = PAGI::Middleware::Session->new(
        secret => 'a long random string',
        state  => PAGI::Middleware::Session::State::Bearer->new,
    );

=head1 DESCRIPTION

L<PAGI::Middleware::Session::State::Header> for C<Authorization: Bearer ID>, with an opaque id. The
options of that class override the two defaults, C<header_name> and C<pattern>. For signed tokens use
L<PAGI::Middleware::Auth::Bearer>.

=cut
