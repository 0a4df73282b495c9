package PAGI::Utils::Random;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(secure_random_bytes);

sub secure_random_bytes {
    my ($count) = @_;

    my $bytes = _from_device($count);
    $bytes = _from_crypt_urandom($count) unless defined $bytes;
    return $bytes if defined $bytes;
    die "No secure random source available (need /dev/urandom or Crypt::URandom)\n";
}

sub _from_device {
    my ($count) = @_;

    open my $device, '<:raw', '/dev/urandom' or return undef;
    my $bytes = '';
    while (length $bytes < $count) {
        # Unbuffered: a buffered read would draw and throw away 8 KiB of entropy per call.
        my $got = sysread $device, $bytes, $count - length $bytes, length $bytes;
        return undef unless $got;
    }
    return $bytes;
}

sub _from_crypt_urandom {
    my ($count) = @_;
    local $@;
    return eval { require Crypt::URandom; Crypt::URandom::urandom($count) };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Utils::Random - random bytes fit for keys, ids and tokens

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Utils::Random qw(secure_random_bytes);

    my $id = unpack 'H*', secure_random_bytes(16);
    print length $id, "\n";    # 32 hex digits

=head1 FUNCTIONS

=head2 secure_random_bytes

    my $bytes = secure_random_bytes($count);

Returns exactly C<$count> random bytes from F</dev/urandom>, or from L<Crypt::URandom> where there is no such device.
Dies with C<No secure random source available (need /dev/urandom or Crypt::URandom)> when neither works; it never
falls back to C<rand>. Exported on request.

=head1 SEE ALSO

L<PAGI::Utils::SecureCompare>

=cut
