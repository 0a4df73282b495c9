package PAGI::Utils::TextJSON;

use strict;
use warnings;

use JSON::MaybeXS ();

# Characters on both sides: the text of a WebSocket message and the data of an SSE event are character strings, which the
# server encodes as UTF-8 (DATA-9). A byte codec would encode them twice.
my $JSON = JSON::MaybeXS->new(utf8 => 0, canonical => 1, allow_nonref => 1);

sub encode { return $JSON->encode($_[0]) }
sub decode { return $JSON->decode($_[0]) }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Utils::TextJSON - JSON as a string of characters

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Utils::TextJSON;

    my $text = PAGI::Utils::TextJSON::encode({ name => "J\x{fc}rgen" });
    print length $text, "\n";    # 17 characters
    my $data = PAGI::Utils::TextJSON::decode($text);

=head1 DESCRIPTION

The codec behind C<send_json> and C<receive_json> of L<PAGI::WebSocket> and L<PAGI::SSE>. Nothing is exported.

=head1 FUNCTIONS

=head2 encode

Any data to JSON text, keys sorted. Dies with the JSON module's message for data that has no JSON form.

=head2 decode

JSON text to data. Dies with the JSON module's message for text that is not JSON.

=cut
