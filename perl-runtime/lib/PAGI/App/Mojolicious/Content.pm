package PAGI::App::Mojolicious::Content;

use Mojo::Base 'Mojo::Content::Single';

# The server frames the body as the client's protocol wants it.
sub write_chunk {
    my $self = shift;
    return $self->write(@_);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Mojolicious::Content - the content of a response, without framing

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Mojolicious::Content;

    my $content = PAGI::App::Mojolicious::Content->new;
    $content->write_chunk('one')->write_chunk('');
    print $content->get_body_chunk(0), "\n";    # one

=head1 METHODS

A L<Mojo::Content::Single>.

=head2 write_chunk

As C<write>.

=cut
