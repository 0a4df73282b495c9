use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Future::IO::Impl::IOAsync;
use PAGITest::Backends qw(each_backend server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use Time::HiRes qw(sleep time);

# The examples that fit on one screen.

my $examples = "$FindBin::Bin/../../../examples/toolkit";
sub file ($name) { return "$examples/$name/app.pl" }

each_backend(file('lifespan-utils'), sub ($client, $backend) {
    is [ map { $_->content_type, $_->text } $client->get('/') ], [ 'text/plain; charset=utf-8', 'Hello from PAGI!' ], 'lifespan-utils';
});

each_backend(file('websocket-echo-v2'), sub ($client, $backend) {
    my $ws = $client->websocket('/');
    $ws->send_text("x \x{263a}");
    is $ws->receive_text($backend eq 'server' ? 20 : undef), "echo: x \x{263a}", 'websocket-echo-v2';
    $ws->close;
});

each_backend(file('sse-close'), sub ($client, $backend) {
    like $client->get('/')->text, qr/EventSource/, 'the page';
    my $sse = $client->sse('/');
    my @got = map { $sse->receive_event(timeout => 20) } 1 .. 5;
    is [ map { $_->{event} } @got ], [ ('progress') x 4, 'done' ], 'four steps, then done';
    is $got[3]{data}, '{"percent":100}', 'complete';
    is $sse->receive_event(timeout => 20), undef, 'and the stream ends' if $backend eq 'server';
});

each_backend(file('sse-dashboard'), sub ($client, $backend) {
    like $client->get('/')->text, qr/EventSource/, 'the page';
    my $sse = $client->sse('/events');
    my $first = $sse->receive_event(timeout => 20);
    is [ $first->{event}, $first->{data} =~ /"subscriber_id":(\d+)/ ], [ 'connected', 1 ], 'connected';
    my $metrics = $sse->receive_event(timeout => 20);
    is [ $metrics->{event}, $metrics->{id}, $metrics->{data} =~ /"(cpu|memory|requests|timestamp)":/g ],
        [ 'metrics', 1, qw(cpu memory requests timestamp) ], 'numbers';
    my $again = $client->sse('/events', headers => { 'Last-Event-ID' => 7 });
    is [ map { $again->receive_event(timeout => 20)->{event} } 1, 2 ], [qw(reconnected connected)], 'who comes back is told so';
    $_->close for $sse, $again;
});

each_backend(file('background-tasks'), sub ($client, $backend) {
    like $client->get('/')->text, qr/Background tasks/, 'the page';
    is $client->get("/$_")->json, { status => 'ok' }, $_ for qw(async blocking);
    my $signup = $client->post('/signup', json => { email => 'you@example.org' });
    is [ $signup->status, $signup->json ], [ 201, { status => 'created', message => 'Welcome, you@example.org' } ], 'signup';
    is $client->post('/signup', json => [])->status, 400, 'without an address';
    my $ws = $client->websocket('/ws');
    my $wait = $backend eq 'server' ? 20 : undef;
    is $ws->receive_text($wait), 'Connected! Send a message.', 'greeted';
    $ws->send_text('x');
    is $ws->receive_text($wait), 'Got: x', 'answered';
    $ws->close;
});

# What they print can be seen of a server only.
sub printed ($name, $patterns, $use, @args) {
    my $binary = server_binary() or return;
    my $server = PAGITest::ServerProcess->new(binary => $binary, args => [ @args, '--port', 0, file($name) ],
        env => { PERL5LIB => join ':', "$FindBin::Bin/../../lib", $ENV{PERL5LIB} // () });
    $use->(PAGITest::ServerClient->new(port => $server->port));
    my $deadline = time + 60;
    my $missing = sub { my $log = $server->log; grep { $log !~ $_ } @{ $patterns->{running} || [] } };
    sleep 0.02 while $missing->() && time < $deadline;
    is [ $missing->() ], [], "$name says what it does" or diag $server->log;
    $server->stop;
    for my $pattern (@{ $patterns->{stopped} || [] }) {
        my $count = () = $server->log =~ /$pattern->[0]/g;
        is $count, $pattern->[1], "$name: $pattern->[0]";
    }
    return;
}

printed('background-tasks', { running => [ qr/background: a quick task/, qr/background: visit counted/, qr/background: sum 500500/, qr/background: mail to me/ ] },
    sub ($client) { $client->get('/async'); $client->get('/blocking'); $client->post('/signup', json => { email => 'me' }) });
printed('sse-close', { running => [qr/stream ended: job_complete/] },
    sub ($client) { my $sse = $client->sse('/'); $sse->receive_event(timeout => 20) for 1 .. 5 });
printed('websocket-echo-v2', { running => [qr/closed with 4001/] }, sub ($client) { $client->websocket('/')->close(4001) });
printed('lifespan-utils', { running => [qr/^started$/m], stopped => [ [ qr/^stopped$/m, 1 ] ] }, sub ($client) { $client->get('/') });
printed('test-lifespan-shutdown', { running => [qr/(?:lifespan\.startup.*){3}/s], stopped => [ [ qr/\[\d+\] lifespan\.startup/, 3 ], [ qr/\[\d+\] lifespan\.shutdown/, 3 ] ] },
    sub ($client) { is $client->get('/')->status, 404, 'nothing there' }, '--workers', 3);

done_testing;
