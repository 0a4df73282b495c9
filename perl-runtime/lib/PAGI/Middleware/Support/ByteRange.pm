package PAGI::Middleware::Support::ByteRange;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(byte_range);

sub byte_range {
    my ($header, $size) = @_;
    my ($first, $last) = $header =~ /\A\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*\z/ai;
    return 'ignored' if !defined $first || ($first eq '' && $last eq '');

    if ($first eq '') {    # the last N bytes, or all there are
        return 'unsatisfiable' if $last == 0 || $size == 0;
        return ('ok', $last >= $size ? 0 : $size - $last, $size - 1);
    }
    return 'unsatisfiable' if $first >= $size;
    return ('ok', $first + 0, $size - 1) if $last eq '';
    return 'unsatisfiable' if $first > $last;
    return ('ok', $first + 0, $last >= $size ? $size - 1 : $last + 0);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::ByteRange - read a Range header

=head1 SYNOPSIS

    use PAGI::Middleware::Support::ByteRange qw(byte_range);

    my ($answer, $start, $end) = byte_range('bytes=-500', 10_000);    # ok, 9500, 9999

=head1 FUNCTIONS

=head2 byte_range($header, $size)

C<ok> with first and last byte, for one satisfiable range; C<unsatisfiable> (answer 416); or C<ignored> for
everything that is not a single byte range (answer with the whole).

=cut
