package PAGITest::Notes;

# The small application that examples/catalyst, dancer2 and mojolicious all are, seen from outside: under our server and under
# the servers that those frameworks usually have.
#
#     notes_ok($port, live => 1);

use v5.36;
use Digest::SHA qw(sha1_hex);
use Encode qw(encode);
use Exporter qw(import);
use HTTP::Request::Common qw(POST);
use LWP::UserAgent;
use PAGITest::ServerClient;
use Test2::V0;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(notes_ok);

sub notes_ok ($port, %options) {
    my $ua = LWP::UserAgent->new(max_redirect => 5, no_proxy => ['127.0.0.1'], cookie_jar => {}, keep_alive => 4, timeout => 20,
        requests_redirectable => ['GET', 'HEAD', 'POST']);
    my $base = "http://127.0.0.1:$port";

    subtest 'pages and sessions' => sub {
        my $page = $ua->get("$base/");
        is $page->code, 200, 'the page';
        like $page->header('Content-Type'), qr{\Atext/html; ?charset=utf-8\z}i, 'its type';
        like $page->decoded_content, qr{<h1>Hello, guest</h1>}, 'a guest';
        like $page->decoded_content, qr{<span id="visits">1</span>}, 'for the first time';
        like $page->decoded_content, qr{data-live="\Q$options{live}\E"}, $options{live} ? 'live' : 'not live';
        $page = $ua->request(POST "$base/login", [name => encode('UTF-8', "Zo\x{eb} <&>")]);
        is [$page->code, $page->request->method, $page->request->uri->path], [200, 'GET', '/'], 'the login redirects';
        like $page->decoded_content, qr{<h1>Hello, Zo\x{eb} &lt;&amp;&gt;</h1>}, 'known by name';
        like $page->decoded_content, qr{<span id="visits">2</span>}, 'for the second time';
        for my $text ('first', "\x{263a} second") {
            $page = $ua->request(POST "$base/notes", [text => encode('UTF-8', $text)]);
        }
        like $page->decoded_content, qr{<li>first</li>\s*<li>\x{263a} second</li>}, 'notes';
        my @cookies = $page->request->header('Cookie');
        like "@cookies", qr/\bnotes=/, 'by the session\'s cookie';
        like LWP::UserAgent->new(no_proxy => ['127.0.0.1'])->get("$base/")->decoded_content, qr{Hello, guest}, 'somebody else is somebody else';
        is $ua->head("$base/")->content, '', 'HEAD';
    };

    subtest 'uploads' => sub {
        for my $size (10, 100_000, 3_000_000) {
            my $bytes = substr join('', map { chr($_ * 7 % 256) } 0 .. 999) x (1 + $size / 1000), 0, $size;
            my $answer = $ua->request(POST "$base/upload", Content_Type => 'form-data', Content => [file => [undef, 'some.bin', Content => $bytes]]);
            is $answer->content, "some.bin $size " . sha1_hex($bytes), "$size bytes";
        }
    };

    subtest 'other answers' => sub {
        my @lines = $ua->get("$base/about")->content =~ m{<li>(line \d+) of &lt;this&gt; &amp; that</li>}g;
        is \@lines, [map {"line $_"} 1 .. 20], 'a page without a session';
        is $ua->get("$base/stream")->content, join('', map {"line $_\n"} 1 .. 5), 'in pieces';
        my $file = $ua->get("$base/static/notes.css");
        is $file->code, 200, 'a file';
        like $file->header('Content-Type'), qr{\Atext/css}, 'its type';
        like $file->content, qr/font-family/, 'its content';
        my $date = $file->header('Last-Modified');
        ok defined $date, 'and date';
        is $ua->get("$base/nothing/here")->code, 404, 'no route';
        is $ua->get("$base/fail")->code, 500, 'an exception';
        my $began = time;
        is $ua->get("$base/slow?seconds=0.3")->content, 'slept', 'a slow one';
        cmp_ok time - $began, '>=', 0.29, 'is slow';
    };
    return unless $options{live};

    subtest 'WebSocket and event stream' => sub {
        my $client = PAGITest::ServerClient->new(port => $port);
        my $ws = $client->websocket('/shout');
        $ws->send_text("h\x{e9}");
        is $ws->receive_text, "guest: H\x{c9}", 'a guest';
        $ws->close;
        $client->post('/login', form => { name => 'Ann' });
        $ws = $client->websocket('/shout');
        $ws->send_text($_) for 'one', 'two';
        is [$ws->receive_text, $ws->receive_text], ['Ann: ONE', 'Ann: TWO'], 'the session is there';
        $ws->close;
        my $sse = $client->sse('/ticks');
        is [map { my $event = $sse->receive_event; @$event{qw(event data id)} } 1, 2], ['tick', 1, 1, 'tick', 2, 2], 'events';
        $sse->close;
        my $refused = $client->websocket('/nothing', decline_ok => 1);
        is $refused->response->status, 404, 'no WebSocket there';
    };
    return;
}

1;
