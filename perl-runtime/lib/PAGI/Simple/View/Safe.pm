package PAGI::Simple::View::Safe;

use strict;
use warnings;

use overload '""' => sub { ${ $_[0] } }, bool => sub { length ${ $_[0] } ? 1 : 0 }, fallback => 1;

sub new {
    my ($class, $text) = @_;
    $text = "$text";
    return bless \$text, $class;
}

sub text { return ${ $_[0] } }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View::Safe - text that is HTML already

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::View::Safe;

    print PAGI::Simple::View::Safe->new('<br>'), "\n";

=head1 METHODS

=head2 new, text

Made of a string, which is the text. The object stringifies to it and is true unless it is empty.

=cut
