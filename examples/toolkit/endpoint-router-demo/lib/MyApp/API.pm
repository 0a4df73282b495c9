package MyApp::API;

use strict;
use warnings;
use parent 'PAGI::Endpoint::Router';
use Future::AsyncAwait;

my @users = ({ id => 1, name => 'Alice' }, { id => 2, name => 'Bob' });

sub routes {
    my ($self, $r) = @_;
    $r->get('/info' => 'info');
    $r->get('/users' => 'list_users');
    $r->get('/users/:id' => 'show_user');
    $r->post('/users' => 'add_user');
}

async sub info {
    my ($self, $ctx) = @_;
    return $ctx->json({ %{ $ctx->state->{config} }, metrics => $ctx->state->{metrics} });
}

async sub list_users {
    my ($self, $ctx) = @_;
    return $ctx->json(\@users);
}

async sub show_user {
    my ($self, $ctx) = @_;
    my ($user) = grep { $_->{id} eq $ctx->path_param('id') } @users;
    return $user ? $ctx->json($user) : $ctx->json({ error => 'User not found' }, status => 404);
}

async sub add_user {
    my ($self, $ctx) = @_;
    my $data = await $ctx->req->json;
    my $user = { id => @users + 1, name => $data->{name} };
    push @users, $user;
    return $ctx->json($user, status => 201);
}

1;
