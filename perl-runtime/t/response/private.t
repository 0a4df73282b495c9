use strict;
use warnings;
use Test2::V0;
use Future;
use PAGI::App::Router;
use PAGI::Response;
use PAGI::SSE;

# Names that begin with an underscore, but that tests of applications look at: they stay.

subtest 'the parts of a response' => sub {
    my $response = PAGI::Response->new;
    is [ $response->{_status}, ref $response->{_headers}, $response->{_stream} ], [ undef, 'PAGI::Headers', undef ], 'at first';
    my $stream = sub { };
    $response->status(404)->header('x-a', 1)->stream($stream);
    is [ $response->{_status}, $response->{_headers}->get('x-a') ], [ 404, 1 ], 'status and headers';
    ref_is $response->{_stream}, $stream, 'stream';

    my $set = PAGI::Response->new;
    ref_is $set->_set_body('bytes', 'text/x'), $set, '_set_body chains';
    my @sent;
    $set->respond(sub { push @sent, $_[0]; Future->done })->get;
    is [ $sent[0]{headers}, $sent[1]{body} ], [ [ [ 'content-type', 'text/x' ], [ 'content-length', 5 ] ], 'bytes' ], 'body and type';
    is $set->_set_body('{}', 'application/json')->content_type, 'text/x', 'a type that is there stays';
};

subtest 'the state of a stream' => sub {
    my $sse = PAGI::SSE->new({ type => 'sse' }, sub { Future->new }, sub { Future->done });
    $sse->_set_state('started');
    is [ $sse->is_started, $sse->connection_state ], [ 1, 'started' ], '_set_state';
    $sse->_set_closed('client_closed');
    is [ $sse->is_closed, $sse->disconnect_reason, $sse->connection_state ], [ 1, 'client_closed', 'closed' ], '_set_closed';
};

subtest 'the constraints of a router' => sub {
    my $router = PAGI::App::Router->new;
    my $digits = qr/\d+/;
    $router->get('/users/:id' => sub { })->constraints(id => $digits);
    my ($route) = grep { @{ $_->{_user_constraints} } } @{ $router->{routes} };
    is $route->{_user_constraints}, [ [ 'id', $digits ] ], '_user_constraints';
};

done_testing;
