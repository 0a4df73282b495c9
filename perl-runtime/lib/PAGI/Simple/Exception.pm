package PAGI::Simple::Exception;

use strict;
use warnings;

use overload '""' => sub { $_[0]{message} }, fallback => 1;

sub new {
    my ($class, %args) = @_;
    return bless {
        message => defined $args{message} ? $args{message} : 'An error occurred',
        status  => defined $args{status}  ? $args{status}  : 500,
    }, $class;
}

sub throw {
    my ($class, @args) = @_;
    die $class->new(@args);
}

sub message { return $_[0]{message} }
sub status  { return $_[0]{status} }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Exception - an exception with an HTTP status

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Exception;

    eval { PAGI::Simple::Exception->throw(message => 'Name is required', status => 400) };
    print $@->status, " $@\n";    # 400 Name is required

=head1 DESCRIPTION

Thrown out of a handler it becomes a response with that status. The text of a status below 500 is for the client; that of 500 and
above is only shown in development.

=head1 METHODS

=head2 new

C<message> (default C<An error occurred>) and C<status> (default 500).

=head2 throw

Makes one and dies with it.

=head2 message, status

Its parts. The object stringifies to the message.

=cut
