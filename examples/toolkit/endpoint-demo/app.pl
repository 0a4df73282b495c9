use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use Future::AsyncAwait;
use PAGI::App::Router;
use PAGI::Middleware::AccessLog;
use PAGI::Response;

# The three endpoint classes behind one router, with middleware of both kinds: objects and plain factories.

my $here = dirname(Cwd::abs_path(__FILE__));

my @messages = (
    { id => 1, text => 'Hello, World!' },
    { id => 2, text => 'Welcome to PAGI endpoints' },
);
my %subscribers;    # id => context of an event stream
my $last_subscriber = 0;

package MessageAPI;
use parent 'PAGI::Endpoint::HTTP';
use Future::AsyncAwait;

async sub get {
    my ($self, $ctx) = @_;
    return $ctx->json(\@messages);
}

async sub post {
    my ($self, $ctx) = @_;
    my $data = await $ctx->req->json;
    my $message = { id => @messages + 1, text => $data->{text} };
    push @messages, $message;
    for my $id (sort keys %subscribers) {
        my $subscriber = $subscribers{$id} or next;
        await $subscriber->try_send_event(event => 'message', data => $message, id => $message->{id});
    }
    return $ctx->json($message, status => 201);
}

package EchoSocket;
use parent 'PAGI::Endpoint::WebSocket';
use Future::AsyncAwait;

sub encoding { 'json' }

async sub on_connect {
    my ($self, $ctx) = @_;
    await $ctx->accept;
    await $ctx->send_json({ type => 'connected', message => 'Welcome!' });
}

async sub on_receive {
    my ($self, $ctx, $data) = @_;
    await $ctx->send_json({ type => 'echo', original => $data, timestamp => time });
}

package MessageEvents;
use parent 'PAGI::Endpoint::SSE';
use Future::AsyncAwait;

sub keepalive_interval { 25 }

async sub on_connect {
    my ($self, $ctx) = @_;
    $self->{id} = ++$last_subscriber;
    $subscribers{ $self->{id} } = $ctx;
    await $ctx->send_event(event => 'connected', data => { subscriber_id => $self->{id} });
}

sub on_disconnect {
    my ($self) = @_;
    delete $subscribers{ $self->{id} };
}

package main;

my $access_log = PAGI::Middleware::AccessLog->new(format => 'tiny');

my $json_only = sub {
    my ($app) = @_;
    return async sub {
        my ($scope, $receive, $send) = @_;
        my ($type) = map { $_->[1] } grep { lc $_->[0] eq 'content-type' } @{ $scope->{headers} };
        if ($scope->{method} eq 'POST' && (!defined $type || $type !~ m{\Aapplication/json\b}i)) {
            return await PAGI::Response->json({ error => 'Content-Type must be application/json' }, status => 415)->respond($send);
        }
        return await $app->($scope, $receive, $send);
    };
};

my $timing = sub {
    my ($app) = @_;
    return async sub {
        my ($scope, $receive, $send) = @_;
        my $start = time;
        await $app->($scope, $receive, $send);
        printf STDERR "%s connection on %s lasted %d s\n", $scope->{type}, $scope->{root_path} || $scope->{path}, time - $start;
    };
};

PAGI::App::Router->new
    ->mount('/api/messages' => [ $access_log, $json_only ] => MessageAPI->to_app)
    ->mount('/ws/echo' => [ $access_log, $timing ] => EchoSocket->to_app)
    ->mount('/events' => [$timing] => MessageEvents->to_app)
    ->get('/' => PAGI::Response->send_file("$here/public/index.html", content_type => 'text/html; charset=utf-8')->to_app)
    ->to_app;
