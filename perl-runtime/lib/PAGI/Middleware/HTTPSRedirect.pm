package PAGI::Middleware::HTTPSRedirect;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::Headers qw(request_header adding_headers);
use PAGI::Middleware::Support::Paths;
use PAGI::Middleware::Support::Reply qw(reply);
use PAGI::Middleware::Support::URLs qw(escape_path);

sub _init {
    my ($self, $config) = @_;
    $self->{code}    = $config->{redirect_code} // 301;
    $self->{exclude} = PAGI::Middleware::Support::Paths->exact(
        "HTTPSRedirect 'exclude'", $config->{exclude} // []);
    my $max_age = $config->{hsts_max_age} // 31536000;
    $self->{hsts}    = "max-age=$max_age; includeSubDomains" if $config->{hsts};
    $self->{applies} = $self->_guarded_scope_types($config, qw(http sse));
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) unless $self->{applies}{ $scope->{type} };

        my $scheme = $scope->{scheme} // 'http';
        if ($scheme eq 'https' || $scheme eq 'wss') {
            return $app->($scope, $receive, $send) unless $self->{hsts};
            return $app->($scope, $receive, adding_headers($send,
                sub { [ 'Strict-Transport-Security', $self->{hsts} ] }));
        }
        return $app->($scope, $receive, $send) if $self->{exclude}->contains($scope->{path});

        my $url  = _secure_url($scope);
        my $text = "Redirecting to $url";
        return reply($scope, $send, $self->{code}, [
            [ 'Content-Type',   'text/plain' ],
            [ 'Content-Length', length $text ],
            [ 'Location',       $url ],
        ], $text);
    };
}

sub _secure_url {
    my ($scope) = @_;
    my $host = request_header($scope, 'host') // '';
    $host = 'localhost' if $host !~ /\A[\w.\-:\[\]]+\z/a;
    # PATH-6: raw_path is the whole path as requested, path lacks the mount point.
    my $path = $scope->{raw_path} // ($scope->{root_path} // '') . ($scope->{path} // '/');
    $path = escape_path($path, defined $scope->{raw_path});
    my $query = $scope->{query_string} // '';
    return "https://$host$path" . (length $query ? '?' . escape_path($query, 1) : '');
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::HTTPSRedirect - send plain HTTP requests to https

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'HTTPSRedirect', hsts => 1, exclude => [ '/health', qr{^/\.well-known/} ];
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> and C<sse> scopes. A request whose C<scheme> is not C<https> is redirected to the same
host (including its port), path and query. Behind a proxy that ends TLS, enable
L<PAGI::Middleware::ReverseProxy> outside, or every request is redirected for ever.

The URL is made from C<raw_path> when the scope has it, else from C<root_path> and C<path>,
percent-encoded. A missing or malformed C<Host> becomes C<localhost>.

=head1 OPTIONS

=over 4

=item redirect_code

Default 301. Use 308 to make clients repeat a POST as a POST.

=item exclude

Array reference of exact path strings or C<qr//> patterns that stay on http.

=item hsts

True: https responses get C<Strict-Transport-Security: max-age=N; includeSubDomains>. Default 0.

=item hsts_max_age

Seconds, default 31536000.

=item scope_types

See L<PAGI::Middleware/"SCOPE TYPES">.

=back

=cut
