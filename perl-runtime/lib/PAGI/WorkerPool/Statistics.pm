package PAGI::WorkerPool::Statistics;

use strict;
use warnings;

our $VERSION = '0.001';

my @COUNTS = qw(calls done failed rejected timed_out crashed cancelled busy);
my @TIMES  = qw(queue_time max_queue_time run_time max_run_time);

sub new { return bless { total => _nothing(), handlers => {}, since => PAGI::Native->can('now') ? PAGI::Native::now() : 0 }, $_[0] }

sub _nothing { return { map { $_ => 0 } @COUNTS, @TIMES } }

sub count {
    my ($self, $handler, $what, $change) = @_;
    $_->{$what} += $change // 1 for $self->_both($handler);
    return;
}

# WP-19: seconds from the call to its process, and in it.
sub queued { my ($self, $handler, $seconds) = @_; return $self->_time($handler, 'queue_time', $seconds) }
sub ran    { my ($self, $handler, $seconds) = @_; return $self->_time($handler, 'run_time', $seconds) }

sub _time {
    my ($self, $handler, $what, $seconds) = @_;
    for my $record ($self->_both($handler)) {
        $record->{$what} += $seconds;
        $record->{"max_$what"} = $seconds if $seconds > $record->{"max_$what"};
    }
    return;
}

# Names nobody has registered (undef) are counted in the total alone: whoever makes them up must not fill memory. What
# the server itself asks for has no name and is not counted.
sub _both {
    my ($self, $handler) = @_;
    return if defined $handler && $handler eq '';
    return ($self->{total}, defined $handler ? $self->{handlers}{$handler} ||= _nothing() : ());
}

sub report {
    my ($self, $workers) = @_;
    my $elapsed = PAGI::Native->can('now') ? PAGI::Native::now() - $self->{since} : 0;
    return {
        %{ $self->{total} },
        utilisation => $workers && $elapsed > 0 ? $self->{total}{run_time} / $workers / $elapsed : 0,
        handlers    => { map { $_ => { %{ $self->{handlers}{$_} } } } keys %{ $self->{handlers} } },
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Statistics - numbers about the jobs of one worker

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::WorkerPool::Statistics;

    my $statistics = PAGI::WorkerPool::Statistics->new;
    $statistics->count('user.get', 'calls');
    $statistics->queued('user.get', 0.002);
    print $statistics->report(4)->{handlers}{'user.get'}{calls}, "\n";

=head1 DESCRIPTION

What L<PAGI::WorkerPool/stats> is made of.

=head1 METHODS

=head2 new

All numbers are 0.

=head2 count

    $statistics->count($handler, $what, $change);

Adds to C<calls>, C<done>, C<failed>, C<rejected>, C<timed_out>, C<crashed>, C<cancelled> or C<busy>, of a handler (undef: of none) and of all.

=head2 queued, ran

Take the handler and a time in seconds: from the call to the process, and in the process.

=head2 report

    my $numbers = $statistics->report($processes);

A hashref of all numbers, with C<handlers>, a hashref by name of the same ones, and C<utilisation>.

=cut
