package PAGI::Simple::PubSub::Local;

use strict;
use warnings;

use Future;

# The whole interface a backend has to offer. This one has nobody else to tell.

sub new { return bless {}, $_[0] }

sub attach    { return }
sub listeners { return }
sub publish   { return Future->done(0) }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::PubSub::Local - the message bus stays in this process

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::PubSub;
    use PAGI::Simple::PubSub::Local;

    my $bus = PAGI::Simple::PubSub->new(backend => PAGI::Simple::PubSub::Local->new);

=head1 DESCRIPTION

The simplest backend of L<PAGI::Simple::PubSub>, and the interface of any other: an object that carries messages to B<other> processes. The bus itself
serves the subscribers of its process.

=head1 METHODS

=head2 new

No options.

=head2 attach

    $backend->attach($bus);

Called once. For every message from another process the backend calls C<< $bus->deliver($channel, $message) >>.

=head2 listeners

    $backend->listeners($channel, $count);

So many subscribers of this process the channel has now; 0 when the last one left.

=head2 publish

    my $future = $backend->publish($channel, $message);

A Future of the number of recipients in other processes.

=cut
