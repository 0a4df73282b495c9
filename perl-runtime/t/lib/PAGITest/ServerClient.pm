package PAGITest::ServerClient;

# PAGI::Test::Client over real sockets: same requests, same results, another transport.

use strict;
use warnings;

use parent 'PAGI::Test::Client';

use PAGI::Test::Pairs;
use PAGI::Test::Response;
use PAGITest::ServerSSE;
use PAGITest::ServerWebSocket;
use PAGITest::Wire;

sub new {
    my ($class, %args) = @_;
    return bless { port => $args{port}, headers => [PAGI::Test::Pairs::of($args{headers})], cookies => {} }, $class;
}

# The server runs the lifespan; its state cannot be seen from here.
sub start { return $_[0] }
sub stop  { return $_[0] }

sub port { return $_[0]{port} }

sub _exchange {
    my ($self, $request) = @_;
    _close_after($request);
    my $wire = PAGITest::Wire->new($self->{port});
    $wire->write_request($request);
    return _response($wire, $wire->read_head, $request->{method});
}

sub _connect_websocket {
    my ($self, $request, $subprotocols, $decline_ok) = @_;
    return PAGITest::ServerWebSocket->connect($self->{port}, $request, $subprotocols, $decline_ok);
}

sub _connect_sse {
    my ($self, $request, $decline_ok) = @_;
    return PAGITest::ServerSSE->connect($self->{port}, $request, $decline_ok);
}

sub _close_after {
    my ($request) = @_;
    push @{ $request->{headers} }, ['connection', 'close'] unless grep { $_->[0] eq 'connection' } @{ $request->{headers} };
    return;
}

sub _response {
    my ($wire, $head, $method) = @_;
    my ($body, $complete) = $wire->read_body($head, $method);
    return PAGI::Test::Response->new(
        %$head,
        body      => $body,
        exception => $complete ? undef : "The server ended the response early\n",
    );
}

1;
