package PAGI::Middleware::Support::Headers;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(
    request_header request_header_all response_header
    without_headers adding_headers
    vary_on printable
);

# An event stream starts with sse.start; a declined one with its http twin (SSE-32).
my %STARTS = map { $_ => 1 } qw(http.response.start sse.start sse.http.response.start);

sub request_header {
    my ($scope, $name) = @_;
    for my $pair (@{ $scope->{headers} || [] }) {
        return $pair->[1] if lc $pair->[0] eq $name;
    }
    return;
}

sub request_header_all {
    my ($scope, $name) = @_;
    return map { $_->[1] } grep { lc $_->[0] eq $name } @{ $scope->{headers} || [] };
}

sub response_header {
    my ($event, $name) = @_;
    for my $pair (@{ $event->{headers} || [] }) {
        return $pair->[1] if lc $pair->[0] eq $name;
    }
    return;
}

sub without_headers {
    my ($headers, @names) = @_;
    my %drop = map { $_ => 1 } @names;
    return [ grep { !$drop{ lc $_->[0] } } @{ $headers || [] } ];
}

# Always a fresh array: an application may send one constant header array again
# and again, and must not find our headers piling up in it.
sub adding_headers {
    my ($send, $pairs) = @_;
    my $known = ref $pairs eq 'ARRAY';
    return sub {
        my ($event) = @_;
        return $send->($event) unless ref $event eq 'HASH' && $STARTS{ $event->{type} // '' };
        # the pairs are copied as well: they may be those of every response
        return $send->({ %$event, headers => [ @{ $event->{headers} || [] }, $known ? map { [@$_] } @$pairs : $pairs->() ] });
    };
}

sub vary_on {
    my ($headers, $name) = @_;
    for my $pair (@$headers) {
        next if lc $pair->[0] ne 'vary';
        return $headers if grep { $_ eq '*' || $_ eq lc $name } split /\s*,\s*/, lc $pair->[1];
    }
    return [ @$headers, [ 'Vary', $name ] ];
}

sub printable {
    my ($value) = @_;
    return defined $value && $value !~ /[\x00-\x1f\x7f]/;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::Headers - header list functions for middleware

=head1 SYNOPSIS

    use PAGI::Middleware::Support::Headers qw(request_header adding_headers);

    my $scope = { type => 'http', headers => [ [ 'host', 'example.org' ] ] };
    my $host  = request_header($scope, 'host');

    my $send  = sub { my ($event) = @_; ... };
    my $send2 = adding_headers($send, sub { [ 'x-host', $host ] });

=head1 DESCRIPTION

Plain functions, exported on request. Middleware is called for every request, so
these work on the raw C<[name, value]> pairs without building objects. Names are
given in lower case and compared without regard to case; values are bytes.

=head1 FUNCTIONS

=head2 request_header($scope, $name)

The first value of that header, or undef. A scope without headers counts as empty.

=head2 request_header_all($scope, $name)

The list of all values, in order.

=head2 response_header($event, $name)

The first value of that header in a start event, or undef.

=head2 without_headers(\@headers, @names)

A new array reference without the named headers.

=head2 adding_headers($send, $pairs)

A send coderef that appends C<[name, value]> pairs to the headers of each start event (C<http.response.start>, C<sse.start>, C<sse.http.response.start>): copies of those in
the array C<$pairs>, or those the coderef C<$pairs> returns.

=head2 vary_on(\@headers, $name)

A header array reference in which C<Vary> names the field; the same reference when it
did already (or is C<*>).

=head2 printable($value)

True when the value is defined and has no control characters.

=cut
