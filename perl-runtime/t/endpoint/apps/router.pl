# A class-based router with all three kinds of routes.
package RouterApp;
use strict;
use warnings;
use parent 'PAGI::Endpoint::Router';
use Future::AsyncAwait;

sub routes {
    my ($self, $r) = @_;
    $r->get('/users/:id' => ['tag'] => 'user');
    $r->websocket('/ws/:room' => 'room');
    $r->sse('/events' => 'events');
}

async sub tag { my ($self, $ctx, $next) = @_; my $response = await $next->(); return $response->header('x-tag', 'seen') }
async sub user { my ($self, $ctx) = @_; return $ctx->json({ id => $ctx->path_param('id') }) }
async sub room {
    my ($self, $ctx) = @_;
    await $ctx->accept;
    await $ctx->each_text(async sub { await $ctx->send_text($ctx->path_param('room') . ": $_[0]") });
}
async sub events { my ($self, $ctx) = @_; await $ctx->send_event(event => 'hello', data => "caf\x{e9}") }

package main;
RouterApp->to_app;
