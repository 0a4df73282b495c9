package PAGI::Middleware::Runtime;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Carp qw(croak);
use Time::HiRes qw(time);
use PAGI::Middleware::Support::Headers qw(adding_headers);

sub _init {
    my ($self, $config) = @_;
    $self->{header}    = $config->{header}    // 'X-Runtime';
    $self->{precision} = $config->{precision} // 6;
    croak "Runtime 'precision' must be a number of decimals, got '$self->{precision}'"
        if $self->{precision} !~ /\A\d+\z/a;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    my $header = $self->{header};
    my $format = "%.$self->{precision}f";
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

        my $started = time;
        return $app->($scope, $receive,
            adding_headers($send, sub { [ $header, sprintf $format, time - $started ] }));
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Runtime - elapsed time as a response header

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Runtime', precision => 3;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. Appends the seconds from the arrival of the request to the response
start, as a plain decimal number.

=head1 OPTIONS

=over 4

=item header

Default C<X-Runtime>.

=item precision

Number of decimals, default 6.

=back

=cut
