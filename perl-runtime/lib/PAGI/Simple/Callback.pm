package PAGI::Simple::Callback;

use strict;
use warnings;

use B ();
use Future;
use Scalar::Util qw(blessed);

# How many of the offered arguments a callback takes. A signature such as ($c) dies on a second argument, so arguments
# that are an offer, not a promise (the error of an error handler, the kind of a message), are cut to what fits.
sub arity {
    my ($code, $offered) = @_;
    my $cv = B::svref_2object($code);
    return $offered if !$cv->can('START') || $cv->XSUB;
    my $op = $cv->START;
    # the check of a signature is among the first operations of a sub
    for (1 .. 12) {
        last if !$op || !$$op;
        if ($op->name eq 'argcheck') {
            my ($params, undef, $slurpy) = $op->aux_list($cv);
            return $slurpy || $params > $offered ? $offered : $params;
        }
        $op = $op->next;
    }
    return $offered;
}

sub is_future { return blessed $_[0] && $_[0]->isa('Future') ? 1 : 0 }

# A Future for whatever the code does: its own Future, its value, or its exception.
sub future_of {
    my ($code, @args) = @_;
    my @result;
    return Future->fail($@) unless eval { @result = $code->(@args); 1 };
    return $result[0] if @result && is_future($result[0]);
    return Future->done(@result);
}

# Plain handlers may call get on a Future. Under the server that needs one whose await turns the loop; async subs make
# their Futures in the image of the one they wait for.
sub waitable {
    my ($future) = @_;
    return $future if $future->is_ready || $future->can('await') != Future->can('await') || !PAGI::Native::Future->can('new');
    my $waitable = PAGI::Native::Future->new;
    $future->on_ready($waitable);
    $waitable->on_cancel($future);
    return $waitable;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Callback - calling the application's subs

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Callback;

    my $plain = sub { return "got @_" };
    print PAGI::Simple::Callback::arity($plain, 2), "\n";               # 2
    print PAGI::Simple::Callback::future_of($plain, 'it')->get, "\n";   # got it

=head1 DESCRIPTION

Functions, called with their full name, that L<PAGI::Simple> uses wherever it calls a sub of the application, which may be
plain or async and may have a signature.

=head1 FUNCTIONS

=head2 arity

    my $count = PAGI::Simple::Callback::arity($code, $offered);

The number of arguments to pass when C<$offered> are available: fewer only when the sub has a signature that takes fewer.

=head2 is_future

1 if the value is a L<Future>, else 0.

=head2 future_of

    my $future = PAGI::Simple::Callback::future_of($code, @arguments);

Calls the code. Its Future, or a Future that is done with what it returned or failed with its exception.

=head2 waitable

    my $future = PAGI::Simple::Callback::waitable($future);

The same, or under the server one on which C<get> waits by running the event loop.

=cut
