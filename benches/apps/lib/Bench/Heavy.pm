package Bench::Heavy;

use Moose;
use Mojolicious ();
use Mojo::DOM ();
use Mojo::Template ();

has name   => (is => 'ro', isa => 'Str', required => 1);
has visits => (is => 'rw', isa => 'Int', default  => 0);

__PACKAGE__->meta->make_immutable;

my $template = Mojo::Template->new(vars => 1)->parse("<p><%= \$name %></p>\n");

# Touches what was loaded, so that pages shared since a fork get written to
# as they would be in a real application: memory of an idle worker flatters.
sub greeting {
    my ($self) = @_;
    $self->visits($self->visits + 1);
    my $dom = Mojo::DOM->new($template->process({ name => $self->name }));
    return 'Hello, ' . $dom->at('p')->text . "!\n";
}

1;

__END__

=head1 NAME

Bench::Heavy - an application object that loads Moose and Mojolicious

=head1 SYNOPSIS

    use Bench::Heavy;
    my $bytes = Bench::Heavy->new(name => 'World')->greeting;

=head1 METHODS

=head2 new

    my $heavy = Bench::Heavy->new(name => 'World');

C<name> (characters, required) is whom to greet. C<visits> (integer, default
0) counts the greetings. Throws what Moose throws on a missing or wrongly
typed argument.

=head2 name

Returns the name, as characters.

=head2 visits

Returns or sets the number of greetings so far.

=head2 greeting

    my $bytes = $heavy->greeting;

Returns C<Hello, NAME!> and a newline, after rendering and parsing a little
HTML. ASCII as long as the name is.

=cut
