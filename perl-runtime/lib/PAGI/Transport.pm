package PAGI::Transport;

use strict;
use warnings;

# FLOW-1: the server leaves the key out when it cannot measure; every helper then has a harmless answer.

sub buffered_amount {
    my ($self) = @_;
    my $transport = $self->{scope}{'pagi.transport'} or return 0;
    return $transport->buffered_amount;
}

sub high_water_mark {
    my ($self) = @_;
    my $transport = $self->{scope}{'pagi.transport'} or return undef;
    return $transport->high_water_mark;
}

sub low_water_mark {
    my ($self) = @_;
    my $transport = $self->{scope}{'pagi.transport'} or return undef;
    return $transport->low_water_mark;
}

sub is_writable {
    my ($self) = @_;
    my $transport = $self->{scope}{'pagi.transport'} or return 1;
    my $mark = $transport->high_water_mark;
    return !defined $mark || $transport->buffered_amount < $mark ? 1 : 0;
}

sub on_high_water {
    my ($self, $callback) = @_;
    my $transport = $self->{scope}{'pagi.transport'};
    $transport->on_high_water($callback) if $transport && $transport->can('on_high_water');
    return $self;
}

sub on_drain {
    my ($self, $callback) = @_;
    my $transport = $self->{scope}{'pagi.transport'};
    $transport->on_drain($callback) if $transport && $transport->can('on_drain');
    return $self;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Transport - flow-control helpers shared by the objects that wrap a scope

=head1 SYNOPSIS

    use strict;
    use warnings;

    package My::View;
    use parent 'PAGI::Transport';
    sub new { my ($class, $scope) = @_; return bless { scope => $scope }, $class }

    package main;
    my $view = My::View->new({ type => 'http' });
    print $view->is_writable ? "write on\n" : "wait\n";    # write on

=head1 DESCRIPTION

A parent class for objects that keep their scope in the field C<scope>. The methods pass on to the server's C<pagi.transport>
handle; where the server offers none they answer as if nothing were ever buffered.

=head1 METHODS

=head2 buffered_amount

Bytes waiting in the server for this client; 0 without a handle.

=head2 high_water_mark, low_water_mark

Thresholds in bytes, or undef when the server has none or there is no handle.

=head2 is_writable

1 when there is no high mark or less than that is buffered, else 0.

=head2 on_high_water

    $object->on_high_water(sub { ... });

Called without arguments when the buffer rises to the high mark. Quietly ignored when the handle lacks it. Returns the object.

=head2 on_drain

    $object->on_drain(sub { ... });

Called without arguments when the buffer falls below the low mark again. Quietly ignored when the handle lacks it. Returns the
object.

=cut
