use v5.36;
use Test2::V0;
my $no_process = 0;
BEGIN { *CORE::GLOBAL::fork = sub () { return CORE::fork unless $no_process; $! = POSIX::EAGAIN(); return undef } }
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(call_app header http_scope text_of);
use Future::IO;
use Future::IO::Impl::IOAsync;
use PAGI::App::WrapCGI;
use PAGI::Test::ConnectionState;
use PAGITest::Backends qw(each_backend);
use POSIX ();
use Time::HiRes ();

my $dir = "$FindBin::Bin/cgi-bin";
sub run_cgi ($script, $scope, @events) {
    my %options = ref $script ? @$script : (script => "$dir/$script");
    my ($sent, $future) = call_app(PAGI::App::WrapCGI->new(%options)->to_app, $scope, @events);
    my $ok = eval { $future->get; 1 };
    return ($sent, $ok ? undef : $@);
}

subtest 'environment' => sub {
    local $ENV{NOT_FOR_SCRIPTS} = 1;
    my ($sent) = run_cgi('env.cgi', http_scope("/info/caf\x{e9}", root_path => '/cgi', query_string => 'a=1', raw_path => '/cgi/info/caf%C3%A9',
        http_version => '1.0', server => ['example.org', 8080], client => ['192.0.2.1', 4711],
        headers => [['host', 'h'], ['content-type', 'x/y'], ['x-b', '1'], ['x-b', '2'], ['proxy', 'http://evil/'], ['cookie', 'a=b']]));
    is [$sent->[0]{status}, $sent->[0]{headers}], [200, [['content-type', 'text/plain']]], 'head';
    my %env = text_of($sent) =~ /^(\w+)=(.*)$/mg;
    delete @env{qw(PATH PWD SHLVL _)};
    is \%env, {
        SCRIPT_NAME => '/cgi', PATH_INFO => "/info/caf\xc3\xa9", QUERY_STRING => 'a=1', REQUEST_URI => '/cgi/info/caf%C3%A9?a=1', REQUEST_METHOD => 'GET',
        SERVER_PROTOCOL => 'HTTP/1.0', SERVER_NAME => 'example.org', SERVER_PORT => 8080, REMOTE_ADDR => '192.0.2.1', REMOTE_PORT => 4711,
        GATEWAY_INTERFACE => 'CGI/1.1', HTTP_HOST => 'h', HTTP_X_B => '1, 2', HTTP_COOKIE => 'a=b', CONTENT_TYPE => 'x/y',
    }, 'all of CGI, nothing of ours, and no HTTP_PROXY';
    ($sent) = run_cgi('env.cgi', http_scope('/x'));
    %env = text_of($sent) =~ /^(\w+)=(.*)$/mg;
    is [@env{qw(SCRIPT_NAME SERVER_NAME SERVER_PORT REMOTE_ADDR REMOTE_PORT SERVER_PROTOCOL)}], ['', 'localhost', 80, '', 0, 'HTTP/1.1'], 'defaults';
    is $env{PATH}, $ENV{PATH}, 'PATH';
    ($sent) = run_cgi([script => "$dir/env.cgi", env => { OURS => 'yes', SERVER_NAME => 'named' }], http_scope('/x'));
    like text_of($sent), qr/^OURS=yes$/m, 'more variables';
    like text_of($sent), qr/^SERVER_NAME=named$/m, 'which go over the others';
    like dies { PAGI::App::WrapCGI->new(script => 'x', env => []) }, qr/'env' must be a hashref of variables/, 'a wrong kind of them';
    is $ENV{NOT_FOR_SCRIPTS}, 1, 'our environment is as it was';
};

subtest 'body' => sub {
    my ($sent) = run_cgi('body.cgi', http_scope('/', method => 'POST', headers => [['content-length', 5]]),
        { type => 'http.request', body => 'ab', more => 1 }, { type => 'http.request', body => 'cde', more => 0 });
    is [$sent->[0]{status}, $sent->[0]{headers}, text_of($sent)],
        [201, [['content-type', 'text/plain'], ['x-a', '1'], ['x-a', '2']], "5 495 5 POST"], 'reaches the script; Status is taken';
    my $chunk = 'x' x 50_000;
    ($sent) = run_cgi('body.cgi', http_scope('/', method => 'PUT', headers => [['transfer-encoding', 'chunked']]),
        (map { +{ type => 'http.request', body => $chunk, more => 1 } } 1 .. 20), { type => 'http.request', body => '', more => 0 });
    is text_of($sent), '1000000 120000000 1000000 PUT', 'a large one, with its length';
    ($sent) = run_cgi('body.cgi', http_scope('/', method => 'POST'), { type => 'http.request', body => 'ab', more => 1 }, { type => 'http.disconnect' });
    is $sent, [], 'not run when the client goes';
};

subtest 'output' => sub {
    my ($sent) = run_cgi('behave.cgi', http_scope('/', query_string => 'location'));
    is [$sent->[0]{status}, header($sent->[0], 'location')], [302, 'http://example.org/'], 'Location without Status';
    ($sent) = run_cgi('behave.cgi', http_scope('/', query_string => 'big'));
    is length text_of($sent), 3_000_000, 'a lot';
    is [map { $_->{more} } @$sent[1 .. $#$sent]], [(1) x ($#$sent - 1), 0], 'in pieces';
    my ($receive, $sends) = (sub { Future->done({ type => 'http.request', body => '' }) }, []);
    PAGI::App::WrapCGI->new(script => "$dir/behave.cgi")->to_app->(http_scope('/', query_string => 'slow'), $receive,
        sub ($event) { push @$sends, [$event->{body} // '', Time::HiRes::time()]; Future->done })->get;
    cmp_ok $sends->[-1][1] - $sends->[1][1], '>', 0.1, 'as it comes';
};

subtest 'trouble' => sub {
    for my $case (['none', qr/ended before the header was complete/], ['junk', qr/'this is not a header' in place of a header line/], ['status', qr/Status 'abc'/],
        ['noblank', qr/ended before/], ['huge', qr/no end of the header in 65536 bytes/]) {
        my ($how, $why) = @$case;
        my $sent;
        my $warning = warning { ($sent) = run_cgi('behave.cgi', http_scope('/', query_string => $how)) };
        is [$sent->[0]{status}, text_of($sent)], [500, 'Internal Server Error'], "500: $how";
        like $warning, qr/\ACGI script \Q$dir\E\/behave\.cgi gave a bad response: .*$why/s, 'with a warning';
    }
    for my $script ("$dir/none.cgi", $FindBin::Bin, "$FindBin::Bin/$FindBin::Script") {
        my $sent;
        like warning { ($sent) = run_cgi([script => $script], http_scope('/')) }, qr/\ACGI script \Q$script\E cannot be started: /, 'cannot be started';
        is $sent->[0]{status}, 500, '500';
    }
    {
        $no_process = 1;
        my $sent;
        like warning { ($sent) = run_cgi('env.cgi', http_scope('/')) }, qr/\ACGI script \S+ cannot be started: cannot fork: /, 'no process to be had';
        is [$sent->[0]{status}, header($sent->[0], 'content-type'), text_of($sent)], [500, 'text/plain', 'Internal Server Error'], 'a plain 500';
        $no_process = 0;
    }
    my ($sent, $begin) = (undef, Time::HiRes::time());
    like warning { ($sent) = run_cgi([script => "$dir/behave.cgi", timeout => 0.3], http_scope('/', query_string => 'sleep')) }, qr/no response within 0\.3 seconds/, 'too slow';
    is [$sent->[0]{status}, text_of($sent)], [504, 'Gateway Timeout'], '504';
    ($sent, my $error) = run_cgi([script => "$dir/behave.cgi", timeout => 0.3], http_scope('/', query_string => 'stall'));
    like $error, qr/silent for 0\.3 seconds/, 'silent in the middle';
    is [map { $_->{more} // 'start' } @$sent], ['start', 1], 'the response is left incomplete';
    ($sent, $error) = run_cgi([script => "$dir/behave.cgi", timeout => 0.3], http_scope('/', query_string => 'close'));
    is [$error, text_of($sent)], [undef, 'all'], 'one that closes its output and stays';
    cmp_ok Time::HiRes::time() - $begin, '<', 5, 'none is waited for';
    $begin = Time::HiRes::time();
    my $connection = PAGI::Test::ConnectionState->new;
    my ($none, $future) = call_app(PAGI::App::WrapCGI->new(script => "$dir/behave.cgi")->to_app, http_scope('/', query_string => 'sleep', 'pagi.connection' => $connection));
    ($sent) = run_cgi('env.cgi', http_scope('/x'));
    is [$sent->[0]{status}, $future->is_ready], [200, F()], 'others are served meanwhile';
    $connection->_mark_disconnected('client_closed');
    $future->get;
    is $none, [], 'nothing is sent to a client that has gone';
    cmp_ok Time::HiRes::time() - $begin, '<', 2, 'and the script is stopped';
    is waitpid(-1, 1), -1, 'no child is left';

    like dies { PAGI::App::WrapCGI->new }, qr/\APAGI::App::WrapCGI needs script.* at \Q$0\E/, 'no script';
    like dies { run_cgi([script => 'x', timeout => 0], http_scope('/')) }, qr/'timeout' must be a number of seconds above 0/, 'timeout';
    like dies { call_app(PAGI::App::WrapCGI->new(script => 'x')->to_app, { type => $_ }) }, qr/\AUnsupported scope type: $_ at /, $_ for qw(websocket sse lifespan);
};

each_backend("use PAGI::App::WrapCGI; use PAGI::App::URLMap; PAGI::App::URLMap->new->map({ map { (\"/\$_\" => PAGI::App::WrapCGI->new(script => \"$dir/\$_.cgi\")) } qw(env body behave) })->to_app;", sub ($client, $backend) {
    my $response = $client->get('/env/some/path');
    is $response->status, 200, 'status';
    like $response->content, qr{\ASCRIPT_NAME=/env\nPATH_INFO=/some/path\n}, 'environment';
    $response = $client->post('/body', body => 'y' x 200_000);
    is [$response->status, $response->content], [201, '200000 24200000 200000 POST'], 'body';
    is length $client->get('/behave?big')->content, 3_000_000, 'a lot';
});

done_testing;
