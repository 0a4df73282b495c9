package PAGI::App::Catalyst::Helper;

use strict;
use warnings;

use Carp qw(croak);
use PAGI::Response;
use PAGI::SSE;
use PAGI::WebSocket;

sub new {
    my ($class, %args) = @_;
    return bless {
        %args,    # scope, receive, send; nothing on the blocking path
        future    => undef,
        suspended => 0,
        started   => 0,
        cleanup   => [],
    }, $class;
}

sub is_async { return $_[0]{scope} ? 1 : 0 }
sub type     { return $_[0]{scope} ? $_[0]{scope}{type} : 'http' }
sub path     { return $_[0]->scope->{path} }
sub scope    { return $_[0]->_own('scope') }
sub receive  { return $_[0]->_own('receive')->() }

sub send {
    my ($self, $event) = @_;
    my $send = $self->_sender;
    return $send->($event);
}

sub websocket {
    my ($self) = @_;
    croak "\$c->pagi->websocket: this is a request of type '" . $self->type . q{'} if $self->type ne 'websocket';
    return $self->{websocket} ||= PAGI::WebSocket->new($self->scope, $self->_own('receive'), $self->_sender);
}

sub sse {
    my ($self) = @_;
    croak "\$c->pagi->sse: this is a request of type '" . $self->type . q{'} if $self->type ne 'sse';
    return $self->{sse} ||= PAGI::SSE->new($self->scope, $self->_own('receive'), $self->_sender);
}

sub response {
    my ($self) = @_;
    croak "\$c->pagi->response: this is a request of type '" . $self->type . q{'} if $self->type ne 'http';
    return $self->{response} ||= PAGI::Response->new($self->scope, $self->_sender);
}

# CB-14. One set of processes for all requests of this one.
my $forks;
sub blocking {
    my ($self, $code, @args) = @_;
    require PAGI::WorkerPool::Forks;
    $forks ||= PAGI::WorkerPool::Forks->new;
    return $forks->run($code, @args);
}

sub pool {
    require PAGI::WorkerPool;
    return PAGI::WorkerPool->default;
}

sub on_cleanup {
    my ($self, $code) = @_;
    push @{ $self->{cleanup} }, $code;
    return $self;
}

# For the bridge.

sub hold         { my ($self, $future) = @_; $self->{future} = $future; return }
sub take         { return delete $_[0]{future} }
sub is_suspended { return $_[0]{suspended} }
sub is_started   { return $_[0]{started} }

sub suspend {
    my ($self, $suspended) = @_;
    $self->{suspended} = $suspended;
    return;
}

sub clean_up {
    my ($self) = @_;
    my @failures;
    for my $code (splice @{ $self->{cleanup} }) {
        eval { $code->(); 1 } or push @failures, $@;
    }
    return @failures;
}

sub _own {
    my ($self, $key) = @_;
    return $self->{$key} // croak "\$c->pagi->$key: only an :Async action under pagi-server has a connection";
}

# What starts a response is noticed, and gets what belongs to its headers.
sub _sender {
    my ($self) = @_;
    my ($send, $headers) = ($self->_own('send'), $self->{headers});
    my $started = \$self->{started};
    return sub {
        my ($event) = @_;
        return $send->($event) if $$started || $event->{type} !~ /\A(?:websocket\.accept|sse\.start|(?:\w+\.)?http\.response\.start|websocket\.close)\z/;
        $$started = 1;
        my @more = $headers ? $headers->() : ();
        return $send->(@more ? { %$event, headers => [@{ $event->{headers} || [] }, @more] } : $event);
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Catalyst::Helper - the connection of an asynchronous Catalyst action

=head1 SYNOPSIS

    use Future::AsyncAwait;

    # in an :Async action
    my $ws = $ctx->pagi->websocket;
    await $ws->accept;
    await $ws->send_text('hello');

=head1 METHODS

This is C<< $c->pagi >> (L<Catalyst::Plugin::PAGI>).

=head2 websocket

The L<PAGI::WebSocket> of the request. Croaks C<$c-E<gt>pagi-E<gt>websocket: this is a request of type 'TYPE'>.

=head2 sse

Its L<PAGI::SSE>, likewise.

=head2 response

    await $c->pagi->response->stream(async sub { my ($writer) = @_; await $writer->write($part) });

The L<PAGI::Response> of an http request, likewise. Awaiting it sends it, and Catalyst then sends none; C<stream> writes as fast as the client reads.

=head2 scope, receive, send($event)

The protocol itself: the scope, a Future of the next event, a Future of an event's delivery. Croak
C<$c-E<gt>pagi-E<gt>NAME: only an :Async action under pagi-server has a connection>. Cookies, the session's among them, and other headers that were
set on C<< $c->res >> go out with the event that starts a stream or accepts a WebSocket; after that they cannot be changed.

=head2 type, path

C<type> and C<path> of the scope; the type is C<http> in other actions.

=head2 blocking($code, @arguments)

    my ($rows) = await $c->pagi->blocking(sub { MyApp::DB->connect->report(@_) }, $month);

Runs code that blocks in a process made for it (L<PAGI::WorkerPool::Forks>); a Future of what it returns.

=head2 pool

The application's L<PAGI::WorkerPool>, for named jobs in processes of the pool.

=head2 on_cleanup($code)

Code that is called when the request has ended, however it did.

=head2 is_async, is_suspended, is_started, hold, take, suspend, clean_up, new

For the bridge.

=cut
