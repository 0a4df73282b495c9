package PAGI::Simple::View::Directive;

use strict;
use warnings;

use parent 'Template::Directive';

use PAGI::Simple::View::Helpers;

# What the template engine compiles [% expression %] to: the value goes through the escaping, unless it is marked safe.
sub get {
    my ($self, $expression) = @_;
    return "\$output .= PAGI::Simple::View::Helpers::escape($expression);";
}

# The text of a block was escaped piece by piece while it was made.
sub capture {
    my ($self, @args) = @_;
    my $code = $self->SUPER::capture(@args);
    $code =~ s/    \$output;\n\}\);\n\z/    PAGI::Simple::View::Helpers::safe(\$output);\n});\n/
        or die "The template engine compiles captured blocks in a way that is not known\n";
    return $code;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View::Directive - automatic escaping in templates

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::View::Directive;
    use Template;

    my $engine = Template->new(FACTORY => 'PAGI::Simple::View::Directive');
    $engine->process(\'[% name %]', { name => '<b>' });    # &lt;b&gt;

=head1 DESCRIPTION

The code generator that L<PAGI::Simple::View> gives to the L<Template> parser.

=head1 METHODS

=head2 get, capture

Override those of C<Template::Directive>.

=cut
