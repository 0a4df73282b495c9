package PAGI::Middleware::WebSocket::Compression;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Carp qw(croak);
use PAGI::Middleware::Support::Headers qw(request_header_all);

sub _init {
    my ($self, $config) = @_;
    my %default = (
        level                      => 6,
        min_size                   => 128,
        server_no_context_takeover => 0,
        client_no_context_takeover => 0,
    );
    $self->{$_} = $config->{$_} // $default{$_} for keys %default;
    croak "WebSocket::Compression 'level' must be 0 to 9, got '$self->{level}'"
        if $self->{level} !~ /\A[0-9]\z/;
    croak "WebSocket::Compression 'min_size' must be a number of bytes, got '$self->{min_size}'"
        if $self->{min_size} !~ /\A\d+\z/a;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            if $scope->{type} ne 'websocket' || !_offered($scope);

        my %wish = (level => $self->{level}, min_size => $self->{min_size}, available => 1);
        return $app->({ %$scope, 'pagi.websocket.compression' => \%wish }, $receive, $send);
    };
}

sub _offered {
    my ($scope) = @_;
    for my $offer (map { split /,/ } request_header_all($scope, 'sec-websocket-extensions')) {
        return 1 if $offer =~ /\A\s*permessage-deflate\s*(?:;|\z)/i;
    }
    return 0;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::WebSocket::Compression - what a route would like from permessage-deflate

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'WebSocket::Compression', min_size => 1024;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

B<The server compresses, not this middleware.> Whether a frame is compressed is marked in the frame itself, which
no application can reach, so permessage-deflate is negotiated and done by the server when it is configured to. Messages
pass here unchanged in both directions, and applications always see them uncompressed.

What is left is a note for the application. When the client of a C<websocket> scope offers C<permessage-deflate>, the
scope gets C<< { level, min_size, available => 1 } >> as C<pagi.websocket.compression>. All other scopes pass unchanged.
The server does not read it: its own settings apply.

=head1 OPTIONS

Checked, so that configurations written for older releases keep loading.

=over 4

=item level

0 to 9, default 6.

=item min_size

Bytes, default 128.

=item server_no_context_takeover, client_no_context_takeover

Default 0.

=back

=head1 ERRORS

C<WebSocket::Compression 'level' must be 0 to 9, got 'X'>,
C<WebSocket::Compression 'min_size' must be a number of bytes, got 'X'>.

=cut
