package PAGI::Utils::SecureCompare;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(secure_compare);

sub secure_compare {
    my ($left, $right) = @_;

    return 0 unless defined $left && defined $right;
    return 0 unless length $left == length $right;

    # Every position is looked at, so that the time taken does not tell how long the common prefix is.
    my $difference = 0;
    $difference |= ord(substr $left, $_, 1) ^ ord(substr $right, $_, 1) for 0 .. length($left) - 1;
    return $difference == 0 ? 1 : 0;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Utils::SecureCompare - compare secrets in constant time

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Utils::SecureCompare qw(secure_compare);

    my ($expected, $submitted) = ('s3cret', 's3cret');
    print secure_compare($expected, $submitted) ? "ok\n" : "denied\n";

=head1 FUNCTIONS

=head2 secure_compare

    my $equal = secure_compare($left, $right);

Returns 1 when both strings are defined and equal, else 0. For strings of equal length the time taken does not depend
on where they differ; the length itself is not kept secret. Strings may be bytes or characters. Two empty strings are equal.
Exported on request.

=head1 SEE ALSO

L<PAGI::Utils::Random>

=cut
