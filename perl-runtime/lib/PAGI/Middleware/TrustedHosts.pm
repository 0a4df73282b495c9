package PAGI::Middleware::TrustedHosts;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::Headers qw(request_header);
use PAGI::Middleware::Support::Reply qw(reply);

sub _init {
    my ($self, $config) = @_;
    my $hosts = $config->{hosts} or die "TrustedHosts requires 'hosts' option\n";
    my @patterns = map { join '.*', map { quotemeta } split /\*/, $_, -1 }
        ref $hosts eq 'ARRAY' ? @$hosts : $hosts;
    my $any = join '|', @patterns;
    $self->{pattern}     = @patterns ? qr/\A(?:$any)\z/is : qr/(?!)/;
    $self->{allow_empty} = $config->{allow_empty} ? 1 : 0;
    $self->{applies}     = $self->_guarded_scope_types($config, qw(http sse));
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) unless $self->{applies}{ $scope->{type} };

        my $host = request_header($scope, 'host');
        if (!defined $host || !length $host) {
            return $app->($scope, $receive, $send) if $self->{allow_empty};
            return _refuse($scope, $send, 'Missing Host header');
        }
        return _refuse($scope, $send, 'Invalid Host header') if $host !~ $self->{pattern};
        return $app->($scope, $receive, $send);
    };
}

sub _refuse {
    my ($scope, $send, $text) = @_;
    return reply($scope, $send, 400,
        [ [ 'content-type', 'text/plain' ], [ 'content-length', length $text ] ], $text);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::TrustedHosts - answer only to known host names

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'TrustedHosts', hosts => [ 'example.org', '*.example.org', 'localhost:*' ];
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> and C<sse> scopes. A request whose C<Host> header matches none of the patterns gets
400 C<Invalid Host header>, one without a host 400 C<Missing Host header>. This stops cache poisoning
and password-reset links to foreign hosts in applications that build URLs from the header.

=head1 OPTIONS

=over 4

=item hosts

Required array reference. Each pattern is compared with the whole header value, without regard to
case; C<*> stands for any run of characters. A port must therefore appear in the pattern:
C<example.org> does not match C<example.org:8080>. C<*.example.org> does not match C<example.org>.

=item allow_empty

True: let requests without a host through. Default 0.

=item scope_types

See L<PAGI::Middleware/"SCOPE TYPES">.

=back

=head1 ERRORS

C<TrustedHosts requires 'hosts' option>.

=cut
