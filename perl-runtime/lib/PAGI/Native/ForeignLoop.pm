package PAGI::Native::ForeignLoop;
use strict;
use warnings;

our $VERSION = '0.001';

use Scalar::Util ();

# How `--loop NAME` makes another loop than the native one turn. Its side of the boundary is small: one descriptor that
# becomes readable when the server has something to do, and one call that waits on behalf of the server.
my $chosen;
my $start;

# Before the application is loaded. Dies with the text to print.
sub choose {
    my ($name) = @_;
    # Names as the reference server takes them: classes below IO::Async::Loop, or EV's own loop.
    $name = 'Epoll' if $name eq 'EPoll';
    $start = $name eq 'EV' ? _choose_ev() : _choose_io_async($name);
    $chosen = $name;
    return;
}

# In the worker. Takes the descriptor; returns code that waits for at most so many seconds.
sub start { return $start->(@_) }

sub _choose_io_async {
    my ($name) = @_;
    my $parent = "IO::Async::Loop::$name";
    (my $file = "$parent.pm") =~ s{::}{/}g;
    eval { require IO::Async::Loop; require $file; 1 } or _cannot_load($name, $parent, $@);
    # A subclass, so that code of the application that runs the loop by itself keeps the server going as well.
    my $class = __PACKAGE__ . "::$name";
    (my $class_file = "$class.pm") =~ s{::}{/}g;
    $INC{$class_file} = __FILE__;
    my $wait = $parent->can('loop_once');
    no strict 'refs';
    @{"${class}::ISA"} = ($parent);
    my $worker = 0;
    *{"${class}::loop_once"} = sub {
        my ($self, $seconds) = @_;
        return $wait->($self, $seconds) if $$ != $worker;
        PAGI::Native::turn($seconds);
        return 1;
    };
    no warnings 'once';
    $IO::Async::Loop::LOOP = $class;
    return sub {
        my ($fd) = @_;
        my $loop = IO::Async::Loop->new;
        # It may have been made while the application was loaded, in another process.
        $loop->post_fork;
        $worker = $$;
        open my $handle, '<&', $fd or die "cannot duplicate the server's descriptor: $!\n";
        $loop->watch_io(handle => $handle, on_read_ready => sub { });
        return sub { $wait->($loop, $_[0]); return };
    };
}

sub _choose_ev {
    eval { require EV; 1 } or _cannot_load('EV', 'EV', $@);
    require PAGI::Native::Children;
    $PAGI::Native::Children::through = sub {
        my ($pid, $code) = @_;
        return EV::child($pid, 0, sub { $code->($_[0]->rpid, $_[0]->rstatus) });
    };
    return sub {
        my ($fd) = @_;
        # libev does not notice forks: without this, workers would share the epoll set that was made while the application was loaded.
        EV::default_loop()->loop_fork;
        my ($is_ours, $is_served, $soon) = (0, 0);
        # Code of the application that runs the loop by itself (EV::run) keeps the server going as well.
        my $before = EV::prepare(sub {
            my $left = $is_ours ? undef : PAGI::Native::due_in();
            $soon = defined $left ? EV::timer($left, 0, sub { }) : undef;
        });
        my $after = EV::check(sub {
            if ($is_ours) { $is_ours = 0 }
            else {
                # Without running libev inside of its own run, which is what the application wants to break.
                $is_served = 1;
                PAGI::Native::turn(0);
                $is_served = 0;
            }
        });
        $after->priority(EV::MAXPRI());
        my $readable = EV::io($fd, EV::READ(), sub { });
        return sub {
            my ($seconds) = @_;
            return if $is_served-- > 0;
            $is_served = 0;
            my $kept = [$before, $after, $readable];
            local $EV::DIED = sub { warn "uncaught exception in an EV callback: $@" };
            my $limit = $seconds > 0 ? EV::timer($seconds, 0, sub { }) : undef;
            $is_ours = 1;
            EV::run($seconds > 0 ? EV::RUN_ONCE() : EV::RUN_NOWAIT());
            $is_ours = 0;
            return;
        };
    };
}

sub _cannot_load {
    my ($name, $module, $error) = @_;
    my ($why) = split /\n/, $error;
    die "Cannot load loop backend '$name': $why\nInstall the Perl module $module, or leave --loop out.\n";
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::ForeignLoop - another event loop drives the worker

=head1 SYNOPSIS

    PAGI::Native::ForeignLoop::choose('Epoll');                      # before the application is loaded
    my $fd = 5;                                                      # that of the runtime's epoll set
    my $wait = PAGI::Native::ForeignLoop::start($fd);                # in the worker
    $wait->(0.5);                                                    # in every turn

=head1 DESCRIPTION

What stands behind C<pagi-server --loop NAME>. The named loop turns, and the native one is a descriptor that it watches.
All adapters (L<Future::IO>, L<Mojo::IOLoop>, L<AnyEvent>) stay on the native loop, so that everything works as without
the option; code that insists on the named loop works in addition.

C<EPoll> (or C<Epoll>), C<Poll>, C<Select>, C<UV> and any other name stand for the class C<IO::Async::Loop::NAME>, which
C<< IO::Async::Loop->new >> returns a subclass of. C<EV> is the loop of L<EV>; IO::Async stays on the native loop.

=head2 choose

Loads the loop. Dies with a sentence for the operator when it is not installed.

=head2 start

Takes the number of the descriptor to watch. Returns code that runs the loop once, waiting for at most so many seconds.

=cut
