package PAGI::Simple::Service::PerApp;

use strict;
use warnings;

use parent 'PAGI::Simple::Service::_Base';

use Scalar::Util qw(weaken);

sub new {
    my ($class, %args) = @_;
    my $self = $class->SUPER::new(%args);
    weaken($self->{app}) if ref $self->{app};
    return $self;
}

sub c { return undef }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Service::PerApp - a service made once per process

=head1 SYNOPSIS

    package LivePoll::Service::Counter;
    use parent 'PAGI::Simple::Service::PerApp';

    sub next_number { my ($self) = @_; return ++$self->{number} }

=head1 DESCRIPTION

One object, made at startup. It belongs to one worker process: what it keeps is not seen by the others. See L<PAGI::Simple::Service::_Base>.

=head1 METHODS

=head2 new

Holds the application weakly.

=head2 c

Always undef.

=cut
