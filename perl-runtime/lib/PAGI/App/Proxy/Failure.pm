package PAGI::App::Proxy::Failure;

use strict;
use warnings;

use overload '""' => sub { $_[0]{message} . "\n" }, fallback => 1;

sub throw {
    my ($class, $status, $message) = @_;
    die bless { status => $status, message => $message }, $class;
}

sub status { $_[0]{status} }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy::Failure - what went wrong with the backend

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Proxy::Failure;

    eval { PAGI::App::Proxy::Failure->throw(504, 'no answer within 60 seconds') };
    print $@->status, ": $@";    # 504: no answer within 60 seconds

=head1 METHODS

=head2 throw($status, $message)

Dies with an object that is the message as a string.

=head2 status

What to answer as long as the response has not started: 502 or 504.

=cut
