package PAGI::App::WrapCGI::Process;

use strict;
use warnings;

use Fcntl qw(F_GETFD F_SETFD FD_CLOEXEC);
use Future::AsyncAwait;
use Future::IO;
use POSIX ();
use Time::HiRes ();

my $POLL = 0.01;    # seconds between looks at a process that has closed its output

sub start {
    my ($class, %args) = @_;
    pipe my $output, my $child_output or die "no pipe: $!\n";
    pipe my $report, my $child_report or die "no pipe: $!\n";
    my $pid = fork;
    die "cannot fork: $!\n" unless defined $pid;
    _exec($child_output, $child_report, \%args) unless $pid;

    close $child_output;
    close $child_report;
    my $self = bless { pid => $pid, output => $output }, $class;
    # The report pipe closes without a word when exec has succeeded; the child does nothing else in between.
    my $problem = readline $report;
    if (defined $problem) {
        waitpid $pid, 0;
        $self->{pid} = undef;
        die "$problem\n";
    }
    $output->blocking(0);
    return $self;
}

# Never returns: neither destructors nor END blocks of the server may run in the child.
sub _exec {
    my ($output, $report, $args) = @_;
    eval {
        my $flags = fcntl $report, F_GETFD, 0;
        fcntl $report, F_SETFD, $flags | FD_CLOEXEC;
        $SIG{$_} = 'DEFAULT' for qw(PIPE CHLD TERM INT HUP);
        POSIX::sigprocmask(POSIX::SIG_SETMASK(), POSIX::SigSet->new);
        # By descriptor number: in a server the Perl handles may not sit on 0 and 1.
        POSIX::dup2(fileno $args->{input}, 0) // die "no standard input: $!";
        POSIX::dup2(fileno $output, 1) // die "no standard output: $!";
        %ENV = %{ $args->{environment} };
        no warnings 'exec';
        exec { $args->{command} } $args->{command};
        die "$!\n";
    };
    syswrite $report, $@;
    POSIX::_exit(127);
}

sub output { $_[0]{output} }

sub was_stopped { $_[0]{stopped} ? 1 : 0 }

sub stop {
    my ($self) = @_;
    $self->{stopped} = 1;
    kill KILL => $self->{pid} if $self->{pid} && !$self->_reaped;
    return;
}

# Waits for the process, which has closed its output; killed after that many seconds.
async sub ended {
    my ($self, $seconds) = @_;
    my $deadline = Time::HiRes::time() + $seconds;
    while (!$self->_reaped) {
        kill KILL => $self->{pid} if Time::HiRes::time() >= $deadline;
        await Future::IO->sleep($POLL);
    }
    return;
}

sub _reaped {
    my ($self) = @_;
    return 1 unless $self->{pid};
    local ($?, $!);
    return 0 unless waitpid $self->{pid}, POSIX::WNOHANG();
    $self->{pid} = undef;
    return 1;
}

sub DESTROY {
    my ($self) = @_;
    local ($@, $!, $?);
    $self->stop;
    waitpid $self->{pid}, 0 if $self->{pid};    # it was killed
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapCGI::Process - a program with its input, output and environment

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::WrapCGI::Process;

    open my $input, '<', '/dev/null' or die;
    my $process = PAGI::App::WrapCGI::Process->start(command => '/bin/true', input => $input, environment => {});
    $process->ended(5)->get;

=head1 METHODS

=head2 start

Runs C<command> (a path, no arguments, no shell) with the descriptor of C<input> as standard input and C<environment>, a hashref, as
its whole environment. Standard error is shared. Dies with the reason when it cannot be started.

=head2 output

The non-blocking handle of its standard output.

=head2 stop

Kills it.

=head2 was_stopped

Whether C<stop> was called.

=head2 ended($seconds)

A Future that is done when the process is gone; after that many seconds it is killed.

=cut
