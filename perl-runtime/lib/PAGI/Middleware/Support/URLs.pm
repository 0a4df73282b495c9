package PAGI::Middleware::Support::URLs;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(escape_path unescape_form);

# RFC 3986 pchar and "/", plus "?" where the text is known to be encoded already.
sub escape_path {
    my ($text, $encoded) = @_;
    utf8::encode($text) if $text =~ /[^\x00-\x7f]/ && !$encoded;
    utf8::encode($text) if $encoded && $text =~ /[^\x00-\xff]/;
    if ($encoded) { $text =~ s{([^A-Za-z0-9\-._~!\$&'()*+,;=:@/?%])}{sprintf '%%%02X', ord $1}ge }
    else          { $text =~ s{([^A-Za-z0-9\-._~!\$&'()*+,;=:@/])}{sprintf '%%%02X', ord $1}ge }
    return $text;
}

sub unescape_form {
    my ($text) = @_;
    $text =~ tr/+/ /;
    $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    return $text;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::URLs - percent-encoding for middleware

=head1 SYNOPSIS

    use PAGI::Middleware::Support::URLs qw(escape_path unescape_form);

    print escape_path("/caf\x{e9} au lait"), "\n";    # /caf%C3%A9%20au%20lait
    print unescape_form('a+b%21'), "\n";              # a b!

=head1 FUNCTIONS

=head2 escape_path($text, $encoded)

C<$text> made safe for a C<Location> header: characters beyond ASCII as UTF-8, everything that
may not stand in a URL path percent-encoded. With C<$encoded> true the text is an encoded path or
query already, so C<%> and C<?> stay.

=head2 unescape_form($text)

C<+> to space and C<%XX> to bytes; malformed escapes stay.

=cut
