package PAGI::Middleware::Auth::Bearer;

use strict;
use warnings;
use parent 'PAGI::Middleware::Support::Authentication';

use Digest::SHA qw(hmac_sha256);
use Future::AsyncAwait;
use JSON::MaybeXS ();
use MIME::Base64 qw(decode_base64url encode_base64url);
use Scalar::Util qw(looks_like_number);
use PAGI::Middleware::Support::Headers qw(request_header);
use PAGI::Utils::SecureCompare qw(secure_compare);

my $JSON = JSON::MaybeXS->new(utf8 => 1);

sub _init {
    my ($self, $config) = @_;
    $self->{secret}    = $config->{secret};
    $self->{validator} = $config->{validator};
    die "Auth::Bearer requires 'secret' or 'validator' option\n"
        unless $self->{secret} || $self->{validator};
    # A key is bytes; only one that cannot be bytes is taken as text.
    utf8::encode($self->{secret}) if ($self->{secret} // '') =~ /[^\x00-\xff]/;
    $self->{algorithms} = { map { $_ => 1 } @{ $config->{algorithms} // ['HS256'] } };
    $self->{realm}      = $config->{realm} // 'Bearer';
    $self->{challenge}  = qq{Bearer realm="$self->{realm}"};
    $self->_init_guard('Auth::Bearer', $config);
    return;
}

async sub _guarded {
    my ($self, $app, $scope, $receive, $send) = @_;
    my $header = request_header($scope, 'authorization');
    return await $self->_refuse($scope, $send, 'Token required') unless defined $header;

    my ($token) = $header =~ /\ABearer\s+(\S.*?)\s*\z/is;
    return await $self->_refuse($scope, $send, 'Invalid authorization header') unless defined $token;

    my $claims;
    if ($self->{validator}) {
        $claims = await $self->_verdict(scalar $self->{validator}->($token));
    }
    else {
        $claims = $self->_jwt_claims($token);
    }
    return await $self->_refuse($scope, $send, 'Invalid token') unless $claims;

    return await $app->(
        { %$scope, 'pagi.auth' => { type => 'bearer', token => $token, claims => $claims } },
        $receive, $send,
    );
}

sub _jwt_claims {
    my ($self, $token) = @_;
    my ($header, $payload, $signature, @rest) = split /\./, $token, -1;
    return if @rest || !defined $signature;

    my $about = _object($header) or return;
    my $algorithm = $about->{alg};
    # HS256 only: accepting what the token itself names is how JWT checks get bypassed.
    return unless defined $algorithm && $algorithm eq 'HS256' && $self->{algorithms}{$algorithm};

    utf8::encode(my $signed = "$header.$payload");
    return unless $self->_secure_compare(
        encode_base64url(hmac_sha256($signed, $self->{secret})), $signature);

    my $claims = _object($payload) or return;
    my $now = time;
    for my $name (qw(exp nbf)) {
        return if defined $claims->{$name} && !looks_like_number($claims->{$name});
    }
    return if defined $claims->{exp} && $now > $claims->{exp};
    return if defined $claims->{nbf} && $now < $claims->{nbf};
    return $claims;
}

sub _object {
    my ($part) = @_;
    return if $part !~ /\A[A-Za-z0-9_-]+\z/;
    my $data = eval { $JSON->decode(decode_base64url($part)) };
    return ref $data eq 'HASH' ? $data : undef;
}

sub _secure_compare {
    my ($self, $left, $right) = @_;
    return secure_compare($left, $right);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Auth::Bearer - bearer token or JWT authentication

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    # JSON Web Tokens signed with HS256
    my $app = builder {
        enable 'Auth::Bearer', secret => 'the shared key', paths => [qr{^/api/}];
        sub {
            my ($scope, $receive, $send) = @_;
            my $user = $scope->{'pagi.auth'}{claims}{sub};
            ...
        };
    };

    # opaque tokens, looked up by yourself
    my %tokens = (s3cr3t => { sub => 'jane' });
    my $other = builder {
        enable 'Auth::Bearer', validator => sub { my ($token) = @_; return $tokens{$token} };
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> and C<sse> scopes. On success the scope has
C<< { type => 'bearer', token => $raw, claims => $claims } >> as C<pagi.auth>. Otherwise 401, with one
of the bodies C<Token required>, C<Invalid authorization header>, C<Invalid token>.

A JWT is accepted when it has three parts, its C<alg> is C<HS256>, its signature matches
(compared in constant time), the payload is a JSON object, the time is not after C<exp> and not
before C<nbf>. C<iss>, C<aud>, C<iat> and C<jti> are not looked at: check them in the application.

Browsers cannot send this header with a WebSocket, so WebSockets are not guarded unless
C<scope_types> says so.

=head1 OPTIONS

=over 4

=item secret

The HMAC key, bytes (with characters above 0xFF it is used as UTF-8). One of C<secret> and C<validator> is required.

=item validator

Coderef, called with the token; returns the claims, or false. May return a L<Future> of them. Replaces
the JWT check. Exceptions are passed on (a lookup that does not work is a server error, not a wrong
token).

=item algorithms

Allowed C<alg> values, default C<['HS256']>. Only HS256 is implemented; others are always refused.

=item realm

Default C<Bearer>. Used as it is: do not put quotes into it.

=item paths

Array reference of C<qr//> patterns or string prefixes to protect. Default: all paths.

=item scope_types

See L<PAGI::Middleware/"SCOPE TYPES">.

=back

=head1 ERRORS

C<Auth::Bearer requires 'secret' or 'validator' option>.

=cut
