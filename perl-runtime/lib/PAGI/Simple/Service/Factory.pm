package PAGI::Simple::Service::Factory;

use strict;
use warnings;

use parent 'PAGI::Simple::Service::_Base';

use Scalar::Util qw(weaken);

sub init_service {
    my ($class, $app, $config) = @_;
    weaken($app);
    return sub {
        my ($c, $args) = @_;
        return $class->new(%$config, %{ $args || {} }, c => $c, app => $app);
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Service::Factory - a service made anew at every call

=head1 SYNOPSIS

    package LivePoll::Service::Mail;
    use parent 'PAGI::Simple::Service::Factory';

    sub body { my ($self) = @_; return "To: $self->{to}" }

=head1 DESCRIPTION

C<< $c->service('Mail', to => 'ann') >> is a new object each time. See L<PAGI::Simple::Service::_Base>.

=head1 METHODS

=head2 init_service

Returns the coderef that makes the objects.

=cut
