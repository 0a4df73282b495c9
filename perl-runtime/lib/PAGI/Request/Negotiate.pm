package PAGI::Request::Negotiate;

use strict;
use warnings;

my %SHORTCUT = (
    html => 'text/html',
    text => 'text/plain',
    txt  => 'text/plain',
    json => 'application/json',
    xml  => 'application/xml',
    atom => 'application/atom+xml',
    rss  => 'application/rss+xml',
    css  => 'text/css',
    js   => 'application/javascript',
    png  => 'image/png',
    jpg  => 'image/jpeg',
    jpeg => 'image/jpeg',
    gif  => 'image/gif',
    svg  => 'image/svg+xml',
    pdf  => 'application/pdf',
    zip  => 'application/zip',
    form => 'application/x-www-form-urlencoded',
);

# 2 for type/subtype, 1 for type/*, 0 for */*
sub _specificity {
    my ($range) = @_;
    return $range eq '*/*' ? 0 : $range =~ m{/\*\z} ? 1 : 2;
}

sub _quality {
    my ($text) = @_;
    return unless $text =~ /\A-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\z/;
    return $text < 0 ? 0 : $text > 1 ? 1 : $text + 0;
}

sub parse_accept {
    my ($class, $header) = @_;
    return ([ '*/*', 1 ]) unless defined $header && length $header;

    my @ranges;
    for my $item (split /,/, $header) {
        my ($type, @params) = split /;/, $item;
        next unless defined $type;
        $type =~ s/\A\s+|\s+\z//g;
        next unless length $type;
        my $q;
        for my $param (@params) {
            next unless $param =~ /\A\s*q\s*=\s*(.*?)\s*\z/is;
            $q = _quality($1);
            last;
        }
        push @ranges, [ lc $type, defined $q ? $q : 1 ];
    }
    # sort() is a stable merge sort, so equal ranges keep the client's order
    return sort { $b->[1] <=> $a->[1] || _specificity($b->[0]) <=> _specificity($a->[0]) } @ranges;
}

# The most specific range decides (RFC 9110 12.5.1), so q=0 on a type vetoes a wildcard. Returns (q, position).
sub _deciding {
    my ($class, $type, @ranges) = @_;
    my ($best, $position);
    for my $i (0 .. $#ranges) {
        next unless $class->type_matches($type, $ranges[$i][0]);
        next if defined $best && _specificity($ranges[$i][0]) <= _specificity($ranges[$best][0]);
        $best = $i;
    }
    return defined $best ? ($ranges[$best][1], $best) : (0, undef);
}

sub best_match {
    my ($class, $supported, $header) = @_;
    return unless $supported && @$supported;

    my @ranges = $class->parse_accept($header);
    my ($winner, $winner_q, $winner_position);
    for my $entry (@$supported) {
        my ($q, $position) = $class->_deciding($class->normalize_type($entry), @ranges);
        next unless $q > 0;
        next if defined $winner
            && ($q < $winner_q || ($q == $winner_q && $position >= $winner_position));
        ($winner, $winner_q, $winner_position) = ($entry, $q, $position);
    }
    return $winner;
}

sub type_matches {
    my ($class, $type, $pattern) = @_;
    ($type, $pattern) = (lc $type, lc $pattern);
    return 1 if $pattern eq '*/*' || $type eq $pattern;
    return 0 unless $pattern =~ m{\A([^/]+)/\*\z};
    return index($type, "$1/") == 0 ? 1 : 0;
}

sub normalize_type {
    my ($class, $type) = @_;
    return $type if index($type, '/') >= 0;
    my $known = $SHORTCUT{ lc $type };
    return defined $known ? $known : "application/$type";
}

sub accepts_type {
    my ($class, $header, $type) = @_;
    $type = lc $class->normalize_type($type);
    my @ranges = $class->parse_accept($header);
    my ($q) = $class->_deciding($type, @ranges);
    return 1 if $q > 0;
    return 0 unless $type =~ m{/\*\z};
    # asked about text/*: any text type the client wants will do
    for my $range (@ranges) {
        return 1 if $range->[1] > 0 && $class->type_matches($range->[0], $type);
    }
    return 0;
}

sub quality_for_type {
    my ($class, $header, $type) = @_;
    my ($q) = $class->_deciding($class->normalize_type($type), $class->parse_accept($header));
    return $q;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::Negotiate - choose a media type from an Accept header

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Request::Negotiate;

    my $accept = 'text/html;q=0.8, application/json';

    my $type = PAGI::Request::Negotiate->best_match([qw(html json)], $accept);
    print "$type\n";    # json

    print PAGI::Request::Negotiate->accepts_type($accept, 'text/*'), "\n";    # 1

=head1 DESCRIPTION

Class methods that implement proactive negotiation of RFC 9110 12.5.1. Types are compared without regard to case, parameters
other than C<q> are ignored. For a given type the most specific matching range of the header decides, so
C<application/json;q=0, */*> accepts everything but JSON.

Wherever a type is given, a shortcut may stand for it: C<html text txt json xml atom rss css js png jpg jpeg gif svg pdf zip
form>; another word without a slash means C<application/WORD>.

=head1 METHODS

All are class methods and return at once.

=head2 parse_accept

    my @ranges = PAGI::Request::Negotiate->parse_accept($header);    # ([ 'text/html', 1 ], ...)

A list of C<[type, q]>, types lower-cased. C<q> is clamped to 0..1; the first C<q> parameter counts and one that is no number
is taken as 1. Sorted by falling C<q>, then by specificity (C<a/b>, C<a/*>, C<*/*>), else in the client's order. An undefined
or empty header gives C<(['*/*', 1])>.

=head2 best_match

    my $entry = PAGI::Request::Negotiate->best_match(\@supported, $header);

The entry of C<@supported> (spelled as given) that the client likes best; equal ones follow the client's order, then the
order of C<@supported>. Nothing when none is acceptable or the list is empty.

=head2 accepts_type

    my $bool = PAGI::Request::Negotiate->accepts_type($header, $type);

1 or 0. A wildcard works in both directions: C<text/*> is accepted by a client that lists C<text/html>.

=head2 quality_for_type

    my $q = PAGI::Request::Negotiate->quality_for_type($header, $type);

The C<q> of the most specific matching range, 0 if none matches.

=head2 type_matches

    my $bool = PAGI::Request::Negotiate->type_matches($type, $pattern);

1 or 0; the pattern may be C<*/*> or C<major/*>.

=head2 normalize_type

    my $type = PAGI::Request::Negotiate->normalize_type('json');    # application/json

Expands a shortcut; anything with a slash is returned unchanged.

=head1 SEE ALSO

L<PAGI::Request>

=cut
