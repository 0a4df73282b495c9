package PAGI::Simple::Service::PerRequest;

use strict;
use warnings;

use parent 'PAGI::Simple::Service::_Base';

use Carp qw(carp);
use Scalar::Util qw(weaken);

sub new {
    my ($class, %args) = @_;
    my $self = $class->SUPER::new(%args);
    # the context holds its services
    weaken($self->{c}) if ref $self->{c};
    return $self;
}

sub init_service {
    my ($class, $app, $config) = @_;
    weaken($app);
    return sub {
        my ($c, $args) = @_;
        my $services = $c->{request_services} ||= { order => [], made => {} };
        if (my $made = $services->{made}{$class}) {
            carp "Arguments for the service $class are ignored: it exists already in this request" if $args && %$args;
            return $made;
        }
        my $service = $services->{made}{$class} = $class->new(%$config, %{ $args || {} }, c => $c, app => $app);
        push @{ $services->{order} }, $service;
        return $service;
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Service::PerRequest - a service made once per request

=head1 SYNOPSIS

    package LivePoll::Service::Visitor;
    use parent 'PAGI::Simple::Service::PerRequest';

    sub name { my ($self) = @_; return $self->{name} ||= $self->c->req->cookie('name') }
    sub on_request_end { my ($self, $c) = @_; delete $self->{name} }

=head1 DESCRIPTION

The first C<< $c->service('Visitor') >> of a request makes the object, later ones get it again (with a warning if they pass arguments). C<on_request_end> is
called when the request, or the WebSocket or SSE connection, is over. See L<PAGI::Simple::Service::_Base>.

=head1 METHODS

=head2 new

Holds the context weakly.

=head2 init_service

Returns the coderef that finds or makes the object.

=cut
