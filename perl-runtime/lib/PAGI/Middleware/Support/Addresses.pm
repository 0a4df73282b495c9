package PAGI::Middleware::Support::Addresses;

use strict;
use warnings;

use Socket qw(inet_pton AF_INET);

my $IPV4 = qr/\A\d{1,3}(?:\.\d{1,3}){3}\z/a;

sub new {
    my ($class, @entries) = @_;
    my (%exact, @networks);
    for my $entry (@entries) {
        next unless defined $entry;
        my ($base, $bits) = $entry =~ m{\A([^/]+)/(\d{1,2})\z}a;
        if (!defined $bits) { $exact{ lc $entry } = 1; next }
        my $number = _number($base);
        next if !defined $number || $bits > 32;
        my $mask = $bits == 0 ? 0 : (0xFFFFFFFF << (32 - $bits)) & 0xFFFFFFFF;
        push @networks, [ $number & $mask, $mask ];
    }
    return bless { exact => \%exact, networks => \@networks }, $class;
}

sub contains {
    my ($self, $address) = @_;
    return 0 unless defined $address;
    return 1 if $self->{exact}{ lc $address };
    return 0 unless @{ $self->{networks} };
    my $number = _number($address);
    return 0 unless defined $number;
    for my $network (@{ $self->{networks} }) {
        return 1 if ($number & $network->[1]) == $network->[0];
    }
    return 0;
}

sub _number {
    my ($address) = @_;
    return unless $address =~ $IPV4;
    my $packed = inet_pton(AF_INET, $address);
    return defined $packed ? unpack('N', $packed) : undef;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::Addresses - a set of addresses and IPv4 networks

=head1 SYNOPSIS

    use PAGI::Middleware::Support::Addresses;

    my $trusted = PAGI::Middleware::Support::Addresses->new('::1', '10.0.0.0/8');
    print "inside\n" if $trusted->contains('10.1.2.3');

=head1 METHODS

=head2 new(@entries)

Each entry is an exact address (IPv4, IPv6 or any host text) or an IPv4 network in
CIDR notation. Malformed networks and IPv6 networks never match.

=head2 contains($address)

1 when the address is one of them or inside one of the networks, else 0.

=cut
