use strict;
use warnings;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Test::Client;

{
    package t::Messages;
    use parent 'PAGI::Endpoint::HTTP';
    use Future::AsyncAwait;
    our $instances = 0;
    sub new { my $class = shift; $instances++; return $class->SUPER::new(@_) }
    async sub get { my ($self, $ctx) = @_; return $ctx->json({ q => $ctx->req->query_param('q'), count => ++$self->{count}, class => ref $ctx }) }
    async sub post { my ($self, $ctx) = @_; my $data = await $ctx->req->json; return $ctx->json($data, status => 201) }
    async sub delete { return PAGI::Response->empty }
    sub put { my ($self, $ctx) = @_; return $ctx->text('plain sub') }
    sub secret { die 'a client must not be able to call this' }

    package t::Forgetful;
    use parent -norequire, 'PAGI::Endpoint::HTTP';
    async sub get  { return 'nothing that can be sent' }
    async sub post { return }

    package t::Old;    # release 0.001: the handler sends, what it returns does not matter
    use parent -norequire, 'PAGI::Endpoint::HTTP';
    async sub get  { my ($self, $ctx) = @_; await $ctx->response->status(202)->json({ old => 1 }) }
    async sub post { my ($self, $ctx) = @_; await $ctx->response->text('x'); return 'ignored' }

    package t::Own;
    use parent -norequire, 'PAGI::Endpoint::HTTP';
    sub context_class { 't::Own::Context' }
    async sub options { my ($self, $ctx) = @_; return $ctx->text('own options') }
    async sub head    { my ($self, $ctx) = @_; return $ctx->text('')->header('x-own', ref $ctx) }
    package t::Own::Context;
    use parent -norequire, 'PAGI::Context';
    sub _type_map { +{ http => 't::Own::Context::HTTP' } }
    package t::Own::Context::HTTP;
    use parent -norequire, 'PAGI::Context::HTTP';
}

sub client { PAGI::Test::Client->new(app => $_[0], raise_app_exceptions => 1) }

subtest dispatch => sub {
    is(PAGI::Endpoint::HTTP->context_class, 'PAGI::Context', 'default context class');
    my $app = t::Messages->to_app;
    is ref $app, 'CODE', 'an application';
    my $client = client($app);
    my $response = $client->get('/?q=x');
    is [ $response->status, $response->json ], [ 200, { q => 'x', count => 1, class => 'PAGI::Context::HTTP' } ], 'GET';
    is $client->get('/')->json->{count}, 2, 'one object serves all requests';
    $response = $client->post('/', json => { a => 1 });
    is [ $response->status, $response->json ], [ 201, { a => 1 } ], 'POST';
    is [ $client->delete('/')->status, $client->put('/')->content ], [ 204, 'plain sub' ], 'a handler need not be async';
    $response = $client->head('/');
    is [ $response->status, $response->content, $response->header('content-type') ], [ 200, '', 'application/json' ], 'HEAD falls back to get';
};

subtest instances => sub {
    $t::Messages::instances = 0;
    my $client = client(t::Messages->to_app);
    $client->get('/') for 1 .. 3;
    is $t::Messages::instances, 1, 'one per to_app';
    my $endpoint = t::Messages->new(count => 40);
    is client($endpoint->to_app)->get('/')->json->{count}, 41, 'to_app on an object uses it';
    is client($endpoint)->get('/')->json->{count}, 42, 'an endpoint is an application component';
};

subtest 'dispatch by hand' => sub {
    my @sent;
    my $ctx = PAGI::Context->new({ type => 'http', method => 'PUT', path => '/', headers => [] }, sub { }, sub { push @sent, $_[0]; Future->done });
    my $future = t::Messages->new->dispatch($ctx);
    isa_ok $future, 'Future';
    $future->get;
    is [ map { $_->{status} // $_->{body} } @sent ], [ 200, 'plain sub' ], 'sends through the context';
};

subtest 'unknown verbs' => sub {
    my $client = client(t::Messages->to_app);
    my $allow = 'DELETE, GET, HEAD, OPTIONS, POST, PUT';
    is [ t::Messages->allowed_methods ], [ split /, /, $allow ], 'allowed_methods';
    is [ PAGI::Endpoint::HTTP->allowed_methods ], ['OPTIONS'], 'OPTIONS always';
    my $response = $client->patch('/');
    is [ $response->status, $response->header('allow'), $response->content_type, $response->content ],
        [ 405, $allow, 'text/plain; charset=utf-8', '405 Method Not Allowed' ], '405';
    $response = $client->options('/');
    is [ $response->status, $response->header('allow'), $response->content ], [ 204, $allow, '' ], 'OPTIONS';

    for my $method (qw(SECRET NEW TO_APP DISPATCH ALLOWED_METHODS CONTEXT_CLASS CAN ISA), '') {
        is $client->_request($method, '/')->status, 405, "a client cannot call '$method'";
    }
    $client = client(t::Own->to_app);
    is $client->options('/')->content, 'own options', 'own options method';
    is $client->head('/')->header('x-own'), 't::Own::Context::HTTP', 'own head method, own context class';
    is $client->get('/')->status, 405, 'no get';
};

subtest 'the handler returns the response' => sub {
    my $client = client(t::Forgetful->to_app);
    for my $verb (qw(get post)) {
        like dies { $client->$verb('/') }, qr/^t::Forgetful->$verb did not return a response at/, $verb;
    }
    $client = client(t::Old->to_app);
    my $response = $client->get('/');
    is [ $response->status, $response->json ], [ 202, { old => 1 } ], 'or has sent it, as in release 0.001';
    is $client->post('/')->content, 'x', 'whatever it returns then';
};

subtest 'other scopes' => sub {
    my $app = t::Messages->to_app;
    for my $type (qw(websocket sse lifespan)) {
        my $future = $app->({ type => $type }, sub { }, sub { });
        like scalar $future->failure, qr/^Expected http scope, got '$type' at/, "$type: a failed Future";
    }
    my @sent;
    $app->({ method => 'PUT', path => '/' }, sub { }, sub { push @sent, $_[0]; Future->done })->get;
    is scalar(@sent), 2, 'a scope without type is http';
};

done_testing;
