package PAGI::Middleware::Auth::Basic;

use strict;
use warnings;
use parent 'PAGI::Middleware::Support::Authentication';

use Future::AsyncAwait;
use MIME::Base64 qw(decode_base64);
use PAGI::Middleware::Support::Headers qw(request_header);

sub _init {
    my ($self, $config) = @_;
    $self->{authenticator} = $config->{authenticator}
        or die "Auth::Basic requires 'authenticator' option\n";
    $self->{realm} = $config->{realm} // 'Restricted';
    $self->_init_guard('Auth::Basic', $config);
    (my $quoted = $self->{realm}) =~ s/(["\\])/\\$1/g;
    $self->{challenge} = qq{Basic realm="$quoted", charset="UTF-8"};
    return;
}

async sub _guarded {
    my ($self, $app, $scope, $receive, $send) = @_;
    my ($user, $password) = _credentials($scope);
    my $accepted = defined $user && eval { await $self->_verdict(scalar $self->{authenticator}->($user, $password)) };
    return await $self->_refuse($scope, $send, 'Unauthorized') unless $accepted;
    return await $app->(
        { %$scope, 'pagi.auth' => { type => 'basic', username => $user } },
        $receive, $send,
    );
}

sub _credentials {
    my ($scope) = @_;
    my $header = request_header($scope, 'authorization') // return;
    my ($encoded) = $header =~ m{\ABasic\s+([A-Za-z0-9+/]+={0,2})\s*\z}i or return;
    my ($user, $password) = split /:/, decode_base64($encoded), 2;
    return ($user // '', $password // '');
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Auth::Basic - HTTP Basic authentication

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;
    use PAGI::Utils::SecureCompare qw(secure_compare);

    my $app = builder {
        enable 'Auth::Basic',
            realm         => 'Back office',
            paths         => ['/admin'],
            authenticator => sub {
                my ($user, $password) = @_;
                return $user eq 'admin' && secure_compare($password, $ENV{ADMIN_PASSWORD});
            };
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> and C<sse> scopes. A request without valid credentials gets 401 C<Unauthorized> with a
challenge. Otherwise the application finds C<< { type => 'basic', username => $user } >> in the
scope as C<pagi.auth>.

Credentials travel in clear text: use TLS.

=head1 OPTIONS

=over 4

=item authenticator

Required. Coderef, called with user name and password (bytes; browsers send UTF-8); true means
accepted. It may return a L<Future> of the answer. An exception or a failed Future counts as
"not accepted". A missing password is the empty string.

=item realm

Default C<Restricted>.

=item paths

Array reference of C<qr//> patterns or string prefixes to protect; everything else passes without
authentication. Prefixes are plain text: C</admin> covers C</administrator>. Default: all paths.

=item scope_types

See L<PAGI::Middleware/"SCOPE TYPES">.

=back

=head1 ERRORS

C<Auth::Basic requires 'authenticator' option>.

=cut
