# The three endpoint classes, chosen by scope type.
package EndpointsApp::HTTP;
use strict;
use warnings;
use parent 'PAGI::Endpoint::HTTP';
use Future::AsyncAwait;

async sub get  { my ($self, $ctx) = @_; return $ctx->json({ path => $ctx->path }) }
async sub post { my ($self, $ctx) = @_; return $ctx->json(await($ctx->req->json), status => 201) }
async sub put  { my ($self, $ctx) = @_; await $ctx->response->text('sent by the handler') }
async sub patch { return 'forgot' }

package EndpointsApp::WebSocket;
use strict;
use warnings;
use parent 'PAGI::Endpoint::WebSocket';
use Future::AsyncAwait;

sub encoding { 'json' }
async sub on_receive { my ($self, $ctx, $data) = @_; await $ctx->send_json({ echo => $data, n => ++$self->{n} }) }

package EndpointsApp::SSE;
use strict;
use warnings;
use parent 'PAGI::Endpoint::SSE';
use Future::AsyncAwait;

sub keepalive_interval { 30 }
async sub on_connect {
    my ($self, $ctx) = @_;
    for my $number (1 .. 3) { await $ctx->send_event(event => 'n', data => { n => $number }, id => $number) }
}

package main;
my %app = (
    http      => EndpointsApp::HTTP->to_app,
    websocket => EndpointsApp::WebSocket->to_app,
    sse       => EndpointsApp::SSE->to_app,
);
sub {
    my ($scope, $receive, $send) = @_;
    my $app = $app{ $scope->{type} } or die "Unsupported scope type: $scope->{type}";
    return $app->($scope, $receive, $send);
};
