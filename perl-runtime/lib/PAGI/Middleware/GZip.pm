package PAGI::Middleware::GZip;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Carp qw(croak);
use Compress::Raw::Zlib qw(Z_OK WANT_GZIP);
use PAGI::Middleware::Support::Headers
    qw(request_header_all response_header without_headers vary_on);
use PAGI::Middleware::Support::HeldResponse;

my @MIME_TYPES = qw(
    text/html text/plain text/css text/javascript
    application/json application/javascript application/xml
);

sub _init {
    my ($self, $config) = @_;
    $self->{min_size} = $config->{min_size} // 1024;
    $self->{level}    = $config->{level} // 6;
    croak "GZip 'level' must be 1 to 9, got '$self->{level}'" if $self->{level} !~ /\A[1-9]\z/;
    for my $type (@{ $config->{mime_types} // \@MIME_TYPES }) {
        if ($type =~ /\A(.*)\*\z/s) { push @{ $self->{prefixes} }, lc $1 }
        else                        { $self->{types}{ lc $type } = 1 }
    }
    return;
}

sub wrap {
    my ($self, $app) = @_;
    my $held = PAGI::Middleware::Support::HeldResponse->new(
        hold    => sub { $self->_eligible($_[0]) },
        release => sub { $self->_compressed(@_) },
        aside   => \&_varying,
    );
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

        if (($scope->{method} // '') eq 'HEAD' || !_accepts_gzip($scope)) {
            return $app->($scope, $receive, sub {
                my ($event) = @_;
                return $send->($event)
                    if ref $event ne 'HASH'
                    || ($event->{type} // '') ne 'http.response.start'
                    || !$self->_eligible($event);
                return $send->(_varying($event));
            });
        }
        return $held->run($app, $scope, $receive, $send);
    };
}

# A cache must learn from every representation that the coding depends on the
# request, so Vary goes on what stays uncompressed as well.
sub _varying {
    my ($start) = @_;
    return { %$start, headers => vary_on($start->{headers} || [], 'Accept-Encoding') };
}

sub _accepts_gzip {
    my ($scope) = @_;
    my $accepted = join ',', request_header_all($scope, 'accept-encoding');
    return 0 if $accepted !~ /gzip|\*/i;
    my ($gzip, $any);
    for my $item (split /,/, lc $accepted) {
        my ($coding, @parameters) = map { s/\A\s+|\s+\z//gr } split /;/, $item;
        next unless defined $coding;
        my $refused = grep { /\Aq\s*=\s*0(?:\.0*)?\z/ } @parameters;
        if    ($coding eq 'gzip' || $coding eq 'x-gzip') { $gzip = !$refused }
        elsif ($coding eq '*')                           { $any  = !$refused }
    }
    return $gzip // $any // 0;
}

# 204 and 304 have no content, a 206 is a piece of an unencoded whole, and what
# is encoded already stays as it is.
sub _eligible {
    my ($self, $start) = @_;
    my $status = $start->{status} // 0;
    return 0 if $status =~ /\A(?:204|206|304)\z/;
    my $encoding = response_header($start, 'content-encoding');
    return 0 if defined $encoding && lc $encoding ne 'identity';
    return 0 if defined response_header($start, 'content-range');
    return 0 if (response_header($start, 'cache-control') // '') =~ /\bno-transform\b/i;

    my ($type) = lc(response_header($start, 'content-type') // '') =~ /\A\s*([^;\s]+)/ or return 0;
    return 1 if $self->{types}{$type};
    for my $prefix (@{ $self->{prefixes} || [] }) {
        return 1 if index($type, $prefix) == 0;
    }
    return 0;
}

sub _compressed {
    my ($self, $start, $event, $body) = @_;
    return (_varying($start), $event) if length $body < $self->{min_size} || !length $body;
    my $packed = _gzip($body, $self->{level});

    my @headers = @{ without_headers($start->{headers}, 'content-length', 'content-encoding') };
    # The coded bytes are another representation: a strong tag no longer holds
    # (RFC 9110 8.8.1). If-None-Match compares weakly, so 304 goes on working.
    @headers = map { lc $_->[0] eq 'etag' && $_->[1] !~ m{\AW/} ? [ $_->[0], "W/$_->[1]" ] : $_ } @headers;
    push @headers, [ 'Content-Encoding', 'gzip' ], [ 'Content-Length', length $packed ];
    return (_varying({ %$start, headers => \@headers }), { %$event, body => $packed });
}

sub _gzip {
    my ($body, $level) = @_;
    my ($deflate, $status) = Compress::Raw::Zlib::Deflate->new(
        -Level => $level, -WindowBits => WANT_GZIP, -AppendOutput => 1);
    die "GZip: cannot start compression: $status\n" unless $deflate;
    my $packed = '';
    $deflate->deflate($body, $packed) == Z_OK or die "GZip: compression failed\n";
    $deflate->flush($packed) == Z_OK or die "GZip: compression failed\n";
    return $packed;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::GZip - compress responses

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'GZip', min_size => 512, mime_types => [qw(text/* application/json)];
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. A response that is one complete C<body> event of a listed type and at least
C<min_size> bytes is compressed if the client accepts gzip. C<Content-Length> is replaced,
C<Content-Encoding: gzip> and C<Vary: Accept-Encoding> are added, a strong C<ETag> becomes a weak one.

Not compressed: streamed bodies, C<file> and C<fh> bodies, statuses 204, 206 and 304, HEAD (unless
L<PAGI::Middleware::Head> is outside), responses with trailers, with a C<Content-Encoding>, a
C<Content-Range> or C<Cache-Control: no-transform>. C<Vary> is added to all responses of a listed type that
could have been compressed.

Do not compress pages that show a secret beside text from the request over TLS (the BREACH attack).

=head1 OPTIONS

=over 4

=item min_size

Bytes, default 1024.

=item mime_types

Array reference; an entry ending in C<*> is a prefix. Default: C<text/html text/plain text/css
text/javascript application/json application/javascript application/xml>.

=item level

1 (fast) to 9 (small), default 6.

=back

=cut
