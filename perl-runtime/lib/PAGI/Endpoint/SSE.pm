package PAGI::Endpoint::SSE;

use strict;
use warnings;
use parent 'PAGI::Endpoint::Connection';

use Future;
use Future::AsyncAwait;

sub _scope_type        { 'sse' }
sub keepalive_interval { 0 }

async sub handle {
    my ($self, $ctx) = @_;
    my $sse = $ctx->sse;

    my $interval = $self->keepalive_interval;
    await $sse->keepalive($interval) if $interval > 0;

    $sse->on_close(sub { $self->on_disconnect($ctx) }) if $self->can('on_disconnect');

    if ($self->can('on_connect')) { await Future->wrap($self->on_connect($ctx)) }
    else                          { await $sse->start }

    await $sse->run;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Endpoint::SSE - a class for one kind of event stream

=head1 SYNOPSIS

    package My::Clock;
    use strict;
    use warnings;
    use parent 'PAGI::Endpoint::SSE';
    use Future::AsyncAwait;

    sub keepalive_interval { 25 }

    async sub on_connect {
        my ($self, $ctx) = @_;
        await $ctx->send_event(event => 'time', data => scalar localtime);
    }

    sub on_disconnect {
        my ($self, $ctx) = @_;
        print STDERR "bye\n";
    }

    package main;
    my $app = My::Clock->to_app;

=head1 DESCRIPTION

A new object is made for every connection, so C<$self> is the place for what belongs to it. Subclasses define any of these, plain or
async; both get a L<PAGI::Context::SSE>.

=over 4

=item on_connect($ctx)

Called before the stream has started: the first send starts it, or C<< $ctx->start(headers => [...]) >>. To decline, send the raw
C<sse.http.response.*> events with C<< $ctx->raw_send >> and then C<< $ctx->close >>. Without this method the stream is started.

=item on_disconnect($ctx)

Called once when the stream ends.

=back

Then the endpoint waits for the client to leave or for C<< $ctx->close >>.

=head1 METHODS

=head2 new

    my $endpoint = My::Clock->new(%args);

The arguments become fields of the object.

=head2 context_class

Class method; the factory of the context, default C<PAGI::Context>.

=head2 keepalive_interval

Class method: seconds between comments that keep the connection alive; 0 (the default) for none.

=head2 to_app

    my $app = My::Clock->to_app;
    my $app = My::Clock->new(zone => 'UTC')->to_app;

An application. Called on an object, every connection gets a copy of it. A scope of another type fails with C<Expected sse scope,
got 'TYPE'>.

=head2 handle

    await $endpoint->handle($ctx);

Runs one connection. Returns a L<Future>.

=head1 SEE ALSO

L<PAGI::SSE>, L<PAGI::Context::SSE>

=cut
