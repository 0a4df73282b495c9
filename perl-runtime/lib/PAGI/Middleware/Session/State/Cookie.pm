package PAGI::Middleware::Session::State::Cookie;

use strict;
use warnings;
use parent 'PAGI::Middleware::Session::State';

use PAGI::Middleware::Support::Headers qw(request_header);

sub new {
    my ($class, %options) = @_;
    return $class->SUPER::new(
        cookie_name    => $options{cookie_name}    // 'pagi_session',
        cookie_options => $options{cookie_options} // { httponly => 1, path => '/', samesite => 'Lax' },
        expire         => $options{expire}         // 3600,
    );
}

sub extract {
    my ($self, $scope) = @_;
    my $header = request_header($scope, 'cookie');
    return unless defined $header;
    my $id;
    for my $pair (split /;/, $header) {
        my ($name, $value) = split /=/, $pair, 2;
        next unless defined $value;
        s/\A\s+|\s+\z//g for $name, $value;
        $id = $value if $name eq $self->{cookie_name};
    }
    return $id;
}

sub inject {
    my ($self, $headers, $id, $options) = @_;
    my $cookie = $self->{cookie_options};
    my $value = "$self->{cookie_name}=$id" . $self->_place;
    $value .= '; HttpOnly' if $cookie->{httponly};
    # A session that began over TLS must not be sent in the clear, unless told so.
    $value .= '; Secure' if $cookie->{secure} // ($options && $options->{secure});
    $value .= "; SameSite=$cookie->{samesite}" if $cookie->{samesite};
    $value .= "; Max-Age=$self->{expire}" if $self->{expire};
    push @$headers, [ 'Set-Cookie', $value ];
    return;
}

sub clear {
    my ($self, $headers) = @_;
    my $value = "$self->{cookie_name}=" . $self->_place . '; Max-Age=0';
    $value .= '; HttpOnly' if $self->{cookie_options}{httponly};
    push @$headers, [ 'Set-Cookie', $value ];
    return;
}

# A cookie is only replaced or cleared by one of the same path and domain.
sub _place {
    my ($self) = @_;
    my $cookie = $self->{cookie_options};
    my $place = '; Path=' . ($cookie->{path} // '/');
    $place .= "; Domain=$cookie->{domain}" if defined $cookie->{domain} && length $cookie->{domain};
    return $place;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::State::Cookie - session id in a cookie

=head1 SYNOPSIS

    use PAGI::Middleware::Session;
    use PAGI::Middleware::Session::State::Cookie;

    my $session = PAGI::Middleware::Session->new(
        secret => 'a long random string',
        state  => PAGI::Middleware::Session::State::Cookie->new(
            cookie_name    => 'sid',
            cookie_options => { httponly => 1, secure => 1, samesite => 'Strict', path => '/' },
            expire         => 86400,
        ),
    );

=head1 OPTIONS

=over 4

=item cookie_name

Default C<pagi_session>.

=item cookie_options

Default C<< { httponly => 1, path => '/', samesite => 'Lax' } >>; a hash given replaces all of it. Keys:
C<httponly>, C<secure>, C<samesite>, C<path> (C</> when missing), C<domain>. Without a C<secure> key the
cookie is C<Secure> when the request came over https; C<< secure => 0 >> prevents that.

=item expire

C<Max-Age> in seconds, default 3600; 0 makes a cookie that ends with the browser session.

=back

=head1 METHODS

=head2 extract($scope)

The value of the cookie, as it is (no unquoting, no decoding); of duplicates the last. Undef if missing.

=head2 inject(\@headers, $id, \%options)

Pushes C<Set-Cookie: NAME=ID; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600>.

=head2 clear(\@headers)

Pushes C<Set-Cookie: NAME=; Path=/; Max-Age=0; HttpOnly>.

=cut
