use v5.36;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use File::Temp qw(tempdir);
use PAGI::Simple;
use PAGI::Simple::BodyStream;
use PAGI::Simple::Callback;
use PAGI::Simple::Context::Logger;
use PAGI::Simple::CookieUtil;
use PAGI::Simple::Logger;
use PAGI::Simple::MultipartParser;
use PAGI::Simple::Negotiate;
use PAGI::Simple::Pattern;
use PAGI::Simple::StreamWriter;
use PAGI::Simple::Upload;
use PAGI::Test::Client;

# The small classes by themselves.

my $directory = tempdir(CLEANUP => 1);
sub content ($path) { open my $fh, '<:raw', $path or die; local $/; return scalar <$fh> }

subtest 'callback' => sub {
    my $arity = \&PAGI::Simple::Callback::arity;
    is [ map { $arity->($_, 2) } sub { }, sub ($x) { }, sub ($x, $y) { }, sub ($x, @rest) { }, sub ($x, $y = 1) { }, sub () { }, async sub ($x) { await Future->done } ],
        [ 2, 1, 2, 2, 2, 0, 1 ], 'what a signature takes';
    is [ PAGI::Simple::Callback::is_future(Future->done), PAGI::Simple::Callback::is_future(bless {}, 'SimpleTest::HasGet') ], [ 1, 0 ], 'a Future is a Future, not what has a get';
    is(PAGI::Simple::Callback::future_of(sub { die "x\n" })->failure, "x\n", 'an exception becomes a failure');
};

subtest 'pattern' => sub {
    my $match = sub ($pattern, $path) { PAGI::Simple::Pattern->new($pattern)->match($path) };
    is $match->('/a', '/a'), {}, 'static';
    is $match->('/a', '/A'), undef, 'case matters';
    is $match->('/a.c', '/abc'), undef, 'dots are literal';
    is $match->('/:x/*rest/end', '/1/2/3/end'), { x => 1, rest => '2/3' }, 'a wildcard inside';
    is $match->('/{x}', '/1'), { x => 1 }, '{name} is :name';
    is $match->('/{d:[0-9]{4}}-x', '/2020-x'), undef, 'only whole segments are special';
    is $match->('/{d:[0-9]{4}}/{m:(a|b)}/:c', '/2020/b/z'), { d => 2020, m => 'b', c => 'z' }, 'braces and groups in constraints';
    is $match->('/:x', "/a\nb"), { x => "a\nb" }, 'a line break is a character';
    is $match->('/:x', '/test%20value'), { x => 'test%20value' }, 'nothing is decoded twice';
    is(PAGI::Simple::Pattern->new('/x/{n:[0-9]+}')->fill({ n => 'a' }), undef, 'a value that does not fit its constraint');
    is(PAGI::Simple::Pattern->new('/*p')->fill({}), '/', 'a missing wildcard is empty');
};

subtest 'cookies' => sub {
    is PAGI::Simple::CookieUtil::parse_cookie_header(undef), {}, 'none';
    is PAGI::Simple::CookieUtil::parse_cookie_header(' a = 1 ; b="x y";c=%26;=no;a=2;flag'), { a => 1, b => 'x y', c => '&' }, 'parsed';
    is PAGI::Simple::CookieUtil::format_set_cookie(a => 1, expires => 0, max_age => 0), 'a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0', 'expiry';
    is PAGI::Simple::CookieUtil::format_removal_cookie('a', path => '/p', domain => 'example.org'), 'a=; Path=/p; Domain=example.org; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'removal';
    like dies { PAGI::Simple::CookieUtil::format_set_cookie(a => 1, path => '/;x') }, qr/'path' must not contain/, 'injection';
    like dies { PAGI::Simple::CookieUtil::format_set_cookie(a => 1, expires => '+1h') }, qr/epoch seconds/, 'relative expiry';
    like dies { PAGI::Simple::CookieUtil::format_set_cookie(a => 1, http_only => 1) }, qr/Unknown cookie options: http_only/, 'an unknown option';
};

subtest 'negotiation' => sub {
    my $n = 'PAGI::Simple::Negotiate';
    is [ $n->parse_accept('a/b;q=0.1, c/d') ], [ [ 'c/d', 1 ], [ 'a/b', 0.1 ] ], 'parse_accept';
    is $n->best_match([ 'json', 'html' ], 'text/html, application/json;q=0.9'), 'html', "the caller's spelling";
    is $n->best_match(['json'], 'application/json;q=0'), undef, 'q=0 never matches';
    is [ $n->accepts_type('application/json', 'json'), $n->accepts_type('application/json', 'html') ], [ 1, 0 ], 'accepts_type';
    is [ sort keys %{ $n->get_shortcuts } ], [qw(atom css form gif html jpeg jpg js json pdf png rss svg text txt xml zip)], 'all short names';
    is $n->normalize_type('other'), 'application/other', 'another word';
    is [ $n->quality_for_type('text/*;q=0.3', 'html'), $n->quality_for_type('text/html', 'json') ], [ 0.3, 0 ], 'quality_for_type';
    is [ $n->type_matches('text/html', 'text/*'), $n->normalize_type('pdf'), $n->get_shortcuts->{json} ], [ 1, 'application/pdf', 'application/json' ], 'the rest';
};

subtest 'uploads' => sub {
    my $body = join "\r\n", '--b', 'Content-Disposition: form-data; name=bare', '', '1', '--b', 'Content-Disposition: form-data; name="bare"', '', '2',
        '--b', q(Content-Disposition: form-data; name="f"; filename*=UTF-8''%E2%82%AC.txt), 'Content-Type: text/plain', '', 'content', '--b--', '';
    my $form = PAGI::Simple::MultipartParser->new(memory_threshold => 3)->parse('multipart/form-data; boundary="b"', $body);
    is $form->{fields}, { bare => [ 1, 2 ] }, 'repeated fields';
    my $upload = $form->{uploads}{f}[0];
    is [ $upload->name, $upload->filename, $upload->is_in_memory, $upload->slurp, $upload->header('Content-Type') ],
        [ 'f', "\x{20ac}.txt", 0, 'content', 'text/plain' ], 'a spooled upload';
    $upload->copy_to("$directory/copy");
    my $temp = $upload->tempfile;
    $upload->move_to("$directory/moved");
    is [ content("$directory/copy"), content("$directory/moved"), -e $temp ], [ 'content', 'content', undef ], 'copied, then moved';
    like dies { $upload->slurp }, qr/has no content/, 'no content after the move';
    my $small = PAGI::Simple::Upload->new(name => 's', filename => 'a/b\\c.txt', data => 'x');
    is [ $small->basename, $small->is_in_memory, $small->slurp_async(undef)->get ], [ 'c.txt', 1, 'x' ], 'in memory, async';
    $small->copy_to_async(undef, "$directory/async")->get;
    is content("$directory/async"), 'x', 'copy_to_async';
    like $small->move_to_async(undef, "$directory/copy/below-a-file")->failure, qr/./, 'a failure is a failed Future';
    like dies { PAGI::Simple::MultipartParser->new->parse('multipart/form-data', '') }, qr/No boundary/, 'no boundary';
    like dies { PAGI::Simple::MultipartParser->new(max_total_size => 5)->parse('multipart/form-data; boundary=b', $body) }, qr/too large/, 'too large';
};

sub stream (%options) {
    my @chunks = @{ delete $options{chunks} };
    my $calls = 0;
    my $receive = sub { $calls++; my $body = shift @chunks; Future->done({ type => 'http.request', body => $body, more => @chunks ? 1 : 0 }) };
    return (PAGI::Simple::BodyStream->new(receive => $receive, %options), \$calls);
}

subtest 'body stream' => sub {
    my ($stream, $calls) = stream(chunks => [ 'ab', 'cd' ]);
    is [ $stream->next_chunk->get, $stream->last_raw_chunk, $$calls ], [ 'ab', 'ab', 1 ], 'one receive per chunk';
    is [ $stream->next_chunk->get, $stream->next_chunk->get, $stream->is_done, $stream->bytes_read ], [ 'cd', undef, 1, 4 ], 'to the end';
    ($stream) = stream(chunks => [ "\xe2\x98", "\xba!", "\xff" ], decode => 'UTF-8');
    is join('', map { $stream->next_chunk->get } 1 .. 3), "\x{263a}!\x{fffd}", 'a split character, a bad byte';
    ($stream) = stream(chunks => ["\xff"], decode => 'UTF-8', strict => 1);
    like $stream->next_chunk->failure, qr/decode/, 'strict';
    ($stream) = stream(chunks => [ 'abc', 'def' ], max_bytes => 4);
    my $path = "$directory/limited";
    like $stream->stream_to_file($path)->failure, qr/max_bytes exceeded/, 'the limit';
    is content($path), 'abc', 'what came before it is there';
    for my $mode (qw(truncate append)) {
        ($stream) = stream(chunks => [ $mode, '.' ]);
        $stream->stream_to_file("$directory/mode", mode => $mode)->get;
    }
    is content("$directory/mode"), 'truncate.append.', 'truncate, append';
    my $got = '';
    package SimpleTest::Sink { sub write ($self, $bytes) { $$self .= $bytes; return Future->done } }
    my @sinks = (sub ($bytes) { $got .= $bytes; return Future->done }, bless(\my $object, 'SimpleTest::Sink'), do { open my $fh, '>:raw', "$directory/sink" or die; $fh });
    for my $sink (@sinks) {
        ($stream) = stream(chunks => [ "\xc3", "\xa9" ], decode => 'UTF-8');
        is $stream->stream_to($sink)->get, 2, 'bytes to a ' . (ref $sink);
    }
    close $sinks[2];
    is [ $got, $object, content("$directory/sink") ], [ ("\xc3\xa9") x 3 ], 'raw, even when decoding';
};

subtest 'stream writer' => sub {
    my @sent;
    my $writer = PAGI::Simple::StreamWriter->new(sub (@args) { push @sent, [@args]; Future->done });
    ref_is $writer->write('a')->get, $writer, 'write returns the writer';
    $writer->writeln('b')->get;
    is $writer->bytes_sent, 3, 'bytes_sent';
    $writer->close->get for 1, 2;
    is \@sent, [ [ 'a', 1 ], [ "b\n", 1 ], [ '', 0 ] ], 'closed once';
    like $writer->write('c')->failure, qr/closed already/, 'nothing after that';
    like(PAGI::Simple::StreamWriter->new(sub { })->write("\x{263a}")->failure, qr/takes bytes/, 'characters are refused');
    like dies { PAGI::Simple::StreamWriter->feeder('/no/such/file') }, qr/stream_from takes/, 'a source that is none';
};

subtest 'access log' => sub {
    my @lines;
    my $line = sub (%options) {
        @lines = ();
        my $app = PAGI::Simple->new(name => 'Log', quiet => 1)->enable_logging(output => sub ($text) { push @lines, $text }, %options);
        $app->get('/x' => sub ($c) { $c->text('four') });
        PAGI::Test::Client->new(app => $app)->get('/x?a=1', headers => { Referer => '"r"', 'User-Agent' => 'ua' });
        return $lines[0];
    };
    my $time = qr{\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]};
    like $line->(), qr{\A127\.0\.0\.1 - - $time "GET /x\?a=1 HTTP/1\.1" 200 4 "\\x22r\\x22" "ua" \d+\.\d{3}s\z}, 'combined';
    like $line->(format => 'common'), qr{\A127\.0\.0\.1 - - $time "GET /x\?a=1 HTTP/1\.1" 200 4\z}, 'common';
    like $line->(format => 'tiny'), qr{\AGET /x\?a=1 200 \d+\.\d{3}s\z}, 'tiny';
    is $line->(format => '%m %U%q %s %>s %B %H %%'), 'GET /x?a=1 200 200 4 HTTP/1.1 %', 'a format of its own';
    is $line->(skip => ['/x']), undef, 'skip';
    is $line->(skip_if => sub ($path, $status) { $status == 200 }), undef, 'skip_if';
    $line->(output => "$directory/access.log", format => '%m');
    is content("$directory/access.log"), "GET\n", 'a file';
    like dies { PAGI::Simple::Logger->new(format => 'json') }, qr/Unknown log format 'json'/, 'an unknown format';
    like dies { PAGI::Simple::Logger->new(level => 1) }, qr/Unknown options to enable_logging: level/, 'an unknown option';

    my $text = '';
    {
        local *STDERR;
        open STDERR, '>', \$text or die;
        PAGI::Simple::Context::Logger->new({ method => 'GET', path => "/a\nb" })->warn("careful\nnow");
    }
    like $text, qr{\A\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] \[WARN\] GET /a\\x0Ab - careful\\x0Anow\n\z}, 'the logger of a request';
};

done_testing;
