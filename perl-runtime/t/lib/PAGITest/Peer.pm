package PAGITest::Peer;

# Another server with an application of its kind, for the tests that both have to pass.
#
#     my $peer = PAGITest::Peer->new(starman => 'app.psgi');    # dies when starman is not installed
#     my $port = $peer->port;

use strict;
use warnings;

use Cwd ();
use File::Basename ();
use File::Temp ();
use IO::Socket::INET ();
use POSIX ();
use parent 'PAGITest::ServerProcess';
use Time::HiRes qw(sleep time);

my $LIB = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../../lib');
my $SECONDS = 30;

my %COMMAND = (
    starman  => sub { my ($app, $port) = @_; return ('starman', '--listen', "127.0.0.1:$port", '--workers', 3, '-I', $LIB, $app) },
    # What hypnotoad runs, without its replacement of running servers.
    mojolicious => sub { my ($app, $port) = @_; return ($^X, $app, 'prefork', '-m', 'production', '-w', 2, '-l', "http://127.0.0.1:$port", '-P', "/tmp/pagi-test-prefork-$$.pid") },
);

sub new {
    my ($class, $kind, $app) = @_;
    my $port = do { my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "Cannot listen: $!\n"; $probe->sockport };
    my @command = $COMMAND{$kind}->($app, $port);
    my $log = File::Temp->new(SUFFIX => '.log');
    my $pid = fork // die "Cannot fork: $!\n";
    if (!$pid) {
        setpgrp;
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$log";
        open STDERR, '>>', "$log";
        exec @command or POSIX::_exit(127);
    }
    my $self = bless { pid => $pid, leads_group => 1, owner => $$, port => $port, log => $log }, $class;
    my $deadline = time + $SECONDS;
    while (time < $deadline) {
        return $self if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
        die "@command ended at once:\n" . $self->log if waitpid($pid, POSIX::WNOHANG()) == $pid;
        sleep 0.05;
    }
    die "@command does not listen after $SECONDS seconds:\n" . $self->log;
}

1;
