package PAGI::WorkerPool;

use strict;
use warnings;

our $VERSION = '0.001';

use Carp qw(croak);
use Future;

use PAGI::WorkerPool::Error;
use PAGI::WorkerPool::Job;
use PAGI::WorkerPool::Message qw(decode encode);
use PAGI::WorkerPool::Process;
use PAGI::WorkerPool::Statistics;
use Hash::Util::FieldHash qw(fieldhash);
use Scalar::Util qw(looks_like_number);

my %DEFAULT = (
    name => 'default', handlers => {}, apps => {}, init => undef, init_timeout => 10, cleanup => undef, workers => undef,
    timeout => 30, queue_timeout => undef, kill_grace => 2, max_size => 16 * 1024 * 1024, max_jobs => 1000,
    debug => undef, max_forks => 4, fork_timeout => 30, fork_queue_limit => 100,
);
my @NUMBERS = qw(init_timeout timeout queue_timeout kill_grace max_size max_jobs max_forks fork_timeout fork_queue_limit);
my %FORGET = map { $_ => 1 } qw(args timeout queue_timeout);
my %CALL = (%FORGET, map { $_ => 1 } qw(kill_on_cancel key priority on_progress wait_for_space));

my %pools;

# By the Future of a call: it must fail with what the handler died with and nothing else.
fieldhash my %trace;

sub new {
    my ($class, %options) = @_;
    my @unknown = grep { !exists $DEFAULT{$_} } sort keys %options;
    croak 'Unknown options of the worker pool: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %DEFAULT) if @unknown;
    my $self = bless { %DEFAULT, %options, handlers => {}, apps => {} }, $class;
    for my $name (@NUMBERS) {
        croak "$name must be a number of at least 0" if defined $self->{$name} && $self->{$name} !~ /\A[0-9]+(?:\.[0-9]+)?\z/;
    }
    for my $name (qw(init cleanup)) {
        croak "$name must be a coderef" if defined $self->{$name} && ref $self->{$name} ne 'CODE';
    }
    croak 'workers must be a number of processes, at least 1' if defined $self->{workers} && $self->{workers} !~ /\A[1-9][0-9]*\z/;
    croak "There is a worker pool '$self->{name}' already" if $pools{ $self->{name} };
    _only_while_loading();
    croak 'handlers must be a hashref of names and coderefs' unless ref($options{handlers} || {}) eq 'HASH';
    croak 'apps must be a hashref of names and applications' unless ref($options{apps} || {}) eq 'HASH';
    $self->register(%{ $options{handlers} || {} });
    $self->register_app(%{ $options{apps} || {} });
    return $pools{ $self->{name} } = $self;
}

sub default { my ($class) = @_; return $pools{default} || $class->new }
sub named   { my (undef, $name) = @_; return $pools{$name} }
sub all     { return map { $pools{$_} } sort keys %pools }

# WP-1: pool processes are forked from what was loaded; what comes later they would never know.
sub _only_while_loading {
    no warnings 'once';
    croak 'A worker pool and its handlers are registered while the application loads, not later'
        if PAGI::Native->can('put_job') && !$PAGI::Native::LOADING;
    return;
}

sub register {
    my ($self, %handlers) = @_;
    _only_while_loading() if %handlers;
    for my $name (sort keys %handlers) {
        croak "The name of a handler is like 'domain.action', not '$name'" unless $name =~ /\A[A-Za-z0-9_.:-]{1,100}\z/;
        croak "The handler '$name' must be a coderef" unless ref $handlers{$name} eq 'CODE';
        croak "There is a handler '$name' already" if $self->{handlers}{$name};
        $self->{handlers}{$name} = $handlers{$name};
    }
    return $self;
}

sub register_app {
    my ($self, %apps) = @_;
    require PAGI::Utils;
    for my $name (sort keys %apps) {
        croak "There is an application '$name' already" if $self->{apps}{$name};
        $self->{apps}{$name} = PAGI::Utils::to_app($apps{$name});
    }
    return $self;
}

sub handler    { return $_[0]{handlers}{ $_[1] } }
sub name       { return $_[0]{name} }
sub init       { return $_[0]{init} }
sub cleanup    { return $_[0]{cleanup} }
sub max_size   { return $_[0]{max_size} }
sub kill_grace { return $_[0]{kill_grace} }
sub max_jobs   { return $_[0]{max_jobs} }
sub workers    { return $_[0]{workers} }

sub debug { my ($self) = @_; return $self->{debug} // ($ENV{PAGI_ENV} // '') eq 'development' }

sub note_trace   { my (undef, $future, $trace) = @_; $trace{$future} = $trace if defined $trace; return }
sub remote_trace { my (undef, $future) = @_; return $trace{$future} }

sub init_timeout { return $_[0]{init_timeout} }

# What is counted belongs to this process, not to the one it was forked from.
sub statistics {
    my ($self) = @_;
    delete $self->{statistics} if $self->{statistics} && $self->{counted_in} != $$;
    return $self->{statistics} ||= do {
        $self->{counted_in} = $$;
        PAGI::WorkerPool::Statistics->new;
    };
}

sub count { my ($self, @what) = @_; return $self->statistics->count(@what) }

# Processes that jobs go to: 0 in a pool process, which does them itself; undef where there is no pool.
sub _size { return PAGI::Native->can('pool_size') ? PAGI::Native::pool_size() : undef }

sub is_available { return defined _size() ? 1 : 0 }
sub is_worker    { return _size() ? 1 : 0 }

sub call {
    my ($self, $name, %options) = @_;
    _check_options(\%CALL, \%options);
    croak 'priority must be a number' if defined $options{priority} && !looks_like_number($options{priority});
    croak 'wait_for_space must be a number of seconds' if defined $options{wait_for_space} && !looks_like_number($options{wait_for_space});
    croak 'key must be a string' if ref $options{key};
    croak 'on_progress must be a coderef' if defined $options{on_progress} && ref $options{on_progress} ne 'CODE';
    return $self->_call(0, $name, %options);
}

sub call_forget {
    my ($self, $name, %options) = @_;
    _check_options(\%FORGET, \%options);
    my $future = $self->_call(1, $name, %options);
    $future->on_fail(sub {
        my ($error, $category) = @_;
        # Its own exceptions are logged where it ran.
        print STDERR "The job '$name' that nobody waits for failed: $error" if $category;
    });
    return 0 if $future->is_failed;
    $future->retain;
    return 1;
}

sub _check_options {
    my ($valid, $options) = @_;
    my @unknown = grep { !$valid->{$_} } sort keys %$options;
    croak 'Unknown options of a call: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %$valid) if @unknown;
    croak 'args must be an arrayref' if defined $options->{args} && ref $options->{args} ne 'ARRAY';
    return;
}

sub _call {
    my ($self, $forgotten, $name, %options) = @_;
    my $arguments = delete $options{args} || [];
    return $self->_reject(undef, UnknownHandler => "the pool '$self->{name}' has no handler '" . ($name // 'undef') . q('))
        unless defined $name && $self->{handlers}{$name};
    return $self->_start($forgotten, $name, $arguments, %options);
}

sub _start {
    my ($self, $forgotten, $name, $arguments, %options) = @_;
    my $size = _size();
    return $self->_reject($name, Unavailable => 'there is no pool: start the server with --pool') unless defined $size;
    my $bytes = eval { encode([ $self->{name}, $name, $forgotten, $arguments, $options{key} ], $self->{max_size}) };
    if (!defined $bytes) {
        my $error = $@;
        $self->count($name, 'rejected');
        return $error->future;
    }
    return $self->_in_place($name, $bytes, $forgotten, $options{on_progress}) if !$size;
    return PAGI::WorkerPool::Job->start(
        timeout => $self->{timeout}, queue_timeout => $self->{queue_timeout}, %options, priority => $options{priority} // 0,
        pool => $self, name => $name, out => pack('a N/a*', J => $bytes), forgotten => $forgotten,
    );
}

# A job that a job asks for: this process blocks as it is, and waiting for another could be waiting for ever.
sub _in_place {
    my ($self, $name, $bytes, $forgotten, $on_progress) = @_;
    $self->count($name, 'calls');
    my $report = $on_progress && sub { $on_progress->(@{ decode(encode($_[0], $self->{max_size})) }); 1 };
    my $reply = PAGI::WorkerPool::Process::perform($self, $name, decode($bytes)->[3], $forgotten, $report);
    my ($ok, @results) = @{ decode($reply) };
    $self->count($name, $ok ? 'done' : 'failed');
    return Future->done(@results) if $ok;
    my ($exception, $trace) = @results;
    return $exception->future if ref $exception && eval { $exception->isa('PAGI::WorkerPool::Error') };
    my $future = Future->fail($exception);
    $self->note_trace($future, $trace);
    return $future;
}

sub _reject {
    my ($self, $name, @what) = @_;
    $self->count($name, 'rejected');
    return PAGI::WorkerPool::Error->new(@what)->future;
}

# WP-2: calls init in some pool process, unless it was called there already.
sub check { my ($self, $seconds) = @_; return $self->_start(0, '', [], queue_timeout => $seconds, priority => 1_000_000) }

sub progress { my (undef, @data) = @_; return PAGI::WorkerPool::Process::progress(@data) }

# WP-29, WP-30: the request goes away before it is read, and comes here again in a pool process.
sub run_app {
    my ($self, $name, $scope, $receive, $send) = @_;
    my $app = defined $name ? $self->{apps}{$name} : undef;
    return $self->_reject(undef, UnknownHandler => "the pool '$self->{name}' has no application '" . ($name // 'undef') . q(')) unless $app;
    require PAGI::Sync;
    if (my $answered = PAGI::Sync::hand_over($scope, $app)) {
        return $answered;
    }
    # WP-31
    my $state;
    return $@->future unless eval { $state = PAGI::WorkerPool::Process::state_of($self); 1 };
    return $app->({ %$scope, 'pagi.worker_state' => $state }, $receive, $send);
}

sub run_blocking {
    my ($self, $code, @arguments) = @_;
    croak 'run_blocking requires worker configuration: PAGI::WorkerPool->new(max_forks => 4)' unless $self->{max_forks};
    require PAGI::WorkerPool::Forks;
    $self->{forks} ||= PAGI::WorkerPool::Forks->new(
        max_workers => $self->{max_forks}, timeout => $self->{fork_timeout}, queue_limit => $self->{fork_queue_limit},
    );
    return $self->{forks}->run($code, @arguments);
}

sub stats {
    my ($self) = @_;
    my $size = _size();
    my $there = $size ? 1 : 0;
    return {
        %{ $self->statistics->report($size) },
        workers => $there && $self->{workers} && $self->{workers} < $size ? $self->{workers} : $size // 0,
        queue_depth => $there ? PAGI::Native::jobs_wait(0) : 0,
        queue_limit => $there ? PAGI::Native::pool_limit() : 0,
        forks => $self->{forks} ? $self->{forks}->stats : { workers => $self->{max_forks}, busy => 0, queue_depth => 0, queue_limit => $self->{fork_queue_limit} },
    };
}

# CH-3: the scope is copied.
sub wrap {
    my ($self, $app) = @_;
    croak 'wrap takes an application (coderef)' unless ref $app;
    return sub {
        my ($scope, @rest) = @_;
        return $app->($scope, @rest) unless is_available();
        return $app->({ %$scope, extensions => { %{ $scope->{extensions} || {} }, worker_pool => $self } }, @rest);
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool - jobs for processes that may block

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::WorkerPool;

    my $pool = PAGI::WorkerPool->new(
        init     => sub { return { connected => time } },      # DBI->connect(...) here
        handlers => {
            'user.get' => sub { my ($state, $id) = @_; return { id => $id, since => $state->{connected} } },
        },
    );

    my $app = $pool->wrap(async sub {
        my ($scope, $receive, $send) = @_;
        die "Unsupported scope type: $scope->{type}" unless $scope->{type} eq 'http';
        my $pool = $scope->{extensions}{worker_pool} or die "Start the server with --pool\n";
        my $user = await $pool->call('user.get', args => [ 7 ], timeout => 2);
        await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/plain' ] ] });
        await $send->({ type => 'http.response.body', body => "user $user->{id}\n" });
    });

=head1 DESCRIPTION

C<< pagi-server --pool N >> keeps N processes beside its workers for code that blocks: a database client, a PSGI application, a long computation. They
belong to the server and are shared by all its workers; whichever is idle takes the next thing that waits. This class gives them jobs: named
handlers, plain data in, plain data out. Nothing is retried, and nothing outlives the server.

Handlers are registered while the application loads. Pool processes have loaded the same application, so only name and arguments travel.

C<run_blocking> needs no pool: it forks the worker for one call.

For I/O, 2 to 4 processes per core are a good number, for computing one per core; a queue of 10 to 50 times as many; time limits below the patience of
the client.

=head1 METHODS

=head2 new

Registers a pool of handlers. Croaks for unknown options, for a name that is taken, and after the application has been loaded.

=over 4

=item name

Default C<default>. Several pools, each with its handlers, its C<init> and its limits, share the processes of the server.

=item workers

Most processes that may do jobs of this pool at the same time, whichever workers ask for them; default undef: all of C<--pool>. With 8 processes, a pool
C<cpu> of 2 and a pool C<db> of 4 always leave two for requests and for each other. Jobs beyond it wait without occupying a process, and those of
C<call_forget> wait in the worker, with which they are lost if it crashes. Whole applications (C<run_app>) and C<run_blocking> do not count.

=item handlers

A hashref of names (up to 100 letters, digits and C<_.:->, customarily C<domain.action>) and coderefs. A handler is called in list context
with the state and the arguments of the call; it may block.

=item init

Coderef, called without arguments in each pool process before its first job; what it returns is the state (L<PAGI::WorkerPool::State>). Open database
handles and sockets here and not earlier.

A server whose C<init> dies does not start: before the lifespan start-up of a worker some pool process calls it, if it dies again and again for C<init_timeout>
seconds (default 10), and then the start fails with its message. When it dies later, in another process, that job fails with C<InitFailed> and
it is tried again later: after 0.1 seconds, then twice as long each time, up to 30. A reload asks the processes that are there, in which it has succeeded.

=item apps

A hashref of names and applications for C<run_app>.

=item cleanup

Coderef, called with the state when the process ends in order: at the end or a reload of the server, not when it is killed.

=item timeout

Seconds a job may run, default 30; 0 for no limit. Then the Future fails with C<Timeout>, and the process gets SIGTERM and, if that does not end it
within C<kill_grace> seconds (default 2), SIGKILL; the server replaces it. The option C<--pool-timeout> of the server (default 30) limits every job
too: beyond it the server kills the process, and the Future fails with C<WorkerDied>. Raise it for longer jobs.

=item queue_timeout

Seconds a job may wait for a process, default undef: no limit. Then C<Timeout>.

=item max_size

Bytes of encoded arguments, and of encoded results, default 16 MiB. More fail with C<MessageTooLarge>.

=item max_jobs

Jobs after which a pool process is replaced by a new one, default 1000; 0 for never. The options C<--max-worker-rss> and C<--max-worker-age> of the server hold for pool
processes too.

=item debug

Whether exceptions of handlers are kept with their stack, for C<remote_trace>. Default: if C<PAGI_ENV> is C<development>.

=item max_forks, fork_timeout, fork_queue_limit

For C<run_blocking>: processes at the same time per worker (default 4; 0 forbids it), seconds each may run (default 30), calls that may wait for a turn
(default 100).

=back

=head2 default, named

    my $pool = PAGI::WorkerPool->default;
    my $pool = PAGI::WorkerPool->named('db');

The pool C<default>, made without handlers if there is none yet; a pool by its name, or undef.

=head2 register

    $pool->register('mail.send' => sub { my ($state, @arguments) = @_; ... });

More handlers, while the application loads. Returns the pool.

=head2 register_app

    $pool->register_app(legacy => $app);

More applications for C<run_app>: coderefs, or what L<PAGI::Utils/to_app> takes. Returns the pool.

=head2 wrap

    my $app = $pool->wrap($app);

Middleware: where the server has a pool, each scope, that of the lifespan too, is copied and gets C<< $scope->{extensions}{worker_pool} >>. An
application that cannot do without can fail its start when that is missing.

=head2 is_worker

Whether this is a worker of a server with a pool.

=head2 is_available

Whether C<call> has somewhere to go. False before a worker has been started, under another server, and without C<--pool>.

=head2 call

    my @results = await $pool->call($name, args => \@arguments, timeout => 5, queue_timeout => 1, kill_on_cancel => 1);

Runs a handler and returns a L<Future> of its results, a list. Limits given here replace those of the pool. Arguments and results are copied; what may travel says
L<PAGI::WorkerPool::Message>. An exception of the handler is the failure of the Future: text as it was; objects of the same class if
their contents are plain data, otherwise their class and text.

Cancelling the Future takes a job that waits out of the queue. One that runs is left to its end and its result is dropped, unless C<kill_on_cancel> is true:
then its process is ended as after a timeout. The same holds when the worker ends, whose jobs that run are always left to their end.

Four more options:

=over 4

=item key

A string. Jobs of a pool with the same key run one after the other, whichever worker asks for them: those of one worker in the order in which they were asked
for. For what belongs to one user, say. A process is not kept waiting for a key.

=item priority

A number, default 0. Of the jobs of a worker that wait, those with a higher one come first. As many as there are processes are beyond that: they are in
the server's queue already, as are whole requests and the jobs of other workers. A key keeps its order whatever the priorities.

=item wait_for_space

Seconds to wait for room in a full queue, instead of failing with C<Backpressure> at once. What waits so is in no order.

=item on_progress

    on_progress => sub { my ($done, $all) = @_; ... }

Called with what the handler reports (L<PAGI::WorkerPool::State/progress>), before the Future is ready. What it dies with is logged.

=back

Inside a pool process, that is, in a handler, the handler is run at once and in place, whatever its key, its priority and the C<workers> of its pool.

=head2 call_forget

    $pool->call_forget('mail.send', args => \@arguments, queue_timeout => 60) or warn "the queue is full\n";

The same without a result. True when the job was queued. Failures are logged. It survives the worker that asked for it once its arguments have been passed on,
at once for those below some 100 KiB, unless the pool has C<workers>. A server that stops does what waits first, for as long as C<--shutdown-timeout> allows.

=head2 progress

    my $wanted = PAGI::WorkerPool->progress(@data);

In a handler: L<PAGI::WorkerPool::State/progress>.

=head2 remote_trace

    my $future = $pool->call('report.make');
    my $report = eval { await $future } // warn $@, $pool->remote_trace($future) // '';

With C<debug>: where in the pool process the exception came from, a line for each call down to the handler, without arguments. Otherwise, and for a call that has not
failed by an exception of its handler, undef.

=head2 run_app

    return $pool->run_app('legacy', $scope, $receive, $send);

Runs a whole application in the pool: the request goes there unread, passes all middleware again and comes to this same call, which runs the application with
what C<init> has returned in C<< $scope->{'pagi.worker_state'} >>. The worker keeps the client: a slow one does not occupy a process, and one that goes away is
seen there as a disconnect. Returns a L<Future> for the end of the answer. Without a pool, and for a WebSocket or an event stream, the application runs in place, and a line on the standard
error says so once. C<sync> of L<PAGI::Sync> does the same for handlers of routers.

=head2 run_blocking

    my @results = await $pool->run_blocking(sub { my ($n) = @_; ... }, @arguments);

Forks the worker and runs the code there: closures and everything the worker has in memory are at hand, changes stay in the child. See
L<PAGI::WorkerPool::Forks>. With C<< max_forks => 0 >> it croaks C<run_blocking requires worker configuration: ...>.

=head2 stats

A hashref. About the server: C<workers> (pool processes, as far as this pool may use them), C<queue_depth> (jobs and requests of all workers that wait), C<queue_limit>
(C<--pool-queue-limit>). About the calls of this worker: C<calls> (accepted), C<busy> (running now), C<done>, C<failed> (by
an exception), C<rejected>, C<timed_out>, C<crashed>, C<cancelled>; C<queue_time> and C<run_time>, seconds that jobs have waited and run, all of them together, and
C<max_queue_time> and C<max_run_time>, the longest; C<utilisation>, the part of the processes' time that this worker's jobs have taken, 0 to 1. The same
counts and times by handler are in C<handlers>, a hashref by name. And C<forks>, a hashref about C<run_blocking>: C<workers>, C<busy>, C<queue_depth>, C<queue_limit>.

=head2 handler, name, init, init_timeout, cleanup, max_size, max_jobs, workers, kill_grace, debug, note_trace, count, statistics, all, check

For the classes of the pool.

=head1 ERRORS

Futures fail with a L<PAGI::WorkerPool::Error>, the category C<worker_pool> and its code:

=over 4

=item UnknownHandler

No such handler, at once.

=item Backpressure

The queue is full, at once; C<depth> and C<limit> tell how. The limit is shared with the requests that wait for the pool.

=item Timeout

The job ran, or waited, too long.

=item WorkerDied

The process ended during the job: it crashed, called C<exit>, or was killed.

=item InitFailed

C<init> died.

=item NotSerializable, MessageTooLarge

Arguments or results that cannot travel.

=item Unavailable

There is no pool.

=back

=cut
