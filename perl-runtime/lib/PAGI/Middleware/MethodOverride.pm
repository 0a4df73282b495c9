package PAGI::Middleware::MethodOverride;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::Headers qw(request_header);
use PAGI::Middleware::Support::URLs qw(unescape_form);

sub _init {
    my ($self, $config) = @_;
    $self->{param}        = $config->{param} // '_method';
    $self->{header}       = lc($config->{header} // 'X-HTTP-Method-Override');
    $self->{allowed}      = { map { uc $_ => 1 } @{ $config->{allowed_methods} // [qw(PUT PATCH DELETE)] } };
    $self->{check_header} = $config->{check_header} // 1;
    $self->{check_param}  = $config->{check_param} // 1;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            if $scope->{type} ne 'http' || ($scope->{method} // '') ne 'POST';

        my $method = uc($self->_candidate($scope) // '');
        return $app->($scope, $receive, $send) unless $self->{allowed}{$method};
        return $app->(
            { %$scope, method => $method, original_method => $scope->{method} },
            $receive, $send,
        );
    };
}

sub _candidate {
    my ($self, $scope) = @_;
    if ($self->{check_header}) {
        my $value = request_header($scope, $self->{header});
        return $value if defined $value;
    }
    return unless $self->{check_param};
    for my $pair (split /[&;]/, $scope->{query_string} // '') {
        my ($name, $value) = split /=/, $pair, 2;
        next unless defined $name && unescape_form($name) eq $self->{param};
        return unescape_form($value // '');
    }
    return;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::MethodOverride - other methods through POST

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'MethodOverride';
        sub { my ($scope, $receive, $send) = @_; ... };
    };

    # <form method="post" action="/items/7?_method=DELETE">

=head1 DESCRIPTION

Acts on C<http> scopes with the method POST. If the header is there, its value is the wanted method,
otherwise the first query parameter of that name. An allowed one becomes C<method>, in upper case, and
C<original_method> holds the old; anything else leaves the request alone. The request body is never
read: put the parameter into the URL of the form's action.

Enable it outside everything that looks at the method.

=head1 OPTIONS

=over 4

=item param

Default C<_method>.

=item header

Default C<X-HTTP-Method-Override>.

=item allowed_methods

Default C<PUT PATCH DELETE>; letter case does not matter.

=item check_header, check_param

Default 1. 0 ignores that source.

=back

=cut
