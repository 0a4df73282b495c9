package PAGI::Native::Signals;
use strict;
use warnings;

our $VERSION = '0.001';

use Carp ();
use Config ();
use Scalar::Util ();

my %numbers;
@numbers{split ' ', $Config::Config{sig_name}} = split ' ', $Config::Config{sig_num};

# By name: { previous, callbacks => { id => code }, era, pending }.
my %watched;
my $last_id = 0;

# Every adapter watches signals here, so that none of them takes one from another by assigning to %SIG.
sub watch {
    my ($name, $code) = @_;
    Carp::croak("Unrecognised signal name $name") unless $numbers{$name};
    _forget_the_parent();
    my $watch = $watched{$name} ||= _install($name);
    my $id = ++$last_id;
    $watch->{callbacks}{$id} = $code;
    return [$name, $id];
}

sub unwatch {
    my ($handle) = @_;
    my ($name, $id) = @$handle;
    my $watch = $watched{$name} or return;
    delete $watch->{callbacks}{$id} or return;
    return if %{$watch->{callbacks}};
    delete $watched{$name};
    _restore($name, $watch);
    return;
}

sub _install {
    my ($name) = @_;
    my $watch = { callbacks => {}, previous => $SIG{$name}, era => PAGI::Native::era() };
    PAGI::Native::claim_signal($numbers{$name});
    # A signal handler runs between any two operations, also while a coroutine is being suspended. Callbacks only ever
    # run in a clean turn of the loop (FUT-5).
    Scalar::Util::weaken(my $weak = $watch);
    my $handler = sub {
        my $current = $weak or return;
        if (!$current->{pending}) {
            $current->{pending} = 1;
            PAGI::Native::later(sub { _run($current) });
        }
        my $previous = $current->{previous};
        $previous->(@_) if ref $previous eq 'CODE';
    };
    Scalar::Util::weaken($watch->{handler} = $handler);
    $SIG{$name} = $handler;
    return $watch;
}

# The application may have put a handler of its own over ours; that one stays.
sub _restore {
    my ($name, $watch) = @_;
    return unless ref $SIG{$name} && $watch->{handler} && $SIG{$name} == $watch->{handler};
    my $previous = $watch->{previous};
    $SIG{$name} = defined $previous && length $previous ? $previous : 'DEFAULT';
    PAGI::Native::release_signal($numbers{$name});
    return;
}

sub _run {
    my ($watch) = @_;
    delete $watch->{pending};
    for my $id (sort { $a <=> $b } keys %{$watch->{callbacks}}) {
        my $code = $watch->{callbacks}{$id} or next;
        $code->();
    }
    return;
}

# In a child that the application forked, what the parent watches is the parent's.
my @of_the_parent;

sub _forget_the_parent {
    my $era = PAGI::Native::era();
    for my $name (keys %watched) {
        next if $watched{$name}{era} == $era;
        push @of_the_parent, my $watch = delete $watched{$name};
        _restore($name, $watch);
    }
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::Signals - signals for everybody who watches them

=head1 SYNOPSIS

    my $watch = PAGI::Native::Signals::watch(USR1 => sub { print "USR1\n" });
    PAGI::Native::Signals::unwatch($watch);

=head1 DESCRIPTION

All event loop adapters watch signals through these functions. Any number of callbacks may watch one signal. They run in
a turn of the loop after the signal came, never inside the signal handler; a handler that was in C<%SIG> before is called
too, at once.

The server goes on to obey TERM, INT and QUIT while they are watched this way. A handler that an application assigns to
C<%SIG> itself replaces everything, the server's own handling included.

=head2 watch

    my $watch = PAGI::Native::Signals::watch($name, $code);

C<$name> is a bare name such as C<HUP>. Dies when there is no such signal.

=head2 unwatch

    PAGI::Native::Signals::unwatch($watch);

The last one restores what was there before.

=cut
