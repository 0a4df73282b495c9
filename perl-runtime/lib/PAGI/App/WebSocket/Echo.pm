package PAGI::App::WebSocket::Echo;

use strict;
use warnings;

use Future::AsyncAwait;
use PAGI::App::Support::Answer qw(unsupported);
use PAGI::App::Support::Callback qw(call);

sub new {
    my ($class, %args) = @_;
    return bless { on_connect => $args{on_connect}, on_disconnect => $args{on_disconnect} }, $class;
}

sub to_app {
    my ($class) = @_;
    my ($on_connect, $on_disconnect) = @{ ref $class ? $class : $class->new }{qw(on_connect on_disconnect)};
    return sub {
        my ($scope, $receive, $send) = @_;
        return unsupported($scope) if ($scope->{type} // '') ne 'websocket';
        return _echo($scope, $receive, $send, $on_connect, $on_disconnect);
    };
}

async sub _echo {
    my ($scope, $receive, $send, $on_connect, $on_disconnect) = @_;
    await $send->({ type => 'websocket.accept' });
    await call($on_connect, $scope);
    while (1) {
        my $event = await $receive->();
        if ($event->{type} eq 'websocket.receive') {
            # WS-18: the other key may be there, undefined.
            my $kind = defined $event->{text} ? 'text' : 'bytes';
            await $send->({ type => 'websocket.send', $kind => $event->{$kind} }) if defined $event->{$kind};
        }
        elsif ($event->{type} eq 'websocket.disconnect') {
            await call($on_disconnect, $scope, $event->{code});
            return;
        }
    }
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WebSocket::Echo - send every message back

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::WebSocket::Echo;

    my $app = PAGI::App::WebSocket::Echo->new(
        on_disconnect => sub { my ($scope, $code) = @_; warn "gone with $code\n" },
    )->to_app;

=head1 DESCRIPTION

Text comes back as text, binary as binary. Other scope types are rejected: the Future fails.

=head1 METHODS

=head2 new

C<on_connect> is called with the scope after accept, C<on_disconnect> with the scope and the close code. Both are optional and
may return a L<Future>.

=head2 to_app

The app. Works on the class too.

=cut
