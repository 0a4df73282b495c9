use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use JSON::MaybeXS qw(decode_json);
use PAGITest::Backends qw(each_backend server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use Time::HiRes qw(sleep time);

# What a PSGI application is told about the process it runs in, and what it can do about it.

my $app = <<'END';
use JSON::MaybeXS;
use PAGI::App::WrapPSGI;
PAGI::App::WrapPSGI->new(psgi_app => sub {
    my ($env) = @_;
    $env->{'psgix.harakiri.commit'} = $env->{PATH_INFO} eq '/harakiri';
    push @{ $env->{'psgix.cleanup.handlers'} }, sub { print STDERR "cleanup $env->{PATH_INFO} in $$\n" };
    my %seen = map { $_ => ref $env->{$_} ? 'ref' : $env->{$_} } grep { /\Apsgi/ } keys %$env;
    return [200, ['Content-Type' => 'application/json'], [encode_json({ %seen, pid => $$ })]];
})->to_app;
END

my %expected = (
    'one process'       => [[],                             0, 1, 0],
    'workers'           => [['--workers', 2],               1, 1, 0],
    'a pool'            => [['--pool', 1],                  1, 0, 1],
    'workers and pool'  => [['--workers', 2, '--pool', 2],  1, 0, 1],
);
for my $name (sort keys %expected) {
    my ($args, $multiprocess, $nonblocking, $harakiri) = @{ $expected{$name} };
    each_backend($app, sub ($client, $backend) {
        return pass 'not of interest' if $backend ne 'server';
        my $env = decode_json($client->get('/')->content);
        my @keys = qw(psgi.multiprocess psgi.nonblocking psgix.harakiri psgi.multithread psgi.run_once psgi.streaming psgix.input.buffered psgix.cleanup);
        is { map { $_ => $env->{$_} } @keys }, {
            'psgi.multiprocess' => $multiprocess, 'psgi.nonblocking' => $nonblocking, 'psgix.harakiri' => $harakiri, 'psgi.multithread' => 0,
            'psgi.run_once' => 0, 'psgi.streaming' => 1, 'psgix.input.buffered' => 1, 'psgix.cleanup' => 1,
        }, $name;
    }, server_args => $args);
}

if (defined(my $binary = server_binary())) {
    my $file = File::Temp->new(SUFFIX => '.pl');
    print {$file} $app;
    close $file;
    my $server = PAGITest::ServerProcess->new(binary => $binary, args => ['--pool', 1, '--port', 0, "$file"], env => { PERL5LIB => "$FindBin::Bin/../../lib" });
    my $client = PAGITest::ServerClient->new(port => $server->port);
    my %pids;
    for my $try (1 .. 5) {
        my $response = $client->get('/harakiri');
        is $response->status, 200, "answered, $try";
        my $pid = decode_json($response->content)->{pid};
        $pids{$pid}++;
        my $deadline = time + 20;
        sleep 0.02 while kill(0 => $pid) && time < $deadline;
        ok !kill(0 => $pid), 'the process has gone';
    }
    is scalar keys %pids, 5, 'each time another';
    my $log = $server->log;
    is scalar(() = $log =~ /cleanup \/harakiri in \d+/g), 5, 'the cleanup handlers ran' or diag $log;
    unlike $log, qr/ERROR/, 'and nothing was wrong';

    my $strict = PAGITest::ServerProcess->new(binary => $binary, args => ['-E', 'development', '--pool', 1, '--port', 0, "$file"], env => { PERL5LIB => "$FindBin::Bin/../../lib" });
    is(PAGITest::ServerClient->new(port => $strict->port)->get('/')->status, 200, 'in development');
    $strict->stop;
    like $strict->log, qr/Lint is on/, 'with Lint';
    unlike $strict->log, qr/Lint Error/, 'which knows that the pool has answered';
}

done_testing;
