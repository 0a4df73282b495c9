package PAGI::Middleware::Support::Validators;

use strict;
use warnings;

use Exporter qw(import);
use HTTP::Date ();

our @EXPORT_OK = qw(etag_listed not_modified_since same_validator);

# If-None-Match uses the weak comparison (RFC 9110 13.1.2).
sub etag_listed {
    my ($header, $etag) = @_;
    return 1 if $header =~ /\A\s*\*\s*\z/;
    (my $wanted = $etag) =~ s{\AW/}{};
    while ($header =~ m{(?:W/)?("[^"]*")}g) {
        return 1 if $1 eq $wanted;
    }
    return 0;
}

sub not_modified_since {
    my ($header, $last_modified) = @_;
    my ($since, $changed) = map { _epoch($_) } $header, $last_modified;
    return defined $since && defined $changed && $changed <= $since;
}

# If-Range uses the strong comparison, and dates must be equal (RFC 9110 13.1.5).
sub same_validator {
    my ($if_range, $etag, $last_modified) = @_;
    return $if_range eq $etag && $etag !~ m{\AW/} if $if_range =~ m{\A(?:W/)?"};
    my ($wanted, $changed) = map { _epoch($_) } $if_range, $last_modified;
    return defined $wanted && defined $changed && $wanted == $changed;
}

# The third HTTP date format (asctime) names no zone; all three mean GMT.
sub _epoch {
    my ($text) = @_;
    return scalar eval { HTTP::Date::str2time($text, 'GMT') };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::Validators - compare entity tags and modification dates

=head1 SYNOPSIS

    use PAGI::Middleware::Support::Validators qw(etag_listed not_modified_since);

    print "304\n" if etag_listed('"a", W/"b"', '"b"');
    print "304\n" if not_modified_since(
        'Sun, 06 Nov 1994 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994');

=head1 FUNCTIONS

=head2 etag_listed($if_none_match, $etag)

Weak comparison with each tag of the list; C<*> matches.

=head2 not_modified_since($if_modified_since, $last_modified)

True if the second date is not after the first. All three HTTP date formats; a date that cannot be read
never matches.

=head2 same_validator($if_range, $etag, $last_modified)

True if C<If-Range> names this very representation.

=cut
