package PAGI::Middleware::Cookie;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Cookie::Baker ();
use PAGI::Middleware::Cookie::Jar;
use PAGI::Middleware::Support::Headers qw(request_header adding_headers);

sub _init {
    my ($self, $config) = @_;
    $self->{secret}   = $config->{secret};
    $self->{defaults} = $config->{cookie_defaults} // {};
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

        my $header = request_header($scope, 'cookie');
        my $jar = PAGI::Middleware::Cookie::Jar->new(%{ $self->{defaults} });
        my %inner = (
            %$scope,
            'pagi.cookies'    => defined $header ? Cookie::Baker::crush_cookie($header) : {},
            'pagi.cookie_jar' => $jar,
        );
        return $app->(\%inner, $receive, adding_headers($send, sub { $jar->headers }));
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Cookie - parse request cookies, queue response cookies

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Cookie', cookie_defaults => { httponly => 1, samesite => 'Lax', secure => 1 };
        sub {
            my ($scope, $receive, $send) = @_;
            my $theme = $scope->{'pagi.cookies'}{theme} // 'light';
            $scope->{'pagi.cookie_jar'}->set(theme => 'dark', max_age => 86400);
            ...
        };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. C<pagi.cookies> in the scope is a hash reference of the cookies that came in
(percent-decoded bytes, quotes removed, of duplicates the first); C<pagi.cookie_jar> is a
L<PAGI::Middleware::Cookie::Jar>. What is in the jar when the response starts is sent, one C<Set-Cookie>
each, in the order of the calls; cookies set later are lost.

=head1 OPTIONS

=over 4

=item cookie_defaults

Attributes for every cookie of the jar that does not say otherwise, for example
C<< { httponly => 1, samesite => 'Lax', secure => 1 } >>. Default: none.

=item secret

Accepted and not used.

=back

=cut
