package PAGITest::Pool;

# A server with a pool and an application that answers GET /NAME?JSON with JSON and writes notes, a line each, into a file.

use strict;
use warnings;

use File::Temp ();
use IO::Socket::INET ();
use JSON::MaybeXS ();
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use Test2::API ();
use Time::HiRes ();

my $JSON = JSON::MaybeXS->new(utf8 => 1, allow_nonref => 1);
my $PATIENCE = 60;

sub new {
    my ($class, $app, @args) = @_;
    my $binary = server_binary();
    die "There is no pagi-server to run: build it, or name it in PAGI_SERVER\n" unless $binary;
    my $notes = File::Temp->new;
    my $server = PAGITest::ServerProcess->new(
        binary => $binary, args => [ @args, '--port', 0, $app ],
        env    => { PERL5LIB => join(':', 'lib', 't/lib', $ENV{PERL5LIB} // ()), POOL_NOTES => "$notes" },
    );
    return bless { notes => $notes, server => $server, client => PAGITest::ServerClient->new(port => $server->port) }, $class;
}

sub server { return $_[0]{server} }
sub client { return $_[0]{client} }

sub _path {
    my ($name, %query) = @_;
    return "/$name" . (%query ? '?' . $JSON->encode(\%query) =~ s/([^A-Za-z0-9_.-])/sprintf '%%%02X', ord $1/ger : '');
}

sub ask { my ($self, @what) = @_; return $self->{client}->get(_path(@what))->json }

# The same with nobody waiting: a connection whose answer is asked for later.
sub begin {
    my ($self, @what) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{server}->port) or die "Cannot connect: $@\n";
    $socket->printflush('GET ' . _path(@what) . " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return $socket;
}

sub end {
    my ($self, $socket) = @_;
    my $answer = do { local $/; readline $socket } // '';
    $answer =~ s/\A.*?\r\n\r\n//s;
    return $JSON->decode($answer);
}

sub notes {
    my ($self) = @_;
    open my $file, '<', "$self->{notes}" or die "$!\n";
    chomp(my @lines = readline $file);
    return @lines;
}

sub note {
    my ($self, $text) = @_;
    open my $file, '>>', "$self->{notes}" or die "$!\n";
    syswrite $file, "$text\n";
    return;
}

sub has_noted { my ($self, $line) = @_; return scalar grep { $_ eq $line } $self->notes }

# A test of its own: the condition holds, sooner or later.
sub eventually {
    my ($self, $what, $condition) = @_;
    my $deadline = Time::HiRes::time() + $PATIENCE;
    my $held;
    until ($held = $condition->()) {
        last if Time::HiRes::time() > $deadline;
        Time::HiRes::sleep(0.02);
    }
    my $context = Test2::API::context();
    $context->ok($held, $what, [ $held ? () : ("Not within $PATIENCE seconds. Notes: " . join(', ', $self->notes), $self->{server}->log) ]);
    $context->release;
    return $held;
}

# Process ids of the server's children whose title begins so ("pool", "worker").
sub processes {
    my ($self, $kind) = @_;
    my @pids;
    for my $file (glob '/proc/[0-9]*/stat') {
        open my $stat, '<', $file or next;
        my ($pid, $parent) = (readline($stat) // '') =~ /\A([0-9]+) \(.*\) \S ([0-9]+)/s or next;
        next if $parent != $self->{server}->pid;
        open my $title, '<', "/proc/$pid/cmdline" or next;
        push @pids, $pid if (readline($title) // '') =~ /\Apagi-server: \Q$kind\E/;
    }
    my @sorted = sort { $a <=> $b } @pids;
    return @sorted;
}

1;
