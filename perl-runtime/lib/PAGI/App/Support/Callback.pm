package PAGI::App::Support::Callback;

use strict;
use warnings;

use Exporter qw(import);
use Future;
use Scalar::Util qw(blessed);

our @EXPORT_OK = qw(call);

sub call {
    my ($code, @arguments) = @_;
    return Future->done unless $code;
    my $result = $code->(@arguments);
    return blessed $result && $result->isa('Future') ? $result : Future->done($result);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Support::Callback - call what may or may not be there, or asynchronous

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Support::Callback qw(call);

    print call(sub { "hello $_[0]" }, 'you')->get, "\n";    # hello you
    call(undef)->get;                                       # nothing

=head1 FUNCTIONS

=head2 call($code, @arguments)

A Future of the result; done without a value when C<$code> is undef. Exceptions pass through.

=cut
