package PAGITest::ServerProcess;

# A server started for one test and stopped when the object goes away.

use strict;
use warnings;

use File::Temp ();
use POSIX ();
use Time::HiRes qw(sleep time);

my $START_SECONDS = 60;
my $STOP_SECONDS  = 30;

sub new {
    my ($class, %args) = @_;

    my $log = File::Temp->new(SUFFIX => '.log');
    my $pid = fork;
    die "Cannot fork: $!\n" unless defined $pid;
    if (!$pid) {
        # Tests may run as root, on a machine that is no container.
        $ENV{PAGI_ALLOW_ROOT} = 1;
        @ENV{ keys %{ $args{env} } } = values %{ $args{env} };
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$log";
        open STDERR, '>>', "$log";
        exec $args{binary}, @{ $args{args} } or POSIX::_exit(127);
    }
    my $self = bless { pid => $pid, owner => $$, log => $log, port => undef }, $class;
    $self->_await_banner("$args{binary} @{ $args{args} }");
    return $self;
}

sub port { return $_[0]{port} }
sub pid  { return $_[0]{pid} }

sub log {
    my ($self) = @_;
    open my $handle, '<', "$self->{log}" or return '';
    local $/;
    return scalar readline($handle) // '';
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill TERM => $pid;
    my $deadline = time + $STOP_SECONDS;
    while (time < $deadline) {
        return if waitpid($pid, POSIX::WNOHANG()) == $pid;
        sleep 0.02;
    }
    kill KILL => $self->{leads_group} ? -$pid : $pid;
    waitpid $pid, 0;
    return;
}

sub _await_banner {
    my ($self, $command) = @_;
    my $deadline = time + $START_SECONDS;
    while (time < $deadline) {
        if ($self->log =~ m{listening on https?://[^\s/]*:(\d+)}) {
            $self->{port} = $1;
            return;
        }
        if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
            delete $self->{pid};
            die "$command ended at once:\n" . $self->log;
        }
        sleep 0.02;
    }
    $self->stop;
    die "$command did not say where it listens within $START_SECONDS seconds:\n" . $self->log;
}

sub DESTROY {
    my ($self) = @_;
    local ($@, $?, $!);
    $self->stop if $self->{pid} && $self->{owner} == $$;
    return;
}

1;
