package PAGI::Endpoint::WebSocket;

use strict;
use warnings;
use parent 'PAGI::Endpoint::Connection';

use Future;
use Future::AsyncAwait;

my %LOOP = (text => 'each_text', bytes => 'each_bytes', json => 'each_json');

sub _scope_type { 'websocket' }
sub encoding    { 'text' }

async sub handle {
    my ($self, $ctx) = @_;
    my $websocket = $ctx->websocket;

    if ($self->can('on_connect')) { await Future->wrap($self->on_connect($ctx)) }
    else                          { await $websocket->accept }

    # Registered late on purpose: a connection that on_connect refused was never connected.
    if ($self->can('on_disconnect') && !$websocket->is_closed) {
        $websocket->on_close(sub {
            my ($code, $reason) = @_;
            return $self->on_disconnect($ctx, $code, $reason);
        });
    }
    if ($self->can('on_receive')) {
        my $loop = $LOOP{ $self->encoding } || $LOOP{text};
        await $websocket->$loop(sub { $self->on_receive($ctx, $_[0]) });
    }
    else {
        await $websocket->run;
    }
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Endpoint::WebSocket - a class for one kind of WebSocket

=head1 SYNOPSIS

    package My::Echo;
    use strict;
    use warnings;
    use parent 'PAGI::Endpoint::WebSocket';
    use Future::AsyncAwait;

    sub encoding { 'json' }

    async sub on_connect {
        my ($self, $ctx) = @_;
        await $ctx->accept;
        await $ctx->send_json({ type => 'welcome' });
    }

    async sub on_receive {
        my ($self, $ctx, $data) = @_;
        await $ctx->send_json({ type => 'echo', data => $data });
    }

    sub on_disconnect {
        my ($self, $ctx, $code, $reason) = @_;
        print STDERR "bye\n";
    }

    package main;
    my $app = My::Echo->to_app;

=head1 DESCRIPTION

A new object is made for every connection, so C<$self> is the place for what belongs to it. Subclasses define any of these, plain or
async; all get a L<PAGI::Context::WebSocket>.

=over 4

=item on_connect($ctx)

Must accept, deny or close. Without it the connection is accepted.

=item on_receive($ctx, $data)

Called for every message, one after the other. Without it messages are left to the callbacks on C<< $ctx->websocket >>.

=item on_disconnect($ctx, $code, $reason)

Called once when the connection ends, or when C<on_receive> died (then without a code; the error is passed on afterwards). Not
called for a connection that C<on_connect> closed or denied.

=back

=head1 METHODS

=head2 new

    my $endpoint = My::Echo->new(%args);

The arguments become fields of the object.

=head2 context_class

Class method; the factory of the context, default C<PAGI::Context>.

=head2 encoding

Class method: how messages reach C<on_receive>. C<text> (default; characters), C<bytes>, or C<json> (decoded text messages; one that
is not JSON ends the application with the JSON error).

=head2 to_app

    my $app = My::Echo->to_app;
    my $app = My::Echo->new(room => 'lobby')->to_app;

An application. Called on an object, every connection gets a copy of it. A scope that is not a WebSocket fails with C<Expected
websocket scope, got 'TYPE'>.

=head2 handle

    await $endpoint->handle($ctx);

Runs one connection. Returns a L<Future>.

=head1 SEE ALSO

L<PAGI::WebSocket>, L<PAGI::Context::WebSocket>

=cut
