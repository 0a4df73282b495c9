use v5.36;
use utf8;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(call_app header http_scope text_of);
use File::Temp ();
use Future;
use Future::IO;
use Future::IO::Impl::IOAsync;
use IO::File;
use PAGI::App::WrapPSGI;
use PAGITest::Backends qw(each_backend);

sub run_psgi ($psgi, $scope = http_scope('/'), @events) {
    my ($sent, $future) = call_app(PAGI::App::WrapPSGI->new(psgi_app => $psgi)->to_app, $scope, @events);
    return ($sent, $future);
}
sub env_of ($scope, @events) { my $env; run_psgi(sub ($e) { $env = $e; [200, [], []] }, $scope, @events); return $env }
sub body_events ($sent) { [map { [$_->{body}, $_->{more} // 0] } @$sent[1 .. $#$sent]] }

subtest 'environment' => sub {
    my $env = env_of(http_scope("/caf\x{e9}/x", method => 'POST', root_path => '/app', raw_path => '/app/caf%C3%A9/x', query_string => 'a=%20', http_version => '1.0', scheme => 'https',
        server => ['192.0.2.1', 443], client => ['192.0.2.9', 4711], headers => [['host', 'h'], ['content-type', 'text/x'], ['content-length', 3], ['x-two', 'a'], ['x-two', 'b'], ['cookie', 'a=1'], ['cookie', 'b=2']]),
        { type => 'http.request', body => 'abc', more => 0 });
    my %expect = (
        REQUEST_METHOD => 'POST', SCRIPT_NAME => '/app', PATH_INFO => "/caf\xc3\xa9/x", REQUEST_URI => '/app/caf%C3%A9/x?a=%20', QUERY_STRING => 'a=%20', SERVER_PROTOCOL => 'HTTP/1.0',
        SERVER_NAME => '192.0.2.1', SERVER_PORT => 443, REMOTE_ADDR => '192.0.2.9', REMOTE_PORT => 4711, CONTENT_TYPE => 'text/x', CONTENT_LENGTH => 3,
        HTTPS => 'on', HTTP_HOST => 'h', HTTP_X_TWO => 'a, b', HTTP_COOKIE => 'a=1; b=2',
        'psgi.version' => [1, 1], 'psgi.url_scheme' => 'https', 'psgi.multithread' => 0, 'psgi.multiprocess' => 0, 'psgi.run_once' => 0, 'psgi.streaming' => 1, 'psgi.nonblocking' => 1,
        'psgix.input.buffered' => 1, 'psgix.cleanup' => 1, 'psgix.cleanup.handlers' => [], 'psgix.harakiri' => 0,
    );
    is { map { $_ => $env->{$_} } keys %expect }, \%expect, 'all keys';
    is [sort grep { !exists $expect{$_} } keys %$env], ['psgi.errors', 'psgi.input', 'psgix.logger'], 'and three handles';
    is fileno $env->{'psgi.errors'}, fileno STDERR, 'psgi.errors is STDERR';
    is do { local $/; readline $env->{'psgi.input'} }, 'abc', 'psgi.input';
    seek $env->{'psgi.input'}, 1, 0;
    is do { local $/; readline $env->{'psgi.input'} }, 'bc', 'is seekable';
    my $log = '';
    { local *STDERR; open STDERR, '>', \$log; env_of(http_scope('/'))->{'psgix.logger'}->({ level => 'warn', message => 'hm' }) }
    is $log, "[warn] hm\n", 'psgix.logger';

    $env = env_of({ type => 'http', method => 'GET', path => '/a b', headers => [] });
    is [@$env{qw(SCRIPT_NAME QUERY_STRING SERVER_PROTOCOL REQUEST_URI psgi.url_scheme)}], ['', '', 'HTTP/1.1', '/a%20b', 'http'], 'defaults';
    is [grep { exists $env->{$_} } qw(SERVER_NAME SERVER_PORT REMOTE_ADDR REMOTE_PORT CONTENT_LENGTH)], [], 'what is not known is not there';
    is env_of(http_scope("/\xe9", raw_path => '/%E9'))->{PATH_INFO}, "/\xe9", 'a path that was not UTF-8';
    is env_of(http_scope("/\xe9", raw_path => '/%C3%A9'))->{PATH_INFO}, "/\xc3\xa9", 'one that was';
    my @forged = (['x_real_ip', 'evil'], ['x-real-ip', 'good'], ['x-real_ip', 'evil'], ['only_one', 'a'], ['only_one', 'b']);
    is [@{ env_of(http_scope('/', headers => \@forged)) }{qw(HTTP_X_REAL_IP HTTP_ONLY_ONE)}], ['good', 'a, b'], 'CB-2: underscores in names';
    my $io = IO::File->new;
    ref_is env_of(http_scope('/', 'psgix.io' => $io))->{'psgix.io'}, $io, 'psgix.io where there is one';
};

subtest 'request body' => sub {
    my $chunk = 'x' x 40_000;
    my ($length, $file, $sum);
    my $psgi = sub ($env) {
        ($length, $file) = ($env->{CONTENT_LENGTH}, fileno($env->{'psgi.input'}) >= 0);
        $sum = 0;
        $sum += length $_ while defined($_ = readline_chunk($env->{'psgi.input'}));
        return [200, [], [exists $env->{HTTP_TRANSFER_ENCODING} ? 'coding' : '']];
    };
    sub readline_chunk ($in) { local $/ = \8192; return scalar readline $in }
    my ($sent) = run_psgi($psgi, http_scope('/', method => 'POST', headers => [['transfer-encoding', 'chunked']]), (map { +{ type => 'http.request', body => $chunk, more => 1 } } 1 .. 5), { type => 'http.request' });
    is [$length, $sum, $file, text_of($sent)], [200_000, 200_000, 1, ''], 'a large one is in a file; a chunked one has a length';
    run_psgi($psgi, http_scope('/', method => 'POST'), { type => 'http.request', body => 'small', more => 0 });
    is [$length, $sum, $file], [5, 5, ''], 'a small one in memory';
    my $called;
    ($sent) = run_psgi(sub { $called++ }, http_scope('/', method => 'POST'), { type => 'http.request', body => 'x', more => 1 }, { type => 'http.disconnect' });
    is [$sent, $called], [[], undef], 'not called when the client goes';
};

subtest 'an empty body' => sub {
    my %does = (
        closes   => sub ($in) { close $in },
        layers   => sub ($in) { binmode $in, ':encoding(UTF-16)' },
        marks    => sub ($in) { binmode $in, ':utf8' },
        reads    => sub ($in) { readline $in; seek $in, 0, 2 },
    );
    for my $what (sort keys %does) {
        run_psgi(sub ($env) { $does{$what}->($env->{'psgi.input'}); [200, [], []] });
        my $input = env_of(http_scope('/'))->{'psgi.input'};
        is [tell $input, [PerlIO::get_layers($input)], $input->read(my $bytes, 10), eof $input], [0, ['scalar'], 0, 1], "a request that $what it changes nothing for the next";
    }
};

subtest 'array responses' => sub {
    my ($sent) = run_psgi(sub { [201, ['Content-Type' => 'a/b', 'Set-Cookie' => 'a', 'set-cookie' => 'b'], ['one', 'two', "\xff"]] });
    is $sent, [
        { type => 'http.response.start', status => 201, headers => [['content-type', 'a/b'], ['set-cookie', 'a'], ['set-cookie', 'b']] },
        { type => 'http.response.body', body => "onetwo\xff", more => 0 },
    ], 'array';
    { package Shown; use overload '""' => sub { 'shown' } }
    ($sent) = run_psgi(sub { [200, ['X-Object' => bless({}, 'Shown')], ['']] });
    is [map { ref, $_ } $sent->[0]{headers}[0][1]], ['', 'shown'], 'an object as header';
    my @chunks = ('a', 'b');
    ($sent) = run_psgi(sub { [200, [], sub { shift @chunks }] });
    is body_events($sent), [['a', 1], ['b', 1], ['', 0]], 'coderef';
    my $text = join '', map {"line $_\n"} 1 .. 20_000;
    open my $memory, '<', \$text or die;
    ($sent) = run_psgi(sub { [200, [], $memory] });
    is text_of($sent), $text, 'a handle in memory';
    cmp_ok scalar @$sent, '>', 3, 'in pieces';
    ok !defined fileno $memory, 'closed';

    my $temp = File::Temp->new;
    print {$temp} $text;
    $temp->flush;
    for my $handle (IO::File->new("$temp"), do { open my $h, '<', "$temp" or die; $h }) {
        <$handle>;
        my @offsets;
        my ($out) = run_psgi(sub { [200, [], $handle] });
        is [$out->[1]{fh}, scalar @$out], [$handle, 2], 'a real file is for the server to read, from where it stands';
        ok !defined fileno $handle, 'and closed afterwards';
    }
    { package WithPath; sub new ($class, $path) { bless { path => $path }, $class } sub path ($self) { $self->{path} } sub getline { die 'not read' } sub close ($self) { $self->{closed}++ } }
    my $object = WithPath->new("$temp");
    ($sent) = run_psgi(sub { [200, [], $object] });
    is [$sent->[1], $object->{closed}], [{ type => 'http.response.body', file => "$temp" }, 1], 'an object with a path';
    { package Lines; sub new ($class, @lines) { bless { lines => \@lines }, $class } sub getline ($self) { $self->{size} = $/; shift @{ $self->{lines} } } sub close ($self) { $self->{closed}++ } }
    $object = Lines->new('l1', '', 'l2');
    ($sent) = run_psgi(sub { [200, [], $object] });
    is [body_events($sent), $object->{closed}, ref $object->{size}], [[['l1', 1], ['', 1], ['l2', 1], ['', 0]], 1, 'SCALAR'], 'an object with getline; $/ is a size';
    { package Upper; our @ISA = 'IO::File'; sub getline ($self) { my $line = $self->SUPER::getline; defined $line ? uc $line : undef } }
    ($sent) = run_psgi(sub { [200, [], bless(IO::File->new("$temp"), 'Upper')] });
    is text_of($sent), uc $text, 'a handle with a getline of its own';
    is $/, "\n", '$/ is as it was';
};

subtest 'sends that are not ready' => sub {
    my (@sent, @pending);
    my $object = Lines->new('one', 'two');
    my $future = PAGI::App::WrapPSGI->new(psgi_app => sub { [200, [], $object] })->to_app->(http_scope('/'),
        sub { Future->done({ type => 'http.request' }) }, sub ($event) { push @sent, $event; push @pending, Future->new; $pending[-1] });
    is scalar @sent, 1, 'start';
    (shift @pending)->done;
    is [scalar @sent, $/], [2, "\n"], 'one chunk at a time; nothing local outside';
    (shift @pending)->done while @pending;
    ok $future->is_done, 'done';
    is text_of(\@sent), 'onetwo', 'all';
    my $failing = Lines->new('x');
    $future = PAGI::App::WrapPSGI->new(psgi_app => sub { [200, [], $failing] })->to_app->(http_scope('/'), sub { Future->done({ type => 'http.request' }) }, sub { Future->fail('no') });
    is [$future->is_failed, $failing->{closed}], [1, 1], 'closed after a failed send too';
};

subtest 'delayed and streaming responses' => sub {
    my ($sent) = run_psgi(sub { sub ($respond) { $respond->([200, ['X-A' => 1], ['de', 'layed']]) } });
    is [$sent->[0]{headers}, body_events($sent)], [[['x-a', 1]], [['delayed', 0]]], 'array';
    ($sent) = run_psgi(sub { sub ($respond) { $respond->([200, [], 'string']) } });
    is text_of($sent), 'string', 'string';
    open my $memory, '<', \'handle' or die;
    ($sent) = run_psgi(sub { sub ($respond) { $respond->([200, [], $memory]) } });
    is text_of($sent), 'handle', 'handle';
    ($sent) = run_psgi(sub { sub ($respond) { my $w = $respond->([200, []]); $w->write($_) for 'a', '', 'b'; $w->close; $w->close } });
    is body_events($sent), [['a', 1], ['b', 1], ['', 0]], 'writer';
    ($sent) = run_psgi(sub { sub ($respond) { $respond->([200, []])->write('dropped') } });
    is body_events($sent), [['dropped', 1], ['', 0]], 'a dropped writer ends the response';
    ($sent, my $future) = run_psgi(sub { sub ($respond) { } });
    is [$sent, $future->is_done], [[], 1], 'never responding sends nothing';

    my $respond;
    ($sent, $future) = run_psgi(sub { sub ($r) { $respond = $r } });
    is [$sent, !$future->is_ready], [[], 1], 'waiting for a later response';
    my $writer = $respond->([200, []]);
    $writer->write('late');
    is text_of($sent), 'late', 'sent at once';
    ok !$future->is_ready, 'not over';
    $writer->close;
    ok $future->is_done, 'over';
    like dies { $writer->write('x') }, qr/closed already/, 'write after close';
    like dies { $respond->([200, []]) }, qr/called twice/, 'respond twice';
    undef $respond;

    ($sent, $future) = run_psgi(sub { sub ($r) { $respond = $r } });
    undef $respond;
    is [$sent, $future->is_done], [[], 1], 'dropped uncalled';

    my (@sent, @pending);
    $future = PAGI::App::WrapPSGI->new(psgi_app => sub { sub ($r) { my $w = $r->([200, []]); $w->write($_) for 1 .. 3; $w->close } })->to_app->(http_scope('/'),
        sub { Future->done({ type => 'http.request' }) }, sub ($event) { push @sent, $event; push @pending, Future->new; $pending[-1] });
    my $warnings = warnings { (shift @pending)->done while @pending };
    is [text_of(\@sent), scalar @sent, $future->is_done, $warnings], ['123', 5, 1, []], 'one send at a time';
};

subtest 'errors' => sub {
    my $fails = sub ($psgi) { my ($receive, @sent) = (sub { Future->done({ type => 'http.request' }) }); my $f = PAGI::App::WrapPSGI->new(psgi_app => $psgi)->to_app->(http_scope('/'), $receive, sub ($e) { push @sent, $e; Future->done }); return [$f->failure // 'no failure', [map { $_->{type} } @sent]] };
    is $fails->(sub { die "oops\n" }), ["oops\n", []], 'an exception';
    like $fails->(sub {'text'})->[0], qr/returned 'text', an arrayref or a coderef was expected/, 'a string';
    like $fails->(sub {undef})->[0], qr/returned undef/, 'undef';
    like $fails->(sub { [200, []] })->[0], qr/needs a status, headers and a body/, 'too short';
    like $fails->(sub { [200, [], {}] })->[0], qr/body of a PSGI response must be/, 'a hash as body';
    like $fails->(sub { [200, [], ['a', "\x{263a}"]] }), [qr/\AA PSGI body is bytes, and this one has characters above 0xFF: encode it/, []], 'characters, before anything is sent';
    like $fails->(sub { sub ($r) { $r->([200, [], ["\x{263a}"]]) } }), [qr/\AA PSGI body is bytes/, []], 'delayed, too';
    like $fails->(sub { sub ($r) { my $w = $r->([200, []]); $w->write('x'); $w->write("\x{263a}") } }), [qr/\AA PSGI body is bytes/, ['http.response.start', 'http.response.body']], 'a writer dies';
    is $fails->(sub { my $latin = "\xe9"; utf8::upgrade($latin); [200, [], [$latin]] })->[0], 'no failure', 'bytes are bytes, however Perl keeps them';
    is $fails->(sub { sub { die "inside\n" } }), ["inside\n", []], 'in the delayed part';
    is $fails->(sub { sub ($r) { my $w = $r->([200, []]); $w->write('x'); die "middle\n" } }), ["middle\n", ['http.response.start', 'http.response.body']], 'in the middle: the response is left incomplete';
    like $fails->(sub { sub ($r) { $r->([200, [], sub {undef}]) } })->[0], qr/use the writer/, 'a coderef in a delayed response';
    like dies { PAGI::App::WrapPSGI->new }, qr/\APAGI::App::WrapPSGI needs psgi_app/, 'no application';
    like dies { run_psgi(sub {...}, { type => $_ }) }, qr/\AUnsupported scope type: $_ at /, $_ for qw(websocket sse lifespan);
};

subtest 'cleanup and harakiri' => sub {
    my @log;
    my $app = PAGI::App::WrapPSGI->new(harakiri => sub ($env) { push @log, 'harakiri' }, psgi_app => sub ($env) {
        push @log, "can $env->{'psgix.harakiri'}";
        push @{ $env->{'psgix.cleanup.handlers'} }, sub ($e) { push @log, "one $e->{PATH_INFO}" }, sub { die "two\n" }, sub { push @log, 'three' };
        $env->{'psgix.harakiri.commit'} = 1 if $env->{QUERY_STRING};
        return [200, [], []];
    })->to_app;
    my $errors = '';
    { local *STDERR; open STDERR, '>', \$errors;
      $app->(http_scope('/x', query_string => 1), sub { Future->done({ type => 'http.request' }) }, sub ($event) { push @log, $event->{type}; Future->done })->get; }
    is \@log, ['can 1', 'http.response.start', 'http.response.body', 'one /x', 'three', 'harakiri'], 'after the response, in order';
    is $errors, "A cleanup handler failed: two\n", 'one that dies is reported';
    @log = ();
    { local *STDERR; open STDERR, '>', \$errors; call_app($app, http_scope('/')) }
    ok !(grep { $_ eq 'harakiri' } @log), 'harakiri only if asked for';
};

each_backend(<<'END', sub ($client, $backend) {
use PAGI::App::WrapPSGI;
use Future::IO;
PAGI::App::WrapPSGI->new(psgi_app => sub {
    my ($env) = @_;
    my $path = $env->{PATH_INFO};
    return [200, ['Content-Type' => 'text/plain'], do { open my $h, '<', $0 or die; $h }] if $path eq '/file';
    return [200, ['Content-Type' => 'text/plain'], do { open my $h, '<', \"in memory" or die; $h }] if $path eq '/memory';
    return sub {
        my ($respond) = @_;
        my $writer = $respond->([200, ['Content-Type' => 'text/plain']]);
        my $n = 0;
        my $next; $next = sub { $writer->write('tick ' . ++$n . "\n"); return $writer->close, undef $next if $n == 3; Future->wait_any(Future::IO->sleep(0.02))->on_done($next)->retain };
        $next->();
    } if $path eq '/stream';
    my $body = do { local $/; readline $env->{'psgi.input'} } // '';
    return [200, ['Content-Type' => 'text/plain'], ["$env->{REQUEST_METHOD} $env->{REQUEST_URI} ", length $body]];
})->to_app;
END
    is $client->post('/echo?a=b', body => 'x' x 300_000)->content, 'POST /echo?a=b 300000', 'request';
    like $client->get('/file')->content, qr/\S/, 'file';
    is $client->get('/memory')->content, 'in memory', 'memory';
    # the test client does not turn the loop for a Future that belongs to none
    is $client->get('/stream')->content, "tick 1\ntick 2\ntick 3\n", 'streaming after the application has returned' if $backend eq 'server';
});

done_testing;
