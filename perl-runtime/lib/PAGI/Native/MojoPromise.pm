package PAGI::Native::MojoPromise;
use strict;
use warnings;

our $VERSION = '0.001';

use PAGI::Native::Future;

# An async sub that awaits first of all a Mojo::Promise asks it for the object that the sub returns. It gives a promise,
# which no Future combinator takes. So ask the sub: one compiled with Mojo::Base -async_await wants promises, every
# other one Futures.
sub clone_for_async_sub {
    my ($promise) = @_;
    my $hints = (caller 0)[10];
    my $class = $hints && $hints->{'Future::AsyncAwait/future'};
    return $promise->clone if defined $class && $class->isa('Mojo::Promise');
    return defined $class ? $class->new : PAGI::Native::Future->new;
}

# What resuming a sub returns is nothing that the promise's own chain should wait for.
sub on_ready {
    my ($promise, $code) = @_;
    my $resume = sub { $code->($promise); return };
    $promise->then($resume, $resume)->catch(sub { });
    return;
}

# A Future::on_cancel that is handed a promise has nothing to cancel.
sub chain_cancel {
    my ($future, $awaited) = @_;
    $future->on_cancel($awaited) unless $awaited->isa('Mojo::Promise');
    return;
}

my $is_installed;

sub install {
    return if $is_installed || !defined &Mojo::Promise::AWAIT_CLONE;
    $is_installed = 1;
    no warnings 'redefine';
    *Mojo::Promise::AWAIT_CLONE = \&clone_for_async_sub;
    *Mojo::Promise::AWAIT_ON_READY = \&on_ready;
    *Future::AWAIT_CHAIN_CANCEL = \&chain_cancel;
    return;
}

# Mojo::Promise may be the module that is being compiled right now; then its methods do not exist yet.
install();
PAGI::Native::later(\&install) unless $is_installed;

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::MojoPromise - awaiting a Mojo::Promise in an async sub that returns a Future

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use Mojo::Promise;

    async sub later { await Mojo::Promise->timer(0.1); return 'later' }

    # A Future, although the first thing awaited is a promise.
    my ($one, $two) = await Future->needs_all(later(), later());

=head1 DESCRIPTION

Loaded with the server's reactor for Mojolicious. A sub compiled under C<use Mojo::Base -async_await> returns a
L<Mojo::Promise>; one compiled under C<use Future::AsyncAwait> returns a L<Future>, whatever it awaits. Cancelling such a
Future does not cancel the promise, which cannot be cancelled.

=cut
