package PAGI::App::Mojolicious::Socket;

use Mojo::Base 'Mojo::Transaction::WebSocket';

has frames => sub { [] };

# Frames stay what they are: the server writes them.
sub send {
    my ($self, $message, $cb) = @_;
    $self->once(drain => $cb) if $cb;
    push @{ $self->frames }, ref $message eq 'ARRAY' ? $message : $self->build_message($message);
    return $self->emit('resume');
}

# Compression is between the server and the client.
sub with_compression { return }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Mojolicious::Socket - a WebSocket transaction whose frames the server writes

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Mojo::Transaction::HTTP;
    use PAGI::App::Mojolicious::Socket;

    my $ws = PAGI::App::Mojolicious::Socket->new(handshake => Mojo::Transaction::HTTP->new);
    $ws->send('hello');
    print scalar @{ $ws->frames }, " frame waits\n";

=head1 METHODS

A L<Mojo::Transaction::WebSocket>.

=head2 frames

The frames that wait, arrayrefs as L<Mojo::WebSocket> builds them.

=head2 send

Adds one.

=head2 with_compression

Nothing: the server compresses, or not, as it was told to.

=cut
