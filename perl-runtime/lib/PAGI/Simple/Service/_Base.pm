package PAGI::Simple::Service::_Base;

use strict;
use warnings;

sub new {
    my ($class, %args) = @_;
    return bless {%args}, $class;
}

sub c   { return $_[0]{c} }
sub app { return $_[0]{app} }

sub on_request_end { return }

sub init_service {
    my ($class, $app, $config) = @_;
    return $class->new(%$config, app => $app);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Service::_Base - base class of services

=head1 SYNOPSIS

    package LivePoll::Service::Polls;
    use parent 'PAGI::Simple::Service::PerApp';

    sub vote {
        my ($self, $choice) = @_;
        return ++$self->{votes}{$choice};
    }

=head1 DESCRIPTION

Derive from one of the scopes: L<PAGI::Simple::Service::Factory> (a new object every time), L<PAGI::Simple::Service::PerRequest> (one per request) or
L<PAGI::Simple::Service::PerApp> (one per process). Handlers get it with C<< $c->service('Polls') >>. Constructor arguments are the C<service_config> of the
application, the arguments of the call, C<c> and C<app>. Methods may be async.

=head1 METHODS

=head2 new

Keeps all arguments as fields.

=head2 c, app

The context (undef in PerApp services) and the application.

=head2 on_request_end

    sub on_request_end { my ($self, $c) = @_; ... }

To override in PerRequest services; may return a Future.

=head2 init_service

    my $entry = CLASS->init_service($app, \%config);

Class method, called once per process; override it for a scope of your own. An object is shared by all, a coderef is called with C<($c, \%args)>.

=cut
