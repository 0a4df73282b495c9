package PAGI::Middleware::Maintenance;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::Addresses;
use PAGI::Middleware::Support::Paths;
use PAGI::Middleware::Support::Reply qw(reply);

my $PAGE = <<'HTML';
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Maintenance</title></head>
<body>
<h1>Under Maintenance</h1>
<p>This service is being worked on. Please try again later.</p>
</body>
</html>
HTML

sub _init {
    my ($self, $config) = @_;
    $self->{enabled}      = $config->{enabled} // 0;
    $self->{bypass_ips}   = PAGI::Middleware::Support::Addresses->new(@{ $config->{bypass_ips} // [] });
    $self->{bypass_paths} = PAGI::Middleware::Support::Paths->exact(
        "Maintenance 'bypass_paths'", $config->{bypass_paths} // []);
    $self->{body} = $config->{body} // $PAGE;
    utf8::encode($self->{body}) if $self->{body} =~ /[^\x00-\xff]/ || utf8::is_utf8($self->{body});
    $self->{headers} = [
        [ 'Content-Type',   $config->{content_type} // 'text/html' ],
        [ 'Content-Length', length $self->{body} ],
        (defined $config->{retry_after} ? [ 'Retry-After', $config->{retry_after} ] : ()),
    ];
    $self->{applies} = $self->_guarded_scope_types($config, qw(http sse));
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            if !$self->{applies}{ $scope->{type} } || !$self->_closed_for($scope);
        return reply($scope, $send, 503, [ map { [@$_] } @{ $self->{headers} } ], $self->{body});
    };
}

sub _closed_for {
    my ($self, $scope) = @_;
    my $enabled = $self->{enabled};
    return 0 unless ref $enabled eq 'CODE' ? $enabled->() : $enabled;
    return 0 if $self->{bypass_paths}->contains($scope->{path});
    # An address out of a header a client can write must not open the door.
    my $client = $scope->{'pagi.verified_client'} // ($scope->{client} ? $scope->{client}[0] : undef);
    return !$self->{bypass_ips}->contains($client);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Maintenance - a 503 page, with exceptions

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Maintenance',
            enabled      => sub { -e '/run/myapp/maintenance' },
            bypass_ips   => ['192.0.2.0/24'],
            bypass_paths => ['/health'],
            retry_after  => 600;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> and C<sse> scopes.

=head1 OPTIONS

=over 4

=item enabled

Value, or coderef called without arguments for each request. Default 0.

=item bypass_ips

Array reference of addresses and IPv4 networks that see the application: the address of the connection, or
C<pagi.verified_client> behind L<PAGI::Middleware::ReverseProxy>.

=item bypass_paths

Array reference of exact path strings or C<qr//> patterns.

=item retry_after

Value of C<Retry-After>: seconds or an HTTP date. Default: no header.

=item content_type, body

Default C<text/html> and a small page. Characters are sent as UTF-8.

=item scope_types

See L<PAGI::Middleware/"SCOPE TYPES">.

=back

=cut
