package PAGI::Middleware::ETag;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Digest::MD5 qw(md5_hex);
use PAGI::Middleware::Support::Headers qw(response_header);
use PAGI::Middleware::Support::HeldResponse;

sub _init {
    my ($self, $config) = @_;
    $self->{prefix} = $config->{weak} ? 'W/' : '';
    return;
}

sub wrap {
    my ($self, $app) = @_;
    my $prefix = $self->{prefix};
    my $held = PAGI::Middleware::Support::HeldResponse->new(
        hold    => \&_wants_tag,
        release => sub {
            my ($start, $event, $body, $scope) = @_;
            # The tag of an empty HEAD body would not be the tag of the GET.
            return ($start, $event) if !length $body && ($scope->{method} // '') eq 'HEAD';
            # the start is the copy that was held, its header array is the application's
            $start->{headers} = [ @{ $start->{headers} || [] }, [ 'ETag', $prefix . '"' . md5_hex($body) . '"' ] ];
            return ($start, $event);
        },
    );
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';
        return $held->run($app, $scope, $receive, $send);
    };
}

# What a 206 or 304 carries is not the representation its tag would name.
sub _wants_tag {
    my ($start) = @_;
    return !defined response_header($start, 'etag') && ($start->{status} // '') !~ /\A(?:206|304)\z/;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::ETag - entity tags from the body

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'ConditionalGet';    # outside: it needs the tag made further in
        enable 'ETag';
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. A response that is one complete C<body> event gets an C<ETag> with the MD5 of the
body, whatever its status. Left alone: responses that have an C<ETag> or status 206 or 304, streamed bodies, C<file> and
C<fh> bodies (L<PAGI::Middleware::Static> makes its own), responses with trailers, and HEAD responses with an
empty body (put L<PAGI::Middleware::Head> outside).

The tag saves transfer, not work: the application still runs. It needs
L<PAGI::Middleware::ConditionalGet> outside to turn a matching request into a 304.

=head1 OPTIONS

=over 4

=item weak

True: weak tags, C<W/"...">. Default 0.

=back

=cut
