package PAGI::Middleware::Support::Seconds;

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use Scalar::Util qw(looks_like_number);

our @EXPORT_OK = qw(check_seconds);

sub check_seconds {
    my ($what, $value) = @_;
    # DATA-4: NaN and Inf are not numbers here; NaN fails both comparisons.
    croak "$what must be a number of seconds above 0, got '$value'"
        unless looks_like_number($value) && $value > 0 && $value < 9**9**9;
    return $value;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::Seconds - check an option that is a time span

=head1 SYNOPSIS

    use PAGI::Middleware::Support::Seconds qw(check_seconds);

    my $interval = check_seconds("MyMiddleware 'interval'", 2.5);

=head1 FUNCTIONS

=head2 check_seconds($what, $value)

Returns the value if it is a finite number above 0, else croaks
C<$what must be a number of seconds above 0, got 'X'>.

=cut
