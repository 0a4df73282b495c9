package PAGI::Test::Lifespan;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use PAGI::Test::Loop;
use Scalar::Util qw(blessed weaken);

our @CARP_NOT = qw(PAGI::Test::Client);

my $SECONDS = 5;    # for an app whose hooks wait on real I/O

sub new {
    my ($class, %args) = @_;
    return bless {
        app      => $args{app},
        state    => $args{state},
        _future  => undef,
        _inbox   => [{ type => 'lifespan.startup' }],
        _waiting => [],
        _sent    => {},       # type => event
    }, $class;
}

sub startup {
    my ($self) = @_;

    weaken(my $weak = $self);
    my $scope = { type => 'lifespan', pagi => { version => '0.2', spec_version => '0.2' }, state => $self->{state} };
    my $future = $self->{app}->(
        $scope,
        sub { return $weak ? $weak->_receive : Future->new },
        sub { $weak->{_sent}{ $_[0]{type} } ||= { %{ $_[0] } } if $weak; return Future->done },
    );
    croak 'PAGI lifespan app did not return a Future' unless blessed $future && $future->isa('Future');
    $self->{_future} = $future;

    PAGI::Test::Loop::run_until(sub { $self->_startup_answer || $future->is_ready }, $SECONDS)
        or croak "PAGI lifespan startup did not complete within $SECONDS seconds";
    my $answer = $self->_startup_answer;
    if (!$answer) {
        $future->get;    # its own exception, if it has one
        croak 'PAGI lifespan app returned without sending lifespan.startup.complete or lifespan.startup.failed';
    }
    return if $answer->{type} eq 'lifespan.startup.complete';

    my $message = $answer->{message};
    $message = 'lifespan startup failed' unless defined $message && length $message;
    $message .= "\n" unless $message =~ /\n\z/;
    die $message;
}

sub shutdown {
    my ($self) = @_;

    push @{ $self->{_inbox} }, { type => 'lifespan.shutdown' };
    while (my $waiting = shift @{ $self->{_waiting} }) {
        next if $waiting->is_ready;
        $waiting->done(shift @{ $self->{_inbox} });
        last;
    }
    # Clean-up that waits on timers or handles gets the time it needs; the outcome is nobody's business here.
    PAGI::Test::Loop::run_until(sub { $self->_is_shut_down }, $SECONDS) if PAGI::Test::Loop::is_in_use();
    return;
}

sub _startup_answer {
    my ($self) = @_;
    return $self->{_sent}{'lifespan.startup.failed'} || $self->{_sent}{'lifespan.startup.complete'};
}

sub _is_shut_down {
    my ($self) = @_;
    return 1 if $self->{_future}->is_ready || @{ $self->{_waiting} };
    return $self->{_sent}{'lifespan.shutdown.complete'} || $self->{_sent}{'lifespan.shutdown.failed'} ? 1 : 0;
}

sub _receive {
    my ($self) = @_;
    return Future->done(shift @{ $self->{_inbox} }) if @{ $self->{_inbox} };
    push @{ $self->{_waiting} }, my $future = Future->new;
    return $future;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Test::Lifespan - play the server's part in the lifespan exchange

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Lifespan;
    use PAGI::Test::Lifespan;

    my $app = PAGI::Lifespan->wrap(async sub { }, startup => async sub { $_[0]{ready} = 1 });

    my $lifespan = PAGI::Test::Lifespan->new(app => $app, state => my $state = {});
    $lifespan->startup;
    print "$state->{ready}\n";    # 1
    $lifespan->shutdown;

=head1 DESCRIPTION

Used by L<PAGI::Test::Client/start>.

=head1 METHODS

=head2 new

    PAGI::Test::Lifespan->new(app => $coderef, state => \%state);

=head2 startup

Calls the app and delivers C<lifespan.startup>. Returns once the app has answered; an app that waits on real I/O gets
5 seconds, in which L<Future::IO> drives the event loop. Dies with the app's own exception, with the C<message> of
C<lifespan.startup.failed> (default C<lifespan startup failed>), or with

    PAGI lifespan app returned without sending lifespan.startup.complete or lifespan.startup.failed
    PAGI lifespan startup did not complete within 5 seconds

=head2 shutdown

Delivers C<lifespan.shutdown>. The outcome is not checked.

=head1 SEE ALSO

L<PAGI::Test::Client>

=cut
