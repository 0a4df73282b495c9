use v5.36;
use lib 't/lib';
use Test2::V0;
use Cwd ();
use File::Temp qw(tempdir);
use PAGITest::Backends qw(each_backend server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;

# Every listing of docs/tutorial.md works.

open my $file, '<:encoding(UTF-8)', '../docs/tutorial.md' or die $!;
my $tutorial = do { local $/; <$file> };
my @listings = $tutorial =~ /^```perl\n(.*?)^```$/msg;
my ($hello, $reading, $login, $chat, $test) = @listings;
is scalar @listings, 5, 'five listings';

# a file of its own, since __DATA__ belongs to one
my $directory = tempdir(CLEANUP => 1);
sub app ($code) {
    state $n = 0;
    my $path = "$directory/" . ++$n . '.pl';
    open my $out, '>', $path or die $!;
    print $out $code;
    close $out;
    return $path;
}

each_backend(app($hello), sub ($client, $backend) {
    is $client->get('/')->text, 'Hello, World!', 'hello';
    is $client->get('/hello/Ann')->json, { hello => 'Ann' }, 'JSON';
}, server_args => [ '--workers', 4 ]);

each_backend(app($reading), sub ($client, $backend) {
    is $client->post('/api/notes', json => { text => 'x' })->json, { saved => 'x' }, 'json_body';
    is [ map { $_->status, $_->json } $client->post('/api/notes', json => {}) ], [ 422, { error => 'A note has a text' } ], 'abort';
    is $client->post('/notes', form => { text => 'y' })->json, { saved => 'y' }, 'a form';
    is $client->get('/search?q=z')->text, 'You look for z', 'a query';
}, server_args => [ '--workers', 4 ]);

each_backend(app($login), sub ($client, $backend) {
    is $client->get('/members/home')->location, '/login', 'guarded';
    is $client->post('/login', form => { user => 'Ann' })->location, '/members/home', 'logged in';
    is $client->get('/members/home')->text, 'Welcome, Ann', 'welcome';
}, server_args => [ '--workers', 4 ]);

each_backend(app($chat), sub ($client, $backend) {
    my $wait = $backend eq 'server' ? 20 : undef;
    like $client->get('/')->text, qr/new WebSocket/, 'the page';
    my ($ann, $bob) = map { $client->websocket('/ws/red') } 1, 2;
    is [ map { $_->receive_text($wait) } $ann, $bob ], [ ('Welcome to red') x 2 ], 'welcome';
    $ann->send_text('hi');
    is $bob->receive_text($wait), 'hi', 'heard';
    $ann->close;
    is $bob->receive_text($wait), 'Somebody left', 'farewell';
}, server_args => [ '--workers', 4 ]);

my $where = tempdir(CLEANUP => 1);
for my $pair ([ 'app.pl' => $chat ], [ 'chat.t' => $test ]) {
    open my $out, '>', "$where/$pair->[0]" or die $!;
    print $out $pair->[1];
    close $out;
}
my $library = Cwd::abs_path('lib');
my $output = `cd $where && $^X -I$library chat.t 2>&1`;
like $output, qr/^ok 1 - Bob hears Ann$/m, 'the test of the tutorial passes';

# The service of the last chapter: its command, in its directory, with as many workers as the text says.
subtest 'deployed' => sub {
    my ($unit) = $tutorial =~ m{^    # /etc/systemd/system/chat\.service\n((?:    .*\n|\n)+?)\n    systemctl}m or die 'no unit';
    $unit =~ s/^    //mg;
    my ($command) = $unit =~ m{^ExecStart=/usr/bin/pagi-server (.*)$}m or die 'no command';
    my ($workers) = $tutorial =~ /`(--workers [0-9]+)`/ or die 'no workers';

    my $binary = server_binary();
    if (!defined $binary) {
        ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
        return;
    }
    open my $out, '>', "$where/chat.service" or die $!;
    print $out $unit =~ s{/usr/bin/pagi-server}{$binary}r =~ s{/srv/chat}{$where}r;
    close $out;
    my $verdict = `systemd-analyze verify $where/chat.service 2>&1`;
    is [ $?, join "\n", grep { /chat\.service/ } split /\n/, $verdict ], [ 0, '' ], 'systemd takes the unit';

    is +($command =~ s/--port 5000/--port 0/), 1, 'a port of its own for the test';
    my $elsewhere = Cwd::getcwd();
    chdir $where or die $!;
    my $server = PAGITest::ServerProcess->new(binary => $binary, args => [ split ' ', "$workers $command" ], env => { PERL5LIB => join ':', $library, $ENV{PERL5LIB} // () });
    chdir $elsewhere or die $!;
    my $client = PAGITest::ServerClient->new(port => $server->port);
    like $client->get('/')->text, qr/new WebSocket/, 'the page';
    # as nginx passes it on
    my @clients = map { $client->websocket('/ws/red', headers => { Host => 'chat.example.org' }) } 1 .. 8;
    is [ map { $_->receive_text(20) } @clients ], [ ('Welcome to red') x 8 ], 'eight people, on four workers';
    $clients[0]->send_text("hi \x{263a}");
    is [ map { $_->receive_text(20) } @clients ], [ ("hi \x{263a}") x 8 ], 'one chat';
    $_->close for @clients;
    $server->stop;
    unlike $server->log, qr/application error|ERROR/, 'and it stops in good order';
};

done_testing;
