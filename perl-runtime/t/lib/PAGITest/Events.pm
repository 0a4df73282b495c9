package PAGITest::Events;

# A hand-made server side for one scope: my ($receive, $send, $sent) = scripted(@events);
# $receive gives the events in order and then stays pending; a coderef among them is called for its Future. $sent collects
# what is sent.

use strict;
use warnings;

use Exporter qw(import);
use Future;

our @EXPORT_OK = qw(scripted);

sub scripted {
    my (@events) = @_;
    my @sent;
    my $receive = sub {
        return Future->new unless @events;
        my $next = shift @events;
        return ref $next eq 'CODE' ? $next->() : Future->done($next);
    };
    my $send = sub { push @sent, $_[0]; return Future->done };
    return ($receive, $send, \@sent);
}

1;
