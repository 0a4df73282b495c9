package PAGI::Middleware::ReverseProxy;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Carp qw(croak);
use PAGI::Middleware::Support::Addresses;
use PAGI::Middleware::Support::Headers qw(request_header request_header_all without_headers);

sub _init {
    my ($self, $config) = @_;
    my $trusted = $config->{trusted_proxies} // [ '127.0.0.1', '::1' ];
    croak "ReverseProxy 'trusted_proxies' must be an arrayref of addresses or IPv4 networks"
        if ref $trusted ne 'ARRAY';
    $self->{trusted}   = PAGI::Middleware::Support::Addresses->new(@$trusted);
    $self->{trust_all} = $config->{trust_all} ? 1 : 0;
    $self->{client_from} = $config->{client_from} // 'leftmost';
    croak "ReverseProxy 'client_from' must be 'leftmost' or 'verified', got '$self->{client_from}'"
        if $self->{client_from} !~ /\A(?:leftmost|verified)\z/;
    $self->{applies} = $self->_guarded_scope_types($config, qw(http sse));
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            unless $self->{applies}{ $scope->{type} } && $self->_trusts($scope);
        return $app->($self->_corrected($scope), $receive, $send);
    };
}

sub _trusts {
    my ($self, $scope) = @_;
    return 1 if $self->{trust_all};
    return $self->{trusted}->contains($scope->{client} ? $scope->{client}[0] : '');
}

sub _corrected {
    my ($self, $scope) = @_;
    my %new = %$scope;
    $self->_correct_client(\%new, $scope);

    my $proto = lc(request_header($scope, 'x-forwarded-proto') // '');
    if ($proto eq 'http' || $proto eq 'https') {
        $new{scheme} = $scope->{type} ne 'websocket' ? $proto : $proto eq 'https' ? 'wss' : 'ws';
    }

    my $host = request_header($scope, 'x-forwarded-host');
    if (defined $host && length $host) {
        $new{headers} = [ [ 'host', $host ], @{ without_headers($scope->{headers}, 'host') } ];
    }

    my $port = request_header($scope, 'x-forwarded-port') // '';
    if ($port =~ /\A\d+\z/a) {
        $new{server} = [ $scope->{server} ? $scope->{server}[0] : undef, $port + 0 ];
    }
    return \%new;
}

sub _correct_client {
    my ($self, $new, $scope) = @_;
    my @chain = grep { length } map { s/\A\s+|\s+\z//gr } map { split /,/ }
        request_header_all($scope, 'x-forwarded-for');
    if (!@chain) {
        my $real = request_header($scope, 'x-real-ip') // '';
        $real =~ s/\A\s+|\s+\z//g;
        @chain = $real if length $real;
    }
    return unless @chain;

    $new->{'pagi.verified_client'} = $self->_verified(@chain);
    my $ip = $self->{client_from} eq 'verified' ? $new->{'pagi.verified_client'} : $chain[0];
    $new->{client} = [ $ip, $scope->{client} ? $scope->{client}[1] : undef ];
    $new->{original_client} = $scope->{client} if $scope->{client};
    return;
}

# Each proxy appends the address it saw, so everything left of the first address
# that is not a proxy of ours was written by the client and may be invented.
sub _verified {
    my ($self, @chain) = @_;
    return _bare($chain[0]) if $self->{trust_all};
    for my $entry (reverse @chain) {
        my $address = _bare($entry);
        return $address unless $self->{trusted}->contains($address);
    }
    return _bare($chain[0]);
}

# "192.0.2.1:4711" and "[2001:db8::1]:4711" appear in the wild.
sub _bare {
    my ($entry) = @_;
    return $1 if $entry =~ /\A\[([^\]]+)\](?::\d+)?\z/;
    return $1 if $entry =~ /\A([^:]+):\d+\z/;
    return $entry;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::ReverseProxy - take client, scheme and host from a trusted proxy

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'ReverseProxy', trusted_proxies => [ '127.0.0.1', '10.0.0.0/8' ];
        enable 'RateLimit';
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> and C<sse> scopes, if the connection comes from a trusted proxy; everybody else's
headers are ignored. The application gets a copy of the scope with

    X-Forwarded-For    client[0]; the old client stays as original_client
    X-Real-IP          the same, if there is no X-Forwarded-For
    X-Forwarded-Proto  scheme, if http or https
    X-Forwarded-Host   the host header
    X-Forwarded-Port   server[1], if digits

Enable it before (outside) everything that uses these: C<AccessLog>, C<RateLimit>, C<HTTPSRedirect>,
C<TrustedHosts>, C<Maintenance>, C<SecurityHeaders>.

The proxy must set or remove these headers itself, or a client can. For C<X-Forwarded-For> most
proxies I<append> the address they see to whatever the client sent, so only the right end is
reliable. C<client> gets the leftmost entry, which is the browser when nobody lies. The entry that
cannot be forged (the rightmost that is not itself a trusted proxy) is in the scope as
C<pagi.verified_client>; L<PAGI::Middleware::RateLimit> and L<PAGI::Middleware::Maintenance> use that
one. With C<< client_from => 'verified' >> it is C<client> as well.

Connections over a Unix socket have no client address and count as untrusted unless C<trust_all> is set.

=head1 OPTIONS

=over 4

=item trusted_proxies

Array reference of exact addresses or IPv4 networks (C<10.0.0.0/8>). Default
C<['127.0.0.1', '::1']>. IPv6 networks and malformed addresses never match.

=item trust_all

True: believe every peer, and the leftmost address. Only for servers that nobody but the proxy can
reach. Default 0.

=item client_from

C<leftmost> (default) or C<verified>.

=item scope_types

Default C<[qw(http sse)]>; add C<websocket> to correct those scopes too (C<ws>/C<wss>). See
L<PAGI::Middleware/"SCOPE TYPES">.

=back

=cut
