package PAGI::Simple::Blocking;

use strict;
use warnings;

use Carp qw(croak);
use Future;

use PAGI::WorkerPool::Forks;

our @CARP_NOT = qw(PAGI::Simple PAGI::Simple::Context PAGI::Simple::Connection);

my %DEFAULT = (max_workers => 4, min_workers => 1, idle_timeout => 30, timeout => 30, queue_limit => 100);

sub new {
    my ($class, %options) = @_;
    my @unknown = grep { !exists $DEFAULT{$_} } sort keys %options;
    croak 'Unknown workers options: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %DEFAULT) if @unknown;
    my %limits = (%DEFAULT, %options);
    return bless { forks => PAGI::WorkerPool::Forks->new(map { $_ => $limits{$_} } qw(max_workers timeout queue_limit)) }, $class;
}

# Failures as text, as handlers written for PAGI::Simple expect them.
sub run {
    my ($self, $code, @args) = @_;
    croak 'run_blocking takes a coderef and its arguments' unless ref $code eq 'CODE';
    return $self->{forks}->run($code, @args)->else(sub {
        my ($error, @details) = @_;
        return Future->fail($error, @details) unless ref $error && eval { $error->isa('PAGI::WorkerPool::Error') };
        return Future->fail($error->message . "\n", $error->code eq 'Backpressure' ? 'backpressure' : ());
    });
}

sub stats { return $_[0]{forks}->stats }
sub stop  { return $_[0]{forks}->stop }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Blocking - work that blocks, outside the event loop

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1, workers => { max_workers => 4 });
    $app->get('/sum/:n' => async sub {
        my ($c) = @_;
        my $sum = await $c->run_blocking(sub { my ($n) = @_; my $s = 0; $s += $_ for 1 .. $n; $s }, $c->path_params->{n});
        await $c->json({ sum => $sum });
    });

=head1 DESCRIPTION

C<< $c->run_blocking($code, @args) >> runs the code in a process of its own, forked for the call, and returns a L<Future> of what it returned. The
code may be a closure and sees everything as it was at the call; what it changes stays in its process. Open database handles and sockets inside the
code, not before: handles of the worker are closed there. Results, and exceptions, are data that L<Storable> can carry; exception objects that it cannot
carry arrive as strings.

See L<PAGI::WorkerPool::Forks>, on which this is built, for the details, and L<PAGI::WorkerPool> for handlers with a name in processes that stay.

Needs L<Future::IO> with an implementation, as the server provides it.

=head1 METHODS

=head2 new

=over 4

=item max_workers

Processes at the same time, default 4. Further calls wait.

=item queue_limit

Calls that may wait, default 100. One more fails at once with C<Too much blocking work: ...> and the category C<backpressure>.

=item timeout

Seconds a call may run, default 30. Then its process, and what that started, is killed and the Future fails with C<Blocking work took longer than N
seconds>.

=item min_workers, idle_timeout

Accepted for compatibility; no process waits for work.

=back

Croaks C<Unknown workers options: ...>.

=head2 run

    my $future = $blocking->run($code, @arguments);

The Future fails with the exception of the code, or C<The process of the blocking work died>.

=head2 stats

A hashref of C<workers>, C<busy>, C<queue_depth>, C<queue_limit>.

=head2 stop

Ends all processes; waiting calls fail.

=cut
