package PAGI::Test::Loop;

use strict;
use warnings;

use Time::HiRes ();

my $SLICE = 0.005;    # seconds

# True when the code under test could be waiting on an event loop at all.
sub is_in_use { return $INC{'Future/IO.pm'} ? 1 : 0 }

# Lets the event loop behind Future::IO run until the condition holds. Returns whether it does.
sub run_until {
    my ($condition, $seconds) = @_;

    return 1 if $condition->();
    require Future::IO;
    my $deadline = Time::HiRes::time() + $seconds;
    while (Time::HiRes::time() < $deadline) {
        Future::IO->sleep($SLICE)->await;
        return 1 if $condition->();
    }
    return 0;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Test::Loop - let the event loop run until something has happened

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::IO;
    use PAGI::Test::Loop;

    my $done = 0;
    my $work = Future::IO->sleep(0.01)->then(sub { $done = 1; Future->done });
    print PAGI::Test::Loop::run_until(sub { $done }, 1) ? "done\n" : "too slow\n";    # done

=head1 DESCRIPTION

Helper of the test client for apps that wait on real timers or handles. The loop is whatever implementation L<Future::IO> is
set to. Nothing is exported.

=head1 FUNCTIONS

=head2 is_in_use

1 when L<Future::IO> is loaded, else 0.

=head2 run_until

    my $holds = PAGI::Test::Loop::run_until($condition, $seconds);

Runs the loop in slices of 5 ms until the code reference C<$condition> returns true (result 1) or C<$seconds> have passed
(result 0). Dies when Future::IO is not installed and the condition does not hold at once.

=head1 SEE ALSO

L<PAGI::Test::Client>

=cut
