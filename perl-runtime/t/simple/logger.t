use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Temp ();
use Future;
use PAGI::Simple;
use PAGI::Simple::Logger;
use PAGI::Test::Client;

# The access log: what it writes where, and its parts for code that logs by itself.

sub lines_of ($path) { open my $in, '<:raw', $path or die $!; return map { s/\n\z//r } <$in> }

subtest 'outputs' => sub {
    my $file = File::Temp->new;
    my $handle = File::Temp->new;
    my (@lines, $stderr);
    my $log = sub (@output) { return PAGI::Simple::Logger->new(format => '%m %U %s', @output) };
    for my $logger ($log->(output => "$file"), $log->(output => $handle), $log->(output => sub ($line) { push @lines, $line })) {
        ref_is $logger->log(scope => { method => 'GET', path => '/a' }, status => 200), $logger, 'log chains';
    }
    is [ lines_of("$file"), lines_of("$handle"), @lines ], [ ('GET /a 200') x 3 ], 'a file, a handle, a coderef: at once';
    $log->(output => "$file")->log(scope => { method => 'PUT', path => '/b' }, status => 201);
    is [ lines_of("$file") ], [ 'GET /a 200', 'PUT /b 201' ], 'a file is appended to';
    {
        local *STDERR;
        open STDERR, '>', \$stderr or die;
        $log->()->log(scope => { method => 'GET' }, status => 404);
        $log->(output => *STDERR)->log(scope => { method => 'GET' }, status => 405);
    }
    is $stderr, "GET / 404\nGET / 405\n", 'STDERR by default, or as a glob';
    like dies { $log->(output => '/no/such/directory/log') }, qr{\ACannot open the log file /no/such/directory/log: }, 'a file that cannot be opened';
};

subtest 'specifiers' => sub {
    my $said;
    my %args = (scope => { method => 'POST', path => "/a\n", query_string => 'q=1', http_version => '2', client => [ '192.0.2.7', 1 ],
        headers => [ [ 'X-Who' => 'me "x"' ], [ referer => '/from' ] ] }, status => 201, size => 12, duration => 1.23456);
    my %expected = (
        '%h %l %u' => '192.0.2.7 - -', '%r' => 'POST /a\x0A?q=1 HTTP/2', '%s %>s' => '201 201', '%b %B' => '12 12', '%m' => 'POST', '%U' => '/a\x0A', '%q' => '?q=1', '%H' => 'HTTP/2',
        '%P' => $$, '%T' => 1, '%D' => 1234560, '%Ts' => '1.235s', '%{x-who}i' => 'me \x22x\x22', '%{Referer}i' => '/from', '%{None}i' => '-', '100%%' => '100%', '%z' => '-', '%a' => '192.0.2.7',
    );
    for my $format (sort keys %expected) {
        PAGI::Simple::Logger->new(format => $format, output => sub ($line) { $said = $line })->log(%args);
        is $said, $expected{$format}, $format;
    }
    PAGI::Simple::Logger->new(format => '%h %b %B %Ts %T', output => sub ($line) { $said = $line })->log(scope => {}, status => 200);
    is $said, '- - 0 0.000s 0', 'nothing known';
};

subtest 'parts' => sub {
    my $logger = PAGI::Simple::Logger->new(skip => ['/health'], skip_if => sub ($path, $status) { $status == 304 }, output => sub { }, loop => 'a loop');
    is [ map { $logger->should_log(@$_) } [ '/', 200 ], [ '/health', 200 ], [ '/', 304 ] ], [ 1, 0, 0 ], 'should_log';
    ref_is $logger->set_loop('another'), $logger, 'set_loop chains';

    my (@seen, @sent);
    my $send = $logger->wrap_send(sub ($event) { push @sent, $event; Future->done('sent') }, sub ($status, $bytes) { push @seen, [ $status, $bytes ] });
    my $file = File::Temp->new;
    print {$file} 'x' x 100;
    $file->flush;
    my @events = (
        { type => 'http.response.start', status => 206, headers => [] }, { type => 'http.response.body', body => 'abc', more => 1 },
        { type => 'http.response.body', file => "$file" }, { type => 'http.response.body', file => "$file", offset => 30 },
        { type => 'http.response.body', file => "$file", offset => 30, length => 7 }, { type => 'http.response.body' }, { type => 'http.fullflush' }, 'nonsense',
    );
    is [ map { $send->($_)->get } @events ], [ ('sent') x @events ], 'what the server says comes back';
    is \@sent, \@events, 'every event is passed on as it is';
    is \@seen, [ [ 206, 0 ], [ 206, 3 ], [ 206, 100 ], [ 206, 70 ], [ 206, 7 ], [ 206, 0 ] ], 'status and bytes, files included';
};

subtest 'around an application' => sub {
    my @lines;
    my $app = PAGI::Simple->new(name => 'x', quiet => 1)->enable_logging(format => '%m %U %s %B', output => sub ($line) { push @lines, $line });
    my $file = File::Temp->new(SUFFIX => '.txt');
    print {$file} 'x' x 100;
    $file->flush;
    $app->get('/file' => sub ($c) { $c->send_file("$file") });
    $app->get('/stream' => sub ($c) { $c->stream(sub ($w) { $w->write('ab'); $w->write('c') }) });
    $app->get('/die' => sub ($c) { die "x\n" });
    $app->websocket('/ws' => sub ($ws) { });
    my $client = PAGI::Test::Client->new(app => $app);
    local $SIG{__WARN__} = sub { };
    $client->get($_) for '/file', '/stream', '/die', '/none';
    $client->head('/file');
    $client->websocket('/ws')->close;
    is \@lines, [ 'GET /file 200 100', 'GET /stream 200 3', 'GET /die 500 21', 'GET /none 404 9', 'HEAD /file 200 0' ], 'files, streams, errors; no WebSockets';

    @lines = ();
    my $logger = PAGI::Simple::Logger->new(format => '%m %s', output => sub ($line) { push @lines, $line });
    like $logger->wrap(sub { Future->fail("gone\n") })->({ type => 'http', method => 'GET' }, sub { }, sub { Future->done })->failure, qr/\Agone/, 'an exception of what is inside is passed on';
    $logger->wrap(sub { Future->done })->({ type => 'http', method => 'GET' }, sub { }, sub { Future->done })->get;
    is \@lines, [ 'GET 500', 'GET 0' ], 'as a 500; no response at all is a 0';
};

done_testing;
