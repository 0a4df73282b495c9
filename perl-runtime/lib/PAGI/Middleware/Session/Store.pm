package PAGI::Middleware::Session::Store;

use strict;
use warnings;

sub new {
    my ($class, %options) = @_;
    return bless {%options}, $class;
}

sub get    { my ($self) = @_; die ref($self) . " must implement get()\n" }
sub set    { my ($self) = @_; die ref($self) . " must implement set()\n" }
sub delete { my ($self) = @_; die ref($self) . " must implement delete()\n" }

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::Store - base class: where sessions live

=head1 SYNOPSIS

    package My::Store;
    use parent 'PAGI::Middleware::Session::Store';
    use Future;

    my %kept;
    sub get    { my ($self, $id) = @_;        return Future->done($kept{$id}) }
    sub set    { my ($self, $id, $data) = @_; $kept{$id} = {%$data}; return Future->done($id) }
    sub delete { my ($self, $id) = @_;        delete $kept{$id}; return Future->done(1) }

=head1 METHODS

A store is any object with the last three methods. They return a L<Future>; a plain value is
accepted too. In the base class they die C<CLASS must implement get()> and so on.

=head2 new(%options)

Stores the options on the object.

=head2 get($id)

The session (hash reference), or undef. C<$id> comes from the client: a store must not use it as a
file name or in a query without care.

=head2 set($id, $data)

Saves the session and resolves to what the client is to send next time: C<$id> for stores on the server,
the data itself for L<PAGI::Middleware::Session::Store::Cookie>.

=head2 delete($id)

Resolves to 1, whether there was one or not.

=head1 CHOOSING

See L<PAGI::Middleware::Session/"WHICH STORE">.

=cut
