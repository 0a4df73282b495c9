package PAGI::Middleware::SecurityHeaders;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::Headers qw(adding_headers);

my @HEADERS = (
    [ x_frame_options           => 'X-Frame-Options',           'SAMEORIGIN' ],
    [ x_content_type_options    => 'X-Content-Type-Options',    'nosniff' ],
    [ x_xss_protection          => 'X-XSS-Protection',          '1; mode=block' ],
    [ referrer_policy           => 'Referrer-Policy',           'strict-origin-when-cross-origin' ],
    [ strict_transport_security => 'Strict-Transport-Security', undef ],
    [ content_security_policy   => 'Content-Security-Policy',   undef ],
    [ permissions_policy        => 'Permissions-Policy',        undef ],
);

sub _init {
    my ($self, $config) = @_;
    for my $header (@HEADERS) {
        my ($option, $name, $default) = @$header;
        # An explicit undef switches the header off, so presence decides.
        my $value = exists $config->{$option} ? $config->{$option} : $default;
        next unless defined $value;
        push @{ $self->{secure} }, [ $name, $value ];
        # RFC 6797 7.2: the header must not be sent over plain HTTP.
        push @{ $self->{plain} }, [ $name, $value ] if $option ne 'strict_transport_security';
    }
    $self->{$_} //= [] for qw(secure plain);
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';
        my $list = ($scope->{scheme} // 'http') eq 'https' ? $self->{secure} : $self->{plain};
        return $app->($scope, $receive, adding_headers($send, $list));
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::SecurityHeaders - standard hardening headers

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'SecurityHeaders',
            x_frame_options           => 'DENY',
            strict_transport_security => 'max-age=31536000; includeSubDomains',
            content_security_policy   => "default-src 'self'";
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. Appends these headers to every response, even if the application sent one
of the same name.

=head1 OPTIONS

Each option is the header's value. An explicit C<undef> switches the header off.

    option                     header                     default
    x_frame_options            X-Frame-Options            SAMEORIGIN
    x_content_type_options     X-Content-Type-Options     nosniff
    x_xss_protection           X-XSS-Protection           1; mode=block
    referrer_policy            Referrer-Policy            strict-origin-when-cross-origin
    strict_transport_security  Strict-Transport-Security  none
    content_security_policy    Content-Security-Policy    none
    permissions_policy         Permissions-Policy         none

C<Strict-Transport-Security> is sent only when the scope's C<scheme> is C<https>; behind a TLS proxy
that needs L<PAGI::Middleware::ReverseProxy> outside.

=cut
