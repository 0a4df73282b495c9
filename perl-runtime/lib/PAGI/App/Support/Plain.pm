package PAGI::App::Support::Plain;

use strict;
use warnings;

use Exporter qw(import);
use PAGI::App::Support::Plain::Client;

our @EXPORT_OK = qw(plain_http);

# What a browser asks for as an event stream is an ordinary request, and may well be answered with a stream.
sub plain_http {
    my ($scope, $receive, $send) = @_;
    return ($scope, $receive, $send) if $scope->{type} ne 'sse';
    return (
        { 'pagi.connection' => PAGI::App::Support::Plain::Client->new($receive), %$scope, type => 'http' },
        sub { $receive->()->transform(done => sub { +{ %{ $_[0] }, type => $_[0]{type} =~ s/\Asse\./http./r } }) },
        sub { $send->({ %{ $_[0] }, type => "sse.$_[0]{type}" }) },
    );
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Support::Plain - event streams for applications that know plain HTTP only

=head1 SYNOPSIS

    use PAGI::App::Support::Plain qw(plain_http);

    ($scope, $receive, $send) = plain_http($scope, $receive, $send);

=head1 FUNCTIONS

=head2 plain_http($scope, $receive, $send)

Returns the three as they are, but for an C<sse> scope as an C<http> scope, with a L<PAGI::App::Support::Plain::Client> as C<pagi.connection>, and coderefs
that translate the events.

=cut
