package PAGI::Request::Query;

use strict;
use warnings;

use Carp qw(croak);
use Encode ();
use Hash::MultiValue;

# Errors are the caller's: report them at the application, not in the wrapper classes.
our @CARP_NOT = qw(PAGI::Request PAGI::Request::Form PAGI::WebSocket PAGI::SSE);

my $UTF8 = Encode::find_encoding('UTF-8');

# Mode name ('', 'strict', 'raw') for a set of caller options; raw wins over strict.
sub mode {
    my ($method, %options) = @_;
    my ($strict, $raw) = delete @options{qw(strict raw)};
    croak "Unknown options to $method: " . join(', ', sort keys %options) if %options;
    return $raw ? 'raw' : $strict ? 'strict' : '';
}

sub decode {
    my ($bytes, $mode) = @_;
    return $bytes if $mode eq 'raw' || $bytes !~ /[^\x00-\x7f]/;
    return $UTF8->decode($bytes, ($mode eq 'strict' ? Encode::FB_CROAK : Encode::FB_DEFAULT) | Encode::LEAVE_SRC);
}

sub parse {
    my ($string, $mode) = @_;
    my @flat;
    for my $part (split /[&;]/, $string) {
        next unless length $part;
        my ($key, $value) = split /=/, $part, 2;
        for ($key, $value) {
            $_ = '' unless defined;
            tr/+/ /;
            s/%([0-9A-Fa-f]{2})/chr hex $1/ge if index($_, '%') >= 0;
            $_ = decode($_, $mode);
        }
        push @flat, $key, $value;
    }
    return Hash::MultiValue->new(@flat);
}

# The query of a scope, cached per mode under PREFIX.query[.MODE]. A middleware that rewrites query_string in its copy of
# the scope carries the caches along, so each cache remembers the string it was made from.
sub of_scope {
    my ($scope, $prefix, $mode) = @_;
    my $key = length $mode ? "$prefix.query.$mode" : "$prefix.query";
    my $string = $scope->{query_string};
    $string = '' unless defined $string;
    my $source = $scope->{"$key.source"};
    return $scope->{$key} if $scope->{$key} && (!defined $source || $source eq $string);
    my $query = parse($string, $mode);
    $scope->{"$key.source"} = $string;
    return $scope->{$key} = $query;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::Query - decoding of query strings and urlencoded bodies

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Request::Query;

    my $query = PAGI::Request::Query::parse('tag=a&tag=b&name=J%C3%BCrgen', '');

    print join(',', $query->get_all('tag')), "\n";    # a,b
    print length $query->get('name'), "\n";           # 6 characters

=head1 DESCRIPTION

The one algorithm behind C<query_params> of L<PAGI::Request>, L<PAGI::WebSocket> and L<PAGI::SSE> and behind urlencoded
forms. Functions are called with their full name; nothing is exported.

A mode is one of three strings: C<''> decodes UTF-8 and puts U+FFFD where bytes are invalid; C<strict> dies with Encode's
message (C<... does not map to Unicode>) instead; C<raw> leaves bytes.

=head1 FUNCTIONS

=head2 parse

    my $params = PAGI::Request::Query::parse($bytes, $mode);

Splits at C<&> and C<;>, skips empty parts, splits each part at the first C<=> (a missing value is C<''>), turns C<+> into a
blank and C<%XX> into a byte (malformed escapes stay as they are), then decodes. Returns a L<Hash::MultiValue>: C<get> gives
the last value, C<get_all> all in order.

=head2 decode

    my $text = PAGI::Request::Query::decode($bytes, $mode);

Decodes one string.

=head2 mode

    my $mode = PAGI::Request::Query::mode('query_params', %options);

The mode for the options C<strict> and C<raw>; C<raw> wins. Another option dies with
C<Unknown options to query_params: NAME, NAME>.

=head2 of_scope

    my $params = PAGI::Request::Query::of_scope($scope, 'pagi.request', $mode);

The parsed C<query_string> of a scope, cached in the scope under C<pagi.request.query>, C<pagi.request.query.strict> or
C<pagi.request.query.raw> until the query string changes.

=head1 SEE ALSO

L<PAGI::Request>

=cut
