package PAGI::Middleware::ContentLength;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::HeldResponse;

sub _init {
    my ($self, $config) = @_;
    $self->{auto_chunked} = $config->{auto_chunked} ? 1 : 0;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return $app if $self->{auto_chunked};
    my $held = PAGI::Middleware::Support::HeldResponse->new(
        hold    => \&_lacks_length,
        # The empty body of an application that answers HEAD itself says nothing
        # about the length a GET would have (HEAD-4).
        release => sub {
            my ($start, $event, $body, $scope) = @_;
            return (length $body || !_is_head($scope) ? _sized($start, length $body) : $start, $event);
        },
        bodiless => sub { my ($start, $scope) = @_; _is_head($scope) ? $start : _sized($start, 0) },
    );
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';
        return $held->run($app, $scope, $receive, $send);
    };
}

sub _is_head { ($_[0]{method} // '') eq 'HEAD' }

sub _lacks_length {
    my ($start) = @_;
    # The length in a 304 is that of the 200 it stands for (RFC 9110 8.6).
    return 0 if ($start->{status} // '') eq '304';
    for my $pair (@{ $start->{headers} || [] }) {
        my $name = lc $pair->[0];
        return 0 if $name eq 'content-length' || $name eq 'transfer-encoding' && lc $pair->[1] eq 'chunked';
    }
    return 1;
}

# The start is the copy that was held: its hash may be changed, the header array is the application's.
sub _sized {
    my ($start, $length) = @_;
    $start->{headers} = [ @{ $start->{headers} || [] }, [ 'content-length', $length ] ];
    return $start;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::ContentLength - add a missing content-length

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Head';
        enable 'ContentLength';
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. A response that is one complete C<body> event gets its C<content-length> (bytes). Left
alone: responses that have one or say C<transfer-encoding: chunked>, streamed bodies, C<file> and C<fh>
bodies, responses with trailers, 304 responses, and HEAD responses with an empty body (put L<PAGI::Middleware::Head>
outside to have HEAD answered with the length of the GET).

=head1 OPTIONS

=over 4

=item auto_chunked

True: do nothing at all, so that the server uses chunked framing. Default 0.

=back

=cut
