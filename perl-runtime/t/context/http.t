use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/lib";
use ContextHelper;
use Future;
use Future::AsyncAwait;
use PAGI::Test::ConnectionState;

sub types { my ($sent) = @_; return [ map { $_->{type} } @$sent ] }

my @both = ('http.response.start', 'http.response.body');

subtest 'request and response' => sub {
    my ($ctx, $sent) = context_for({ type => 'http', method => 'POST', path => '/', headers => [] }, { type => 'http.request', body => '{"a":1}', more => 0 });
    is $ctx->method, 'POST', 'method';
    isa_ok $ctx->request, 'PAGI::Request';
    ref_is $ctx->request, $ctx->req, 'cached, alias';
    isa_ok $ctx->response, 'PAGI::Response';
    ref_is $ctx->response, $ctx->resp, 'cached, alias';
    ref_is $ctx->response->scope, $ctx->scope, 'bound to the scope';
    is $ctx->request->json->get, { a => 1 }, 'the request reads from receive';
    $ctx->respond($ctx->response->status(201)->text('x'))->get;
    is [ types($sent), $sent->[0]{status} ], [ \@both, 201 ], 'round trip';
    for my $foreign (qw(websocket ws sse accept each_text start last_event_id)) {
        like dies { $ctx->$foreign }, qr/^Can't locate object method "$foreign"/, "no $foreign";
    }
};

subtest sugar => sub {
    my ($ctx) = context_for('http');
    for my $case ([ text => 'x', 'text/plain; charset=utf-8' ], [ html => 'x', 'text/html; charset=utf-8' ], [ json => '"x"', 'application/json' ]) {
        my ($method, $body, $type) = @$case;
        my ($ctx) = context_for('http');
        my $response = $ctx->$method('x', status => 202);
        ref_is $response, $ctx->response, "$method returns the response";
        is [ $response->status, $response->content_type, $response->{_body} ], [ 202, $type, $body ], $method;
    }
    ref_is $ctx->redirect('/x', 301), $ctx->response, 'redirect returns the response';
    is [ $ctx->response->status, $ctx->response->header('location') ], [ 301, '/x' ], 'redirect';
};

subtest 'respond once' => sub {
    my ($ctx, $sent) = context_for('http');
    $ctx->respond($ctx->text('x'))->get;
    like dies { $ctx->respond($ctx->text('y')) }, qr/^response already sent at \Q$0\E/, 'at once';
    is scalar(@$sent), 2, 'nothing more was sent';

    my $connection = PAGI::Test::ConnectionState->new;
    ($ctx, $sent) = context_for({ type => 'http', 'pagi.connection' => $connection });
    $connection->_mark_response_started;
    like dies { $ctx->respond($ctx->text('x')) }, qr/^response already sent/, 'also when another context or the raw channel answered';

    for my $bad ({}, bless({}, 't::Nothing')) {
        my ($odd) = context_for({ type => 'http', 'pagi.connection' => $bad });
        like dies { $odd->respond($odd->text('x')) }, qr/^pagi\.connection lacks response_started \(non-conforming server\) at \Q$0\E/, 'malformed connection';
    }
    ($ctx) = context_for('http');
    for my $bad (undef, 'x', {}, bless({}, 't::Nothing')) {
        like dies { $ctx->respond($bad) }, qr/^respond\(\) requires an object with a respond method at \Q$0\E/, 'no response';
    }

    {
        package t::Duck;
        sub respond { my ($self, $send) = @_; return $send->({ type => 'duck' }) }
        package t::Dying;
        sub respond { die "no\n" }
    }
    ($ctx, $sent) = context_for('http');
    is dies { $ctx->respond(bless {}, 't::Dying') }, "no\n", 'an object that dies';
    $ctx->respond(bless {}, 't::Duck')->get;
    is types($sent), ['duck'], 'has sent nothing; any object that can respond will do';
};

subtest 'a refused start may be corrected' => sub {
    my $connection = PAGI::Test::ConnectionState->new;
    my @sent;
    my $send = sub {
        my ($event) = @_;
        return Future->fail("bad header\n") if grep { $_->[1] =~ /\n/ } @{ $event->{headers} || [] };
        push @sent, $event;
        $connection->_mark_response_started if $event->{type} eq 'http.response.start';
        return Future->done;
    };
    my $ctx = PAGI::Context->new({ type => 'http', 'pagi.connection' => $connection }, sub { }, $send);
    is scalar $ctx->respond(PAGI::Response->text('x')->header('x-a' => "a\nb"))->failure, "bad header\n", 'refused';
    $ctx->respond(PAGI::Response->text('sorry', status => 500))->get;
    is [ map { $_->{type} } @sent ], \@both, 'the error page goes out';
    like dies { $ctx->respond($ctx->text('x')) }, qr/^response already sent/, 'and is the only one';
};

subtest 'awaiting the response, as in release 0.001' => sub {
    my ($ctx, $sent) = context_for('http');
    my $handler = async sub {
        my ($ctx) = @_;
        await $ctx->response->status(404)->json({ error => 'no' });
        return;
    };
    $handler->($ctx)->get;
    is [ types($sent), $sent->[0]{status} ], [ \@both, 404 ], 'sends it';
    like dies { $ctx->respond($ctx->text('x')) }, qr/^response already sent/, 'which counts as responding';
};

done_testing;
