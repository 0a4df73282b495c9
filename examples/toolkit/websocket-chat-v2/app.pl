use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use Future::AsyncAwait;
use JSON::MaybeXS ();
my $here;
BEGIN { $here = dirname(Cwd::abs_path(__FILE__)) }
use lib "$here/lib", "$here/../chat-showcase/lib";
use ChatApp::HTTP;
use ChatApp::SSE;
use ChatV2::WebSocket;

# Routed and brought to life by hand: what a router and PAGI::Lifespan do otherwise.

my %API = ('/api/rooms' => \&ChatApp::HTTP::room_list, '/api/stats' => \&ChatApp::HTTP::statistics);

async sub lifespan {
    my ($receive, $send) = @_;
    while (1) {
        my $event = await $receive->();
        print STDERR "chat: $event->{type}\n";
        await $send->({ type => "$event->{type}.complete" });
        return if $event->{type} eq 'lifespan.shutdown';
    }
}

async sub http {
    my ($scope, $receive, $send) = @_;
    my $path = $scope->{path};
    return await $API{$path}->($scope, $receive, $send) if $API{$path};
    if (my ($name, $what) = $path =~ m{\A/api/room/([^/]+)/(history|users)\z}) {
        my $handler = $what eq 'history' ? \&ChatApp::HTTP::room_history : \&ChatApp::HTTP::room_users;
        return await $handler->({ %$scope, path_params => { name => $name } }, $receive, $send);
    }
    return await ChatApp::HTTP::json($send, { error => 'Not found' }, 404) if $path =~ m{\A/api/};
    return await ChatApp::HTTP::files($scope, $receive, $send);
}

async sub app {
    my ($scope, $receive, $send) = @_;
    my ($type, $path) = ($scope->{type}, $scope->{path} // '');
    return await lifespan($receive, $send) if $type eq 'lifespan';
    return await http($scope, $receive, $send) if $type eq 'http';
    return await ChatV2::WebSocket::app($scope, $receive, $send) if $type eq 'websocket' && $path eq '/ws/chat';
    return await ChatApp::SSE::app($scope, $receive, $send) if $type eq 'sse' && $path eq '/events';
    die "Nothing of type $type at $path\n";
}

\&app;
