package PAGI::Simple::Handler;

use strict;
use warnings;

use Scalar::Util qw(weaken);

sub new {
    my ($class, %args) = @_;
    my $self = bless { app => $args{app} }, $class;
    # the application's routes hold this object
    weaken($self->{app}) if ref $self->{app};
    return $self;
}

sub app { return $_[0]{app} }

sub routes { return }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Handler - base class of controllers

=head1 SYNOPSIS

    package MyApp::Users;
    use parent 'PAGI::Simple::Handler';

    sub routes {
        my ($class, $app, $r) = @_;
        $r->get('/'    => '#index')->name('users');
        $r->get('/:id' => '#load' => '#show');
    }

    sub index { my ($self, $c) = @_; $c->json([ 'ann', 'bob' ]) }
    sub load  { my ($self, $c) = @_; $c->stash->{user} = { id => $c->path_params->{id} } }
    sub show  { my ($self, $c) = @_; $c->json($c->stash->{user}) }

=head1 DESCRIPTION

Mounted with C<< $app->mount('/users' => 'MyApp::Users') >>, or C<'::Users'> below the application's class. The object is made
once, when it is mounted, so it must not keep anything about a request.

Several targets form a chain: each is awaited, and the chain ends as soon as a response has started.

=head1 METHODS

=head2 new

    my $handler = CLASS->new(app => $app, %arguments);

Called by C<mount> with the arguments given there. This one keeps only C<app>; override it to keep more.

=head2 app

The root application.

=head2 routes

    sub routes { my ($class, $app, $r) = @_; ... }

Class method to override; C<$r> is a L<PAGI::Simple::Router::Scoped>.

=cut
