package PAGI::Utils::Turn;

use strict;
use warnings;

use Exporter qw(import);
use Future;

our @EXPORT_OK = qw(next_turn);

# The server has sends that reach nobody wait for a turn now and then (SEND-8). This is for code that does not even send once it
# knows that its client has gone.
sub next_turn {
    return Future->done unless defined &PAGI::Native::later;
    my $future = PAGI::Native::Future->new;
    PAGI::Native::later(sub { $future->done unless $future->is_ready });
    return $future;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Utils::Turn - let others have a turn

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::Utils::Turn qw(next_turn);

    async sub pour {
        my ($send, $chunks) = @_;
        my $count = 0;
        while (defined(my $chunk = $chunks->())) {
            await $send->({ type => 'http.response.body', body => $chunk, more => 1 });
            await next_turn() unless ++$count % 16;
        }
    }

=head1 FUNCTIONS

=head2 next_turn

A Future that is done in the next turn of the server's loop, or at once under another server.

=cut
