package TestCatalyst;

use Moose;
use Catalyst qw(PAGI);
use Future;
use PAGI::WorkerPool;

extends 'Catalyst';

our %LOG;

# A handle that is connected while the application is loaded.
our $HANDLE = $ENV{TEST_CONNECTS} ? do { require DBI; DBI->connect('dbi:ExampleP:', '', '', { RaiseError => 1 }) } : undef;

__PACKAGE__->config(name => 'TestCatalyst', enable_catalyst_header => 0);
__PACKAGE__->setup;

PAGI::WorkerPool->new(handlers => { double => sub { my ($state, $n) = @_; return 2 * $n } });

sub pagi_startup {
    my ($class, $state) = @_;
    die "no database\n" if $ENV{TEST_STARTUP_FAILS};
    $state->{started} = $LOG{started} = 1;
    return Future->done;
}

sub pagi_shutdown { print STDERR "shut down\n"; return }

1;
