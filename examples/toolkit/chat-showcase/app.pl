use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use Future::AsyncAwait;
use Time::HiRes ();
use lib dirname(Cwd::abs_path(__FILE__)) . '/lib';
use ChatApp::HTTP;
use ChatApp::SSE;
use ChatApp::State qw(stats);
use ChatApp::WebSocket;
use PAGI::App::Router;
use PAGI::Lifespan;

my $router = PAGI::App::Router->new;
$router->websocket('/ws/chat' => \&ChatApp::WebSocket::app);
$router->sse('/events' => \&ChatApp::SSE::app);
$router->get('/api/rooms'              => \&ChatApp::HTTP::room_list);
$router->get('/api/room/:name/history' => \&ChatApp::HTTP::room_history);
$router->get('/api/room/:name/users'   => \&ChatApp::HTTP::room_users);
$router->get('/api/stats'              => \&ChatApp::HTTP::statistics);
# an address below /api that is none of these is the router's own 404
my $api_or_file = sub {
    my ($scope) = @_;
    return $scope->{path} =~ m{\A/api/} ? PAGI::App::NotFound->new->to_app->(@_) : ChatApp::HTTP::files(@_);
};
$router->mount('/' => $api_or_file);

# One line for each connection when it ends, with what its first start event said.
sub logged {
    my ($app) = @_;
    return async sub {
        my ($scope, $receive, $send) = @_;
        return await $app->($scope, $receive, $send) if $scope->{type} eq 'lifespan';
        my ($started, $status) = (Time::HiRes::time(), '-');
        my $ok = eval {
            await $app->($scope, $receive, sub {
                my ($event) = @_;
                $status = $event->{status} || 200 if $event->{type} =~ /\.start\z/;
                $status = 101 if $event->{type} eq 'websocket.accept';
                return $send->($event);
            });
            1;
        };
        my $error = $@;
        printf STDERR "[%s] %s %s %s %.3fs (client %s)\n", $scope->{type}, $scope->{method} // 'GET', $scope->{path}, $status,
            Time::HiRes::time() - $started, $scope->{client} ? $scope->{client}[0] : '-';
        die $error unless $ok;
    };
}

require PAGI::App::NotFound;

PAGI::Lifespan->wrap(
    logged($router->to_app),
    startup  => sub { print STDERR "chat: started\n" },
    shutdown => sub { my $stats = stats(); print STDERR "chat: stopped after $stats->{uptime} s and $stats->{messages_total} messages\n" },
);
