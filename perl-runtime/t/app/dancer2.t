use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use PAGI::App::Dancer2;
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;

like dies { PAGI::App::Dancer2->new }, qr/\APAGI::App::Dancer2 needs class, the name of a Dancer2 application at \Q$0\E/, 'no class';
like dies { PAGI::App::Dancer2->new(class => 'List::Util') }, qr/List::Util is not a Dancer2 application/, 'another class';
like dies { PAGI::App::Dancer2->new(class => 'X', colour => 1) }, qr/Unknown options.*colour/, 'a wrong option';

my $binary = server_binary();
if (!defined $binary) {
    ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
    done_testing;
    exit;
}

sub start ($routes, @args) {
    my $file = File::Temp->new(SUFFIX => '.pl');
    print {$file} <<'END', "PAGI::App::Dancer2->new(class => 'TestDancer', $routes)->to_app;\n";
package TestDancer;
use Dancer2;
set logger => 'null';
set session => 'Simple';
get '/' => sub { session(count => (session('count') // 0) + 1); session('count') };
get '/pid' => sub { $$ };
get '/events' => sub { content_type 'text/event-stream'; "data: of the application\n\n" };
package main;
use v5.36;
use Future::AsyncAwait;
use PAGI::App::Dancer2;
use PAGI::SSE;
use PAGI::WebSocket;
async sub ws ($scope, $receive, $send) {
    my $ws = PAGI::WebSocket->new($scope, $receive, $send);
    await $ws->accept;
    await $ws->send_text(join ' ', $scope->{path_params}{room}, $scope->{'dancer2.session'}{count} // 'none', $$);
}
async sub events ($scope, $receive, $send) {
    await PAGI::SSE->new($scope, $receive, $send)->send_event(data => 'live ' . ($scope->{'dancer2.session'}{count} // 'none'));
}
END
    close $file;
    my $server = PAGITest::ServerProcess->new(binary => $binary, args => [@args, '--port', 0, "$file"],
        env => { PERL5LIB => join ':', "$FindBin::Bin/../../lib", grep { defined } $ENV{PERL5LIB} });
    return ($server, PAGITest::ServerClient->new(port => $server->port), $file);
}
my $routes = q(websocket => { '/ws/:room' => \&ws }, sse => { '/live' => \&events });

subtest 'in one process' => sub {
    my ($server, $client) = start($routes);
    is [map { $client->get('/')->content } 1 .. 2], [1, 2], 'the application, with its session';
    my $ws = $client->websocket('/ws/7');
    is [(split / /, $ws->receive_text)[0, 1]], [7, 2], 'a WebSocket has parameters and the session';
    is $client->sse('/live')->receive_event->{data}, 'live 2', 'an event stream, too';
    like $client->get('/events', headers => [['accept', 'text/event-stream']])->content, qr/data: of the application/, 'others are the application\'s';
    is $client->websocket('/other', decline_ok => 1)->response->status, 404, 'no such WebSocket';
    $client->clear_cookies;
    is [(split / /, $client->websocket('/ws/7')->receive_text)[1]], ['none'], 'no session';
    $client->set_cookie('dancer.session' => '../../etc/passwd');
    is [(split / /, $client->websocket('/ws/7')->receive_text)[1]], ['none'], 'a forged one';
    $server->stop;
    unlike $server->log, qr/ERROR/, 'nothing was wrong';
};

subtest 'with a pool' => sub {
    my ($server, $client) = start($routes, '--workers', 1, '--pool', 1);
    my $pid = $client->get('/pid')->content;
    isnt [(split / /, $client->websocket('/ws/7')->receive_text)[2]], [$pid], 'routes run in the pool, WebSockets in the worker';
    is $client->get('/events', headers => [['accept', 'text/event-stream']])->status, 406, 'an event stream cannot be handed over';
    $server->stop;
    ($server, $client) = start('', '--workers', 1, '--pool', 1);
    like $client->get('/events', headers => [['accept', 'text/event-stream']])->content, qr/data: of the application/, 'but with the whole application';
    is $client->websocket('/ws/7', decline_ok => 1)->response->status, 404, 'which knows no WebSockets';
    $server->stop;
};

done_testing;
