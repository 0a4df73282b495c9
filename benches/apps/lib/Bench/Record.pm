package Bench::Record;

use strict;
use warnings;

use JSON::MaybeXS ();

my $json = JSON::MaybeXS->new(utf8 => 1);

# Built and encoded afresh for every request, as a handler that answers from a
# database would do; a constant structure would only measure the encoder.
sub json {
    my @items;
    for my $number (1 .. 11) {
        push @items, {
            sku      => "item-$number",
            quantity => $number,
            price    => $number * 2.5,
            in_stock => $number % 2 ? JSON::MaybeXS::true : JSON::MaybeXS::false,
            tags     => [ 'red', "size-$number" ],
        };
    }
    return $json->encode({
        id       => 4711,
        customer => 'Example Ltd',
        note     => undef,
        items    => \@items,
    });
}

1;

__END__

=head1 NAME

Bench::Record - the JSON body of the json benchmark

=head1 SYNOPSIS

    use Bench::Record;
    my $bytes = Bench::Record::json();

=head1 FUNCTIONS

=head2 json

    my $bytes = Bench::Record::json();

Builds an order with eleven items and returns it as JSON: about 1 KB of UTF-8
bytes. The order of the keys, and so the exact bytes, differ between
processes; the length does not. Takes no arguments and throws nothing.

=cut
