package PAGI::Simple::Abort;

use strict;
use warnings;

use overload '""' => sub { defined $_[0]{message} ? $_[0]{message} : "Aborted with status $_[0]{code}" }, fallback => 1;

sub new {
    my ($class, %args) = @_;
    return bless { code => $args{code}, message => $args{message}, context => $args{context} }, $class;
}

sub code    { return $_[0]{code} }
sub status  { return $_[0]{code} }
sub message { return $_[0]{message} }
sub context { return $_[0]{context} }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Abort - the exception behind $c->abort

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Abort;

    eval { die PAGI::Simple::Abort->new(code => 404, message => 'No such page') };
    print $@->code, " $@\n";    # 404 No such page

=head1 METHODS

=head2 new

C<code>, C<message> and C<context>.

=head2 code, status, message, context

The HTTP status (under two names), the message or undef, the context that aborted. The object stringifies to its message.

=cut
