package PAGI::Middleware::CSRF;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Digest::SHA qw(hmac_sha256_hex);
use PAGI::Middleware::Support::Headers qw(request_header adding_headers);
use PAGI::Middleware::Support::Reply qw(reply);
use PAGI::Utils::Random qw(secure_random_bytes);
use PAGI::Utils::SecureCompare qw(secure_compare);

sub _init {
    my ($self, $config) = @_;
    $self->{secret} = $config->{secret} or die "CSRF middleware requires 'secret' option\n";
    utf8::encode($self->{secret}) if $self->{secret} =~ /[^\x00-\xff]/;
    $self->{token_header} = lc($config->{token_header} // 'X-CSRF-Token');
    $self->{cookie_name}  = $config->{cookie_name} // 'csrf_token';
    $self->{safe}         = { map { $_ => 1 } @{ $config->{safe_methods} // [qw(GET HEAD OPTIONS TRACE)] } };
    $self->{secure}       = $config->{secure};
    $self->{enforce}      = $config->{enforce} // 'header';
    die "CSRF middleware 'enforce' must be 'header' or 'app', got '$self->{enforce}'\n"
        if $self->{enforce} ne 'header' && $self->{enforce} ne 'app';
    $self->{applies} = $self->_guarded_scope_types($config, qw(http sse));
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) unless $self->{applies}{ $scope->{type} };

        my $known = $self->_cookie_token($scope);
        # A WebSocket handshake has no method; it is always a GET.
        my $safe = $self->{safe}{ $scope->{method} // 'GET' } || $self->{enforce} eq 'app';
        return _refuse($scope, $send)
            unless $safe || secure_compare(request_header($scope, $self->{token_header}), $known);

        my $token = $known // $self->_generate_token;
        my $inner = { %$scope, csrf_token => $token };
        return $app->($inner, $receive, $send) if defined $known;

        my $cookie = $self->_set_cookie($scope, $token);
        return $app->($inner, $receive, adding_headers($send, sub { [ 'Set-Cookie', $cookie ] }));
    };
}

sub _cookie_token {
    my ($self, $scope) = @_;
    my $header = request_header($scope, 'cookie');
    return unless defined $header;
    my ($token) = $header =~ /(?:\A|;)\s*\Q$self->{cookie_name}\E=([^;]*)/;
    return unless defined $token;
    $token =~ s/\s+\z//;
    # An empty cookie is no token: an empty header would match it.
    return length $token ? $token : undef;
}

sub _set_cookie {
    my ($self, $scope, $token) = @_;
    # Unless told otherwise, a token issued over TLS must not leak over plain HTTP.
    my $secure = $self->{secure} // (($scope->{scheme} // '') eq 'https');
    return "$self->{cookie_name}=$token; Path=/; HttpOnly; SameSite=Strict" . ($secure ? '; Secure' : '');
}

sub _generate_token {
    my ($self) = @_;
    return hmac_sha256_hex(secure_random_bytes(32), $self->{secret});
}

sub _refuse {
    my ($scope, $send) = @_;
    my $text = 'CSRF token validation failed';
    return reply($scope, $send, 403,
        [ [ 'content-type', 'text/plain' ], [ 'content-length', length $text ] ], $text);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::CSRF - double-submit token against cross-site requests

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'CSRF', secret => 'a long random string';
        sub {
            my ($scope, $receive, $send) = @_;
            my $token = $scope->{csrf_token};    # put it into the page for scripts to send
            ...
        };
    };

=head1 DESCRIPTION

Acts on C<http> and C<sse> scopes (a POST can open an event stream). A visitor without a token
gets one in a cookie and in the scope as C<csrf_token>. Requests with an unsafe method must send
the same token in a header; another site can make the browser send the cookie but cannot read it.
The two are compared in constant time. Failure: 403 C<CSRF token validation failed>, and the
application is not called.

An existing token is kept and its cookie is not sent again.

With C<< enforce => 'app' >> nothing is rejected here: the application checks a token from a form
field itself, for example with C<csrf_verify> of L<PAGI::Context>.

=head1 OPTIONS

=over 4

=item secret

Required. Goes into new tokens besides random bytes.

=item token_header

Default C<X-CSRF-Token>.

=item cookie_name

Default C<csrf_token>.

=item safe_methods

Default C<GET HEAD OPTIONS TRACE>; compared with regard to case.

=item secure

1 puts C<Secure> on the cookie, 0 never. Without the option it is there exactly when the request
came over https.

=item enforce

C<header> (default) or C<app>.

=item scope_types

See L<PAGI::Middleware/"SCOPE TYPES">.

=back

The cookie is C<NAME=TOKEN; Path=/; HttpOnly; SameSite=Strict>. C<HttpOnly> hides it from scripts: they
take the token from the page.

=head1 ERRORS

C<CSRF middleware requires 'secret' option>, C<CSRF middleware 'enforce' must be 'header' or 'app', got 'X'>.

=cut
