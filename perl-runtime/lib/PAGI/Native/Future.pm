package PAGI::Native::Future;
use strict;
use warnings;

our $VERSION = '0.001';

use parent 'Future';

# `get` on a pending Future runs turns of the worker's loop until it is ready.
sub await {
    my ($self) = @_;
    PAGI::Native::turn(undef) until $self->is_ready;
    return $self;
}

# What an async sub awaits need not be cancellable: a Mojo::Promise is not.
sub AWAIT_CHAIN_CANCEL {
    my ($self, $awaited) = @_;
    $self->on_cancel($awaited) if $awaited->can('cancel');
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::Future - a Future that the worker's loop completes

=head1 SYNOPSIS

    my $future = PAGI::Native::Future->new;
    PAGI::Native::timer(0.1, sub { $future->done('late') });
    my $value = $future->get;    # 'late', and other requests were served meanwhile

=head1 DESCRIPTION

A L<Future> whose C<await> method turns the loop. C<new> and everything else are Future's own.

=cut
