package PAGI::App::Proxy::Request;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(forwarded_headers request_target without_hop_by_hop);

# RFC 9110 7.6.1, and what belongs to this connection by its nature.
my %HOP_BY_HOP = map { $_ => 1 } qw(
    connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade
);

sub without_hop_by_hop {
    my ($headers) = @_;
    my %named;
    for my $header (@$headers) {
        next if lc $header->[0] ne 'connection';
        $named{ lc $_ } = 1 for $header->[1] =~ /[^\s,]+/g;
    }
    return grep { my $name = lc $_->[0]; !$HOP_BY_HOP{$name} && !$named{$name} } @$headers;
}

# The headers of the request as the backend gets them, without framing.
sub forwarded_headers {
    my ($scope, $authority, $extra) = @_;
    my %replaced = map { lc $_ => 1 } keys %$extra;
    my (@headers, @for, $host);
    for my $header (without_hop_by_hop($scope->{headers} || [])) {
        my $name = lc $header->[0];
        if    ($name eq 'host')            { $host = $header->[1] }
        elsif ($name eq 'x-forwarded-for') { push @for, $header->[1] }
        # The expectation was met here; the scheme and host are what this server saw.
        elsif ($name =~ /\A(?:content-length|expect|x-forwarded-(?:proto|host))\z/) { next }
        elsif (!$replaced{$name})          { push @headers, [@$header] }
    }
    push @for, $scope->{client}[0] if $scope->{client};
    my %own = (
        'x-forwarded-for'   => @for ? join(', ', @for) : undef,
        'x-forwarded-proto' => defined $scope->{scheme} ? $scope->{scheme} =~ s/\Aws/http/r : undef,
        'x-forwarded-host'  => $host,
    );
    return [
        ($replaced{host} ? () : ['host', $authority]),
        @headers,
        (map { [$_, $own{$_}] } grep { defined $own{$_} && !$replaced{$_} } sort keys %own),
        (map { [lc $_, $extra->{$_}] } sort keys %$extra),
    ];
}

# The path as the client wrote it where that is known, below a mount too.
sub request_target {
    my ($scope) = @_;
    my $path = _raw_path($scope) // _escaped($scope->{path} // '/');
    my $query = $scope->{query_string} // '';
    my $target = length $query ? "$path?$query" : $path;
    $target =~ s/([^\x21-\x7e])/sprintf '%%%02X', ord $1/ge;    # nothing that could end the request line
    return $target;
}

sub _raw_path {
    my ($scope) = @_;
    my $raw = $scope->{raw_path};
    return undef unless defined $raw;
    my $root = $scope->{root_path} // '';
    if (length $root) {
        my $prefix = _escaped($root);
        return undef unless index($raw, $prefix) == 0;
        $raw = substr $raw, length $prefix;
        $raw = '/' unless length $raw;
    }
    # Middleware may have put another path into the scope.
    (my $octets = $raw) =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    my $path = $scope->{path} // '/';
    return $raw if $octets eq $path;
    utf8::encode($path);
    return $octets eq $path ? $raw : undef;
}

sub _escaped {
    my ($path) = @_;
    utf8::encode($path);
    return $path =~ s{([^A-Za-z0-9\-._~!\$&'()*+,;=:\@/])}{sprintf '%%%02X', ord $1}ger;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy::Request - a scope as a request to the backend

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Proxy::Request qw(forwarded_headers request_target);

    my $scope = { path => '/a b', query_string => 'c=d', headers => [['te', 'trailers']], client => ['192.0.2.1', 4711] };
    print request_target($scope), "\n";                                                      # /a%20b?c=d
    print "$_->[0]: $_->[1]\n" for @{ forwarded_headers($scope, 'backend:8080', {}) };    # host, x-forwarded-for

=head1 FUNCTIONS

=head2 request_target($scope)

Path and query for the request line; without C<root_path>.

=head2 forwarded_headers($scope, $authority, \%extra)

Arrayref of the headers for the backend: those of the request without the hop-by-hop ones and without C<content-length> and
C<expect>; C<host> from C<$authority>; C<x-forwarded-for> (the client appended to what was there), C<x-forwarded-proto>,
C<x-forwarded-host>; then C<%extra>, which replaces others of the same name.

=head2 without_hop_by_hop(\@headers)

The list of those that are meant for the other end, without the hop-by-hop headers and those that C<connection> names.

=cut
