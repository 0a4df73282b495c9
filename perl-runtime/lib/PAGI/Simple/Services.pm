package PAGI::Simple::Services;

use strict;
use warnings;

use Carp qw(croak);
use File::Find ();
use Future::AsyncAwait;
use PAGI::Simple::Callback;
use PAGI::Simple::Service::_Base;
use Scalar::Util qw(blessed weaken);

our @CARP_NOT = qw(PAGI::Simple PAGI::Simple::Context PAGI::Simple::Connection);

sub new {
    my ($class, $app) = @_;
    my $self = bless { app => $app, added => {}, registry => undef }, $class;
    weaken($self->{app});
    return $self;
}

sub add {
    my ($self, $name, $service) = @_;
    croak 'add_service takes ($name, $class_or_coderef)' unless defined $name && defined $service;
    $self->{added}{$name} = $service;
    # after the start there is no later moment
    $self->{registry}{$name} = $self->_make($name, $service) if $self->{registry};
    return $self;
}

sub names {
    my ($self) = @_;
    my %names = map { $_ => 1 } keys %{ $self->{added} }, keys %{ $self->_discovered };
    return sort keys %names;
}

# Without a lifespan the first use starts them.
sub registry {
    my ($self) = @_;
    $self->start;
    return $self->{registry};
}

sub start {
    my ($self) = @_;
    return if $self->{registry};
    my $registry = $self->{registry} = {};
    my $discovered = $self->_discovered;
    for my $name (sort keys %$discovered) {
        next if exists $self->{added}{$name};
        my $entry = eval { $self->_make($name, $discovered->{$name}) };
        if (defined $entry) { $registry->{$name} = $entry }
        else                { warn "PAGI::Simple: the service $discovered->{$name} is left out: $@" }
    }
    my $ok = eval { $registry->{$_} = $self->_make($_, $self->{added}{$_}) for sort keys %{ $self->{added} }; 1 };
    return if $ok;
    my $error = $@;
    delete $self->{registry};
    die $error;
}

sub _make {
    my ($self, $name, $service) = @_;
    return $service->($self->{app}) if ref $service eq 'CODE';
    return $service if blessed $service;
    if (!$service->can('init_service')) {
        (my $file = "$service.pm") =~ s{::}{/}g;
        require $file;
    }
    die "$service is not a PAGI::Simple service\n" unless $service->can('init_service');
    my $config = $self->{app}{service_config}{$name} || {};
    return $service->init_service($self->{app}, $config);
}

# Every file below NAMESPACE/Service on @INC, and what is defined in the program itself.
sub _discovered {
    my ($self) = @_;
    return $self->{discovered} if $self->{discovered};
    my $prefix = "$self->{app}{namespace}::Service";
    (my $path = $prefix) =~ s{::}{/}g;
    my %found;
    for my $root (grep { !ref && -d "$_/$path" } @INC) {
        File::Find::find({ no_chdir => 1, wanted => sub {
            my ($rest) = $File::Find::name =~ m{\A\Q$root/$path\E/(.+)\.pm\z} or return;
            $rest =~ s{/}{::}g;
            $found{$rest} = "${prefix}::$rest";
        } }, "$root/$path");
    }
    my %services;
    for my $name (keys %found) {
        (my $file = "$found{$name}.pm") =~ s{::}{/}g;
        if (!eval { require $file; 1 }) {
            warn "PAGI::Simple: the service $found{$name} is left out: $@";
            next;
        }
        $services{$name} = $found{$name} if $found{$name}->isa('PAGI::Simple::Service::_Base');
    }
    $self->_inline($prefix, '', \%services);
    return $self->{discovered} = \%services;
}

sub _inline {
    my ($self, $package, $name, $services) = @_;
    no strict 'refs';
    for my $entry (grep { /::\z/ } keys %{"${package}::"}) {
        (my $part = $entry) =~ s/::\z//;
        my $full = length $name ? "${name}::$part" : $part;
        $services->{$full} ||= "${package}::$part" if "${package}::$part"->isa('PAGI::Simple::Service::_Base');
        $self->_inline("${package}::$part", $full, $services);
    }
    return;
}

# For a context or connection; it carries the services of its own that have to be told when it ends.
sub get {
    my ($self, $c, $name, %args) = @_;
    my $registry = $self->registry;
    croak "Unknown service '" . (defined $name ? $name : '') . "'. Available: " . (join(', ', sort keys %$registry) || 'none')
        unless defined $name && exists $registry->{$name};
    my $entry = $registry->{$name};
    return ref $entry eq 'CODE' ? $entry->($c, \%args) : $entry;
}

async sub end_request {
    my ($self, $c, $services) = @_;
    my @ending = @{ $services->{order} };
    while (my $service = shift @ending) {
        next if eval {
            my $result = $service->on_request_end($c);
            await $result if PAGI::Simple::Callback::is_future($result);
            1;
        };
        warn 'PAGI::Simple: on_request_end of ' . ref($service) . " failed: $@";
    }
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Services - the services of an application

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->add_service(Clock => sub { my ($app) = @_; return sub { my ($c, $args) = @_; scalar time } });
    $app->get('/time' => sub { my ($c) = @_; $c->text($c->service('Clock')) });

=head1 DESCRIPTION

The registry behind C<< $c->service >>. It is filled at startup, or at the first use when the application runs without a lifespan: all classes
C<NAMESPACE::Service::*>, in files on C<@INC> or in the program, that derive from L<PAGI::Simple::Service::_Base>, under the rest of their name, and what
C<add_service> was given, which wins. An entry is an object (shared by all) or a coderef called with C<($c, \%args)>. A discovered class that fails
is warned about and left out; a failing C<add_service> fails the startup.

=head1 METHODS

=head2 new

    my $services = PAGI::Simple::Services->new($app);

=head2 add

    $services->add($name, $class_or_coderef_or_object);

A coderef is called once, with the application, and what it returns becomes the entry.

=head2 names, registry, start

The names; the hashref of entries; fill it.

=head2 get

    my $service = $services->get($c, $name, %args);

Croaks C<Unknown service 'NAME'. Available: ...>.

=head2 end_request

Calls C<on_request_end> of the request's services. Returns a Future.

=cut
