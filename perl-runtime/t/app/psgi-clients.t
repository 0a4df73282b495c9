use v5.36;
use Test2::V0;
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use PAGITest::Backends qw(server_binary);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use PAGITest::Wire;
use Time::HiRes qw(sleep time);

# Clients of a PSGI application that leave, wait, or send too much; in the worker and in the pool.

my $binary = server_binary();
if (!defined $binary) {
    ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
    done_testing;
    exit;
}

my ($notes, $server, $client);

sub start (@args) {
    $notes = File::Temp->new;
    $server = PAGITest::ServerProcess->new(
        binary => $binary, args => ['-E', 'production', @args, '--port', 0, "$FindBin::Bin/apps/psgi-clients.psgi"],
        env    => { TEST_NOTES => "$notes", PERL5LIB => join ':', "$FindBin::Bin/../../lib", grep { defined } $ENV{PERL5LIB} },
    );
    return $client = PAGITest::ServerClient->new(port => $server->port);
}
sub noted ($line) { open my $file, '<', "$notes" or die "$!"; return scalar grep { $_ eq "$line\n" } readline $file }
sub note_it ($line) { open my $file, '>>', "$notes" or die "$!"; syswrite $file, "$line\n"; return }
sub eventually ($name, $condition) {
    my $deadline = time + 60;
    my $held;
    until ($held = $condition->()) { last if time > $deadline; sleep 0.02 }
    return ok $held, $name;
}
sub request ($line, @headers) {
    my $wire = PAGITest::Wire->new($server->port);
    $wire->write(join "\r\n", "$line HTTP/1.1", 'Host: x', @headers, '', '');
    return $wire;
}
my $EVENTS = 'Accept: text/event-stream';    # what a browser asks for with EventSource: another scope

for my $args ([], ['--workers', 2], ['--workers', 1, '--pool', 1]) {
    subtest @$args ? "@$args" : 'one process' => sub {
        my $pool = grep { $_ eq '--pool' } @$args;

        subtest 'psgix.cleanup does not delay the response' => sub {
            start(@$args);
            for my $name ('array', 'stream') {
                my $wire = request("GET /wait/$name");
                my $head = $wire->read_head;
                is [$head->{status}, $wire->read_body($head, 'GET')], [200, $name eq 'stream' ? 'streamed' : 'complete', 1], "$name: all of it is there";
                ok !noted("went $name"), 'while the handler has not ended';
                note_it("go $name");
                eventually 'then it goes on', sub { noted("went $name") };
            }
            is $client->get('/')->content, 'ok', 'and so do others';
            my $last = request('GET /wait/last');
            $last->read_head;
            note_it('go last');
            $server->stop;
            ok noted('went last'), 'a server that stops waits for it';
        };

        subtest 'uploads' => sub {
            start(@$args, '--max-body-size', 1_000_000);
            for my $size (1, 65_536, 65_537, 1_000_000) {
                is $client->post('/length', body => 'x' x $size)->content, "$size $size", "$size bytes";
            }
            is $client->post('/length', body => 'x' x 1_000_001)->status, 413, 'one too many';
            my $wire = request('POST /length', 'Transfer-Encoding: chunked');
            my $chunk = sprintf "%x\r\n%s\r\n", 100_000, 'x' x 100_000;
            eval { $wire->write($chunk) for 1 .. 11; 1 };
            is $wire->read_head->{status}, 413, 'in chunks, too';
            ok !noted('length 1000001') && !noted('length 1100000'), 'the application is not called';
            $wire = request('PUT /length', 'Content-Length: 5', 'Expect: 100-continue');
            like $wire->read_until("\r\n\r\n"), qr{\AHTTP/1\.1 100 }, 'asked to go on';
            $wire->write('abcde');
            my $head = $wire->read_head;
            is [$head->{status}, $wire->read_body($head, 'PUT')], [200, '5 5', 1], 'it does';
        };

        subtest 'clients that go while they send' => sub {
            for my $framing ('Content-Length: 200000', 'Transfer-Encoding: chunked') {
                my $wire = request('POST /length', $framing);
                my $bytes = 'x' x 100_000;
                $wire->write($framing =~ /chunked/ ? sprintf "%x\r\n%s", length($bytes) + 1, $bytes : $bytes);
                $wire->close;
            }
            is $client->get('/')->content, 'ok', 'others are served';
            $server->stop;
            ok !noted('length 100000'), 'the application is not called with half a body';
        };

        subtest 'clients that go while they receive' => sub {
            start(@$args);
            my $closed = 0;
            for my $path ('/endless', '/delayed-endless') {
                for my $accept ('Accept: */*', $EVENTS) {
                    my $wire = request("GET $path", $accept);
                    is $wire->read_head->{status}, 200, "$path, $accept";
                    $wire->close;
                    $closed++;
                    eventually 'the body is closed', sub { noted('closed') == $closed };
                    eventually 'and the handlers have run', sub { noted("cleaned $path") == $closed - 2 * ($path =~ /delayed/) };
                    is $client->get('/')->content, 'ok', 'others are served';
                }
            }
        };

        subtest 'responses that never come' => sub {
            is $client->get('/never')->status, 500, 'a responder that is dropped';
            eventually 'its handlers have run', sub { noted('cleaned /never') };
            for my $path ('/kept', '/kept-writer') {
                my $wire = request("GET $path");
                $path eq '/kept' ? eventually 'the application keeps its responder', sub { noted('kept') } : $wire->read_head;
                # A process of the pool does one thing at a time.
                is $client->get('/')->content, 'ok', 'others are served' unless $pool;
                $wire->close;
                eventually 'a client that goes ends it', sub { noted("cleaned $path") };
            }
            is $client->get('/')->content, 'ok', 'others are served';
            is $client->get('/wide')->status, 500, 'a body of characters is an error';
            my $cookies = $client->get('/cookies', headers => [['cookie', 'x=1'], ['cookie', 'y=2']]);
            is [$cookies->content, $cookies->header_all('set-cookie')], ['x=1; y=2', 'a=1', 'b=2'], 'and cookies are several';
            my $began = time;
            $server->stop;
            cmp_ok time - $began, '<', 20, 'and it stops without waiting for them';
        };
    };
}

done_testing;
