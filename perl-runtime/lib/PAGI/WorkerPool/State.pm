package PAGI::WorkerPool::State;

use strict;
use warnings;

our $VERSION = '0.001';

use Scalar::Util qw(blessed);

use PAGI::WorkerPool::Process;

# What handlers get first. A hash of the application gets the method; what is an object already stays what it is.
sub of {
    my ($class, $value) = @_;
    $value = {} unless defined $value;
    return ref $value eq 'HASH' && !blessed $value ? bless($value, $class) : $value;
}

sub progress { my (undef, @data) = @_; return PAGI::WorkerPool::Process::progress(@data) }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::State - what init has returned, and a way to report progress

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::WorkerPool;

    PAGI::WorkerPool->new(
        init     => sub { return { rows => 1000 } },
        handlers => {
            'table.copy' => sub {
                my ($state) = @_;
                for my $row (1 .. $state->{rows}) {
                    # ... copy it ...
                    next if $row % 100;
                    $state->progress($row, $state->{rows}) or die "nobody waits any more\n";
                }
                return 'copied';
            },
        },
    );

=head1 DESCRIPTION

The first argument of every handler of L<PAGI::WorkerPool>. A plain hash that C<init> returned is blessed into this class; without C<init>, or when it
returned undef, it is an empty one. Any other value reaches the handlers as it is: with an object of a class of your own, use
C<< PAGI::WorkerPool->progress(...) >>, which is the same.

=head1 METHODS

=head2 progress

    my $wanted = $state->progress(@data);

Calls C<on_progress> of whoever waits for this job with copies of the data, in the order of the reports and before the result. Plain data, as
L<PAGI::WorkerPool::Message> says, and no more than C<max_size>; dies with a L<PAGI::WorkerPool::Error> otherwise. Returns 1, or 0 when nobody waits
for the job any more: its caller has cancelled it or gone away, or does not wait at all (C<call_forget>).

=head2 of

    my $state = PAGI::WorkerPool::State->of($value);

For L<PAGI::WorkerPool::Process>.

=cut
