package PAGI::WorkerPool::Lifespan;

use strict;
use warnings;

our $VERSION = '0.001';

use Future;
use Future::AsyncAwait;
use Scalar::Util qw(blessed);

use PAGI::WorkerPool;

# Seconds before a failed init is asked for again: the first wait, and the longest.
my ($FIRST_WAIT, $LONGEST_WAIT) = (0.1, 2);

# WP-2: an application whose pool cannot work does not start. Without an init there is nothing that could fail.
sub wrap {
    my ($app) = @_;
    my @pools = grep { $_->init } PAGI::WorkerPool->all;
    # A class may say something about an application; PSGI applications have no pools of jobs.
    return $app if !@pools || blessed $app;
    return sub { goto &{ $_[0]{type} eq 'lifespan' ? _checked($app, @pools) : $app } };
}

sub _checked {
    my ($app, @pools) = @_;
    return async sub {
        my ($scope, $receive, $send) = @_;
        my $problem = PAGI::WorkerPool->is_worker ? await _problem(@pools) : undef;
        return await $app->($scope, $receive, $send) unless defined $problem;
        await $receive->();
        await $send->({ type => 'lifespan.startup.failed', message => $problem });
        return;
    };
}

# What keeps the pools from working, or undef. All are asked at the same time: while every process is busy each of them takes its
# init_timeout, and a worker that is replaced just then would be missing for the sum.
async sub _problem {
    my (@pools) = @_;
    my @checks = map { _problem_of($_) } @pools;
    await Future->wait_all(@checks);
    my ($problem) = grep { defined } map { $_->get } @checks;
    return $problem;
}

async sub _problem_of {
    my ($pool) = @_;
    my ($wait, $until, $known) = ($FIRST_WAIT, PAGI::Native::now() + $pool->init_timeout);
    while (1) {
        my $left = $until - PAGI::Native::now();
        my $checked = $pool->check($left > 0.1 ? $left : 0.1);
        await Future->wait_any($checked->else_done);
        my ($error, undef, $code) = $checked->failure;
        return undef unless defined $error;
        # Processes that are busy work: with jobs of other workers, whose start came before this one's.
        return $known if $code ne 'InitFailed' && $code ne 'WorkerDied';
        $known = $error->message;
        $left = $until - PAGI::Native::now();
        return $known if $left <= 0;
        my $nap = $wait < $left ? $wait : $left;
        await _sleep($nap);
        $wait = $wait * 2 < $LONGEST_WAIT ? $wait * 2 : $LONGEST_WAIT;
    }
}

sub _sleep {
    my ($seconds) = @_;
    my $future = PAGI::Native::Future->new;
    PAGI::Native::timer($seconds, sub { $future->done });
    return $future;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Lifespan - no start without a pool that works

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::WorkerPool;
    use PAGI::WorkerPool::Lifespan;

    PAGI::WorkerPool->new(init => sub { return { connected => time } });
    my $app = PAGI::WorkerPool::Lifespan::wrap(sub { return Future->done });

=head1 DESCRIPTION

The server puts this around every application that has a L<PAGI::WorkerPool> with C<init>. Before the lifespan start-up of a worker it has a pool
process call C<init>, again and again for C<init_timeout> seconds, with growing pauses. If it fails to the end, so does the start of the worker, with the message of
the failure. A pool whose processes are busy does not hold a start up for longer than that.

=head1 FUNCTIONS

=head2 wrap

    my $app = PAGI::WorkerPool::Lifespan::wrap($app);

The application itself, when there is no pool with C<init>.

=cut
