package PAGI::Test::Pairs;

use strict;
use warnings;

use Carp qw(croak);
use Encode ();

# Headers, query and form may be given as { name => value }, { name => [values] } or [[name, value], ...]. Always fresh
# pairs, so that nothing added later reaches the caller's data.
sub of {
    my ($input) = @_;

    return unless defined $input;
    if (ref $input eq 'HASH') {
        my @pairs;
        for my $name (sort keys %$input) {
            my $value = $input->{$name};
            push @pairs, map { [$name, _defined($_)] } ref $value eq 'ARRAY' ? @$value : $value;
        }
        return @pairs;
    }
    croak 'Expected hashref or arrayref of pairs, got ' . (ref $input || "'$input'") unless ref $input eq 'ARRAY';
    return map {
        croak 'Expected arrayref of [key, value] pairs' unless ref $_ eq 'ARRAY' && @$_ == 2;
        [_defined($_->[0]), _defined($_->[1])];
    } @$input;
}

# Headers in the order of precedence: a later list replaces every earlier header of the same name.
sub merge_headers {
    my @result;
    for my $list (@_) {
        my @pairs = map { [lc $_->[0], $_->[1]] } @$list;
        my %replaced = map { $_->[0] => 1 } @pairs;
        @result = ((grep { !$replaced{ $_->[0] } } @result), @pairs);
    }
    return @result;
}

sub urlencode {
    return join '&', map { _escape($_->[0]) . '=' . _escape($_->[1]) } @_;
}

sub _escape {
    my ($text) = @_;
    # Characters travel as UTF-8; a string of bytes that is already valid UTF-8 cannot be told from Latin-1 text.
    my $bytes = Encode::encode_utf8($text);
    $bytes =~ s/([^A-Za-z0-9_\-.])/sprintf '%%%02X', ord $1/ge;
    return $bytes;
}

# A string, as it will be on the wire: a number would still be one in the JSON of an application.
sub _defined { return defined $_[0] ? "$_[0]" : '' }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Test::Pairs - the shapes in which tests give headers, queries and forms

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Test::Pairs;

    print PAGI::Test::Pairs::urlencode(PAGI::Test::Pairs::of({ tag => ['a', 'b'], q => 'x y' })), "\n";    # q=x%20y&tag=a&tag=b

=head1 DESCRIPTION

Helper functions of L<PAGI::Test::Client>. Nothing is exported.

=head1 FUNCTIONS

=head2 of

    my @pairs = PAGI::Test::Pairs::of($input);

Fresh C<[name, value]> pairs from a hash of scalars or arrayrefs (sorted by name) or from an arrayref of pairs (in order).
Undefined values become empty strings, undef as a whole gives no pairs. Croaks C<Expected hashref or arrayref of pairs, got TYPE>
or C<Expected arrayref of [key, value] pairs>.

=head2 merge_headers

    my @headers = PAGI::Test::Pairs::merge_headers(\@first, \@second, ...);

Names in lower case; headers of a later list replace all earlier ones of the same name.

=head2 urlencode

    my $bytes = PAGI::Test::Pairs::urlencode(@pairs);

Everything but C<A-Z a-z 0-9 _ - .> is encoded as UTF-8 and escaped.

=head1 SEE ALSO

L<PAGI::Test::Client>

=cut
