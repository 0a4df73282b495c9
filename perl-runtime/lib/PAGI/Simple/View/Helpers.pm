package PAGI::Simple::View::Helpers;

use strict;
use warnings;

use Exporter qw(import);
use PAGI::Simple::Pattern;
use PAGI::Simple::View::Safe;
use Scalar::Util qw(blessed);

our @EXPORT_OK = qw(escape raw safe is_safe attributes);

my %ENTITY = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;', "'" => '&#39;');

sub is_safe { return blessed $_[0] && $_[0]->isa('PAGI::Simple::View::Safe') ? 1 : 0 }
sub safe    { return is_safe($_[0]) ? $_[0] : PAGI::Simple::View::Safe->new(defined $_[0] ? $_[0] : '') }
sub raw     { return safe($_[0]) }

# Safe text as it is, objects that know their HTML by that, all else escaped.
sub escape {
    my ($value) = @_;
    return '' unless defined $value;
    if (blessed $value) {
        return $value->text    if $value->isa('PAGI::Simple::View::Safe');
        return $value->TO_HTML if $value->can('TO_HTML');
    }
    my $text = "$value";
    $text =~ s/([&<>"'])/$ENTITY{$1}/g;
    return $text;
}

# name="value" for pairs, in order.
sub attributes {
    my (@pairs) = @_;
    my @attributes;
    while (my ($name, $value) = splice @pairs, 0, 2) {
        push @attributes, $name . '="' . escape($value) . '"';
    }
    return safe(join ' ', @attributes);
}

# Named arguments of a template call come as one hashref at the end.
sub options {
    my (@args) = @_;
    return ref $args[0] eq 'HASH' ? %{ $args[0] } : @args % 2 ? () : @args;
}

sub functions {
    return {
        raw         => \&raw,
        safe        => \&safe,
        safe_concat => sub { safe(join '', map { escape($_) } @_) },
        html_escape => sub { safe(escape(is_safe($_[0]) ? $_[0]->text : $_[0])) },
        url_encode  => sub { safe(PAGI::Simple::Pattern::escape(defined $_[0] ? $_[0] : '')) },
        trim        => sub { my $text = defined $_[0] ? "$_[0]" : ''; $text =~ s/\A\s+|\s+\z//g; is_safe($_[0]) ? safe($text) : $text },
        mtrim       => sub { my $text = defined $_[0] ? "$_[0]" : ''; $text =~ s/^[ \t]+|[ \t]+$//gm; is_safe($_[0]) ? safe($text) : $text },
        escape_javascript => sub {
            my $text = defined $_[0] ? "$_[0]" : '';
            $text =~ s/([\\'"`\/])/\\$1/g;
            $text =~ s/\r\n|[\r\n]/\\n/g;
            $text =~ s/([<>&\x{2028}\x{2029}])/sprintf '\\u%04X', ord $1/ge;
            return safe($text);
        },
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View::Helpers - escaping for HTML

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::View::Helpers qw(escape raw);

    print escape('a < b'), ' ', escape(raw('<b>bold</b>')), "\n";    # a &lt; b <b>bold</b>

=head1 FUNCTIONS

Exported on request: C<escape>, C<raw>, C<safe>, C<is_safe>, C<attributes>.

=head2 escape

HTML of a value: safe text as it is, C<TO_HTML> of objects that have it, everything else with C<< & < > " ' >> escaped; C<''> for undef.

=head2 safe, raw, is_safe

Mark text as safe HTML; 1 if it is.

=head2 attributes

    my $html = attributes(id => 'x', title => 'a "b"');

Safe text of attributes with escaped values.

=head2 options

The pairs of a helper's arguments, given as a list or as one hashref.

=head2 functions

Hashref of the engine helpers listed in L<PAGI::Simple::View>.

=cut
