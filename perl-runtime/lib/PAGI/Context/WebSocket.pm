package PAGI::Context::WebSocket;

use strict;
use warnings;

use parent -norequire, 'PAGI::Context';

use Carp qw(croak);
use Future::AsyncAwait;
use PAGI::WebSocket;

require PAGI::Context;

sub websocket {
    my ($self) = @_;
    return $self->{_websocket} ||= PAGI::WebSocket->new(@$self{qw(scope receive send)});
}

sub ws { $_[0]->websocket }

# on, on_error, run, state and receive are not among them: the context has its own.
for my $method (qw(
    accept close deny supports_denial_response
    send_text send_bytes send_json
    try_send_text try_send_bytes try_send_json
    send_text_if_connected send_bytes_if_connected send_json_if_connected
    receive_text receive_bytes receive_json
    each_message each_text each_bytes each_json
    is_connected is_closed close_code close_reason
    subprotocols http_version keepalive
    query query_params raw_query raw_query_params
    header_all
)) {
    no strict 'refs';
    *$method = sub { shift->websocket->$method(@_) };
}

sub on_close {
    croak 'on_close() is on the underlying object: call $c->websocket->on_close(...)';
}

# An object nobody asked for is not made just to be told.
async sub _sync_terminal_disconnect {
    my ($self, $code, $reason) = @_;
    my $websocket = $self->{_websocket} or return;
    await $websocket->_close_once(defined $code ? $code : 1005, defined $reason ? $reason : '');
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Context::WebSocket - context of a WebSocket

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Context;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        my $ctx = PAGI::Context->new($scope, $receive, $send)->assert_websocket;

        await $ctx->accept;
        await $ctx->each_text(async sub {
            my ($text) = @_;
            await $ctx->send_text("echo: $text");
        });
    };

=head1 DESCRIPTION

Made by C<new> of L<PAGI::Context>, which describes the shared methods. There is no C<request>, C<response> or C<method> here.

=head1 METHODS

=head2 websocket, ws

The L<PAGI::WebSocket>, the same object on every call.

=head2 Methods of the WebSocket

C<accept close deny supports_denial_response send_text send_bytes send_json try_send_text try_send_bytes try_send_json
send_text_if_connected send_bytes_if_connected send_json_if_connected receive_text receive_bytes receive_json each_message each_text
each_bytes each_json is_connected is_closed close_code close_reason subprotocols http_version keepalive query query_params raw_query
raw_query_params header_all> are those of L<PAGI::WebSocket>. C<on>, C<on_error>, C<run>, C<state> and C<receive> are the
context's own.

=head2 on_close

Dies with a message that says where it is: C<< $ctx->websocket->on_close(...) >>. When the loop of C<run> sees the disconnect it
closes the WebSocket object, if it was ever used, and runs these callbacks.

=head1 SEE ALSO

L<PAGI::Context>, L<PAGI::Endpoint::WebSocket>

=cut
