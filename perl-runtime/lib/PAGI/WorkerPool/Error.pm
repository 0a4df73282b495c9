package PAGI::WorkerPool::Error;

use strict;
use warnings;

our $VERSION = '0.001';

use overload '""' => sub { $_[0]->text }, bool => sub { 1 }, fallback => 1;

use Future;

sub new {
    my ($class, $code, $message, %details) = @_;
    return bless { %details, code => $code, message => $message }, $class;
}

sub code    { return $_[0]{code} }
sub message { return $_[0]{message} }
sub depth   { return $_[0]{depth} }
sub limit   { return $_[0]{limit} }
sub text    { return "$_[0]{code}: $_[0]{message}\n" }

sub throw { my ($class, @what) = @_; die $class->new(@what) }

sub future { my ($self) = @_; return Future->fail($self, worker_pool => $self->{code}) }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Error - why a job has no result

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::WorkerPool::Error;

    my $error = PAGI::WorkerPool::Error->new(Backpressure => '100 jobs and requests wait already', depth => 100, limit => 100);
    print $error->code, ': try later, ', $error->depth, " wait\n";
    print "the same as text: $error";

=head1 DESCRIPTION

The Futures of L<PAGI::WorkerPool> fail with such an object, the category C<worker_pool> and the code: C<< $future->failure >> returns the three. What
C<await> and C<get> throw is L<Future>'s own wrapping of them, a C<Future::Exception>: its C<message> is the object, and
C<< ($@->details)[0] >> the code.

As a string it is C<CODE: sentence> and a newline, wrapped or not, so that code which matches on text works. The codes are listed in L<PAGI::WorkerPool/ERRORS>.

=head1 METHODS

=head2 new

    my $error = PAGI::WorkerPool::Error->new($code, $message, %details);

=head2 code, message, text

The code, the sentence, and both of them.

=head2 depth, limit

For C<Backpressure>: how much waits and how much may. For C<MessageTooLarge>: C<limit> in bytes. Otherwise undef.

=head2 throw

Takes what C<new> takes, and dies with the object.

=head2 future

A L<Future> that has failed with the object.

=cut
