package PAGI::Context::SSE;

use strict;
use warnings;

use parent -norequire, 'PAGI::Context';

use Carp qw(croak);
use Future::AsyncAwait;
use PAGI::SSE;

require PAGI::Context;

sub sse {
    my ($self) = @_;
    return $self->{_sse} ||= PAGI::SSE->new(@$self{qw(scope receive send)});
}

# send sends data here; raw_send is the coderef
for my $method (qw(
    start close
    send send_json send_event send_comment
    try_send try_send_json try_send_comment try_send_event
    each every
    is_started is_closed is_connected
    last_event_id http_version keepalive
    query_param query_params raw_query_param raw_query_params
    header_all
)) {
    no strict 'refs';
    *$method = sub { shift->sse->$method(@_) };
}

sub on_close {
    croak 'on_close() is on the underlying object: call $c->sse->on_close(...)';
}

# An object nobody asked for is not made just to be told.
async sub _sync_terminal_disconnect {
    my ($self, $code, $reason) = @_;
    my $sse = $self->{_sse} or return;
    await $sse->_close_once(defined $reason ? $reason : 'client_closed');
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Context::SSE - context of an event stream

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Context;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        my $ctx = PAGI::Context->new($scope, $receive, $send)->assert_sse;

        await $ctx->send_event(event => 'hello', data => { time => time }, id => 1);
        await $ctx->sse->run;    # until the client leaves
    };

=head1 DESCRIPTION

Made by C<new> of L<PAGI::Context>, which describes the shared methods. There is no C<request>, C<response> or C<method> here.

=head1 METHODS

=head2 sse

The L<PAGI::SSE>, the same object on every call.

=head2 Methods of the stream

C<start close send send_json send_event send_comment try_send try_send_json try_send_comment try_send_event each every is_started
is_closed is_connected last_event_id http_version keepalive query_param query_params raw_query_param raw_query_params header_all>
are those of L<PAGI::SSE>. C<on>, C<on_error>, C<run>, C<state> and C<receive> are the context's own.

=head2 on_close

Dies with a message that says where it is: C<< $ctx->sse->on_close(...) >>. When the loop of C<run> sees the disconnect it closes
the stream object, if it was ever used, and runs these callbacks.

=head1 SEE ALSO

L<PAGI::Context>, L<PAGI::Endpoint::SSE>

=cut
