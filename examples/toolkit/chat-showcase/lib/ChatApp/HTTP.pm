package ChatApp::HTTP;

use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use Future::AsyncAwait;
use JSON::MaybeXS ();
use ChatApp::State qw(room rooms users_of history stats);

# The API and the page, by raw events.

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);
my $PUBLIC = dirname(Cwd::abs_path(__FILE__)) . '/../../public';
my %TYPE = (html => 'text/html; charset=utf-8', css => 'text/css', js => 'application/javascript');

async sub json {
    my ($send, $data, $status) = @_;
    my $body = $JSON->encode($data);
    await $send->({
        type    => 'http.response.start',
        status  => $status || 200,
        headers => [
            [ 'content-type', 'application/json; charset=utf-8' ], [ 'content-length', length $body ],
            [ 'cache-control', 'no-cache' ],
        ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

sub room_list {
    my ($scope, $receive, $send) = @_;
    return json($send, [ map { +{ name => $_->{name}, users => scalar keys %{ $_->{users} }, created_at => $_->{created_at} } } rooms() ]);
}

sub room_history {
    my ($scope, $receive, $send) = @_;
    my $room = room($scope->{path_params}{name}) or return json($send, { error => 'Room not found' }, 404);
    return json($send, history($room, 100));
}

sub room_users {
    my ($scope, $receive, $send) = @_;
    my $room = room($scope->{path_params}{name}) or return json($send, { error => 'Room not found' }, 404);
    return json($send, users_of($room));
}

sub statistics {
    my ($scope, $receive, $send) = @_;
    return json($send, stats());
}

async sub files {
    my ($scope, $receive, $send) = @_;
    my $path = $scope->{path} eq '/' ? '/index.html' : $scope->{path};
    # an own list is the simplest way to let nobody out of the directory
    my ($name, $type) = $path =~ m{\A/([a-z]+)\.([a-z]+)\z} ? ("$1.$2", $TYPE{$2}) : ();
    return await json($send, { error => 'Not found' }, 404) unless $type && -e "$PUBLIC/$name";
    return await json($send, { error => 'Internal server error' }, 500) unless -r _;
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', $type ], [ 'content-length', -s _ ], [ 'cache-control', 'public, max-age=3600' ] ],
    });
    await $send->({ type => 'http.response.body', file => "$PUBLIC/$name" });
}

1;
