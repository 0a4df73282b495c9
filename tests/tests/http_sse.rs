//! Server-Sent Events over HTTP/1 (protocol section 12), by their bytes.

use std::time::Duration;

use pagi_tests::lab::{Lab, get, get_and_close, request};
use pagi_tests::raw::{End, Raw, contains};

const ACCEPT: &str = "Accept: text/event-stream\r\n";

fn stream(path: &str) -> String {
    request("GET", path, ACCEPT)
}

/// The content of a stream that was read to its end; the end marker must be there.
fn events(lab: &Lab, path: &str) -> String {
    let reply = lab.exchange(request("GET", path, &format!("{ACCEPT}Connection: close\r\n")));
    assert!(reply.response.complete, "{}", reply.bytes.escape_ascii());
    reply.response.text().to_owned()
}

#[test]
fn sse_1_sse_2_sse_3_sse_4_sse_5_which_requests_are_sse() {
    let lab = Lab::new(
        r#"route '*' => async sub ($scope, $receive, $send) {
            return await answer($send, 200, 'http') if $scope->{type} eq 'http';
            await $send->({ type => 'sse.http.response.start', status => 200 });
            await $send->({ type => 'sse.http.response.body', body => "$scope->{type} $scope->{method}" });
        };"#,
    );
    for (accept, sse) in [
        ("text/event-stream", true),
        ("text/html, text/event-stream;q=0.5", true),
        ("text/event-stream;q=0", false),
        ("text/event-stream;q=0.000", false),
        ("text/event-stream;q=0.001", true),
        ("text/event-stream; Q=1.000", true),
        ("text/event-stream ; q = 0", false),
        ("*/*", false),
        ("text/*", false),
        ("", false),
        ("text/event-stream-x", false),
        ("application/text/event-stream", false),
        ("text/html\r\nAccept: text/event-stream", true),
        ("text/event-stream;level=1", true),
        ("text/event-stream;level=1;q=0", false),
        ("text/event-stream;q=abc", false),
        ("text/event-stream;q=", false),
        ("text/event-stream;q=2", false),
        ("TEXT/Event-Stream;charset=utf-8", true),
        ("*/*;q=1, text/event-stream;q=0.1", true),
        (" ,, text/event-stream ,", true),
        ("text/html;x=\"text/event-stream\"", false),
        ("text/event-stream;q=0, text/event-stream", true),
    ] {
        let response = lab.get_with("/any/path", &format!("Accept: {accept}\r\n"));
        assert_eq!(response.text(), if sse { "sse GET" } else { "http" }, "{accept}");
    }
    assert_eq!(lab.get("/any/path").text(), "http");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let reply = lab.exchange(request(method, "/", &format!("{ACCEPT}Connection: close\r\n")));
        assert_eq!(reply.response.text(), format!("sse {method}"));
    }
}

#[test]
fn sse_6_sse_7_request_bodies() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @events;
            while (1) {
                my $event = await $receive->();
                push @events, $event;
                last unless $event->{more};
            }
            my $next = $receive->();
            my $text = join '', map { $_->{body} } @events;
            my $last = $events[-1];
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => join ' ', $last->{type}, "body=$text", kind_of($last->{more}), $last->{more},
                join(',', sort keys %$last), $next->is_ready ? 'ready' : 'pending' });
        };"#,
    );
    let expected = |body: &str| format!("data: sse.request body={body} int 0 body,more,type pending\n\n");
    assert_eq!(events(&lab, "/"), expected(""));
    let mut raw = lab.connect();
    raw.send(request("POST", "/", &format!("{ACCEPT}Content-Length: 7\r\n")) + "{\"a\":1}");
    assert_eq!(raw.response("POST").text(), expected("{\"a\":1}"));
    raw.send(
        request("POST", "/", &format!("{ACCEPT}Transfer-Encoding: chunked\r\n"))
            + "2\r\nab\r\n1;x\r\nc\r\n0\r\nT: 1\r\n\r\n",
    );
    assert_eq!(raw.response("POST").text(), expected("abc"));
    let small = Lab::with("route '*' => async sub { note('called') };", &["--max-body-size", "5"]);
    let large = small.exchange(request("POST", "/", &format!("{ACCEPT}Content-Length: 7\r\n")));
    assert_eq!(large.response.status, 413);
    assert_eq!(small.notes(), [""; 0]);
}

#[test]
fn sse_8_an_unread_body_hides_no_disconnect() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => 'x' });
            note('here');
            my $number = 0;
            while (1) {
                await Future::IO->sleep(0.02);
                my $sent = $send->({ type => 'sse.send', data => 'y' });
                last if $number++ > 1000 || $scope->{'pagi.transport'}->buffered_amount > 1_000_000;
                my $event = $receive->();
                if ($event->is_ready && $event->get->{type} eq 'sse.disconnect') { note('gone'); last }
                $event->cancel;
            }
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(request("POST", "/", &format!("{ACCEPT}Content-Length: 100000\r\n")) + &"x".repeat(1000));
    lab.wait_for_note("here");
    raw.reset();
    lab.wait_for_note("gone");
}

#[test]
fn sse_9_sse_13_sse_24_sse_34_stream_events_need_a_start_and_only_one() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @r = await try_events($send,
                send => { type => 'sse.send', data => 'x' }, comment => { type => 'sse.comment', comment => 'x' },
                keepalive => { type => 'sse.keepalive', interval => 1 }, close => { type => 'sse.close' },
                'decline body' => { type => 'sse.http.response.body', body => 'x' },
                start => { type => 'sse.start' }, 'start again' => { type => 'sse.start' },
                decline => { type => 'sse.http.response.start', status => 404 },
                'decline body' => { type => 'sse.http.response.body', body => 'x' },
                send => { type => 'sse.send', data => '1' });
            await $send->({ type => 'sse.send', data => join ' ', map { s/: failed/-/r =~ s/: ok/+/r } @r });
        };
        route '/decline' => async sub ($scope, $receive, $send) {
            my @r = await try_events($send,
                decline => { type => 'sse.http.response.start', status => 404 },
                start => { type => 'sse.start' }, send => { type => 'sse.send', data => 'x' },
                comment => { type => 'sse.comment', comment => 'x' }, keepalive => { type => 'sse.keepalive', interval => 1 },
                close => { type => 'sse.close' }, decline => { type => 'sse.http.response.start', status => 404 });
            await $send->({ type => 'sse.http.response.body', body => join ' ', map { s/: failed/-/r =~ s/: ok/+/r } @r });
        };
        route '/words' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => (await outcome($send->({ type => 'sse.http.response.start', status => 404 }))) =~ s/ at .*//rs });
        };"#,
    );
    assert_eq!(
        events(&lab, "/"),
        "data: 1\n\ndata: send- comment- keepalive- close- decline body- start+ start again- decline- decline body- send+\n\n"
    );
    assert_eq!(lab.get_with("/decline", ACCEPT).text(), "decline+ start- send- comment- keepalive- close- decline-");
    assert_eq!(events(&lab, "/words"), "data: failed: cannot decline with sse.http.response.start after sse.start\n\n");
}

#[test]
fn sse_10_sse_11_sse_12_the_head_of_a_stream() {
    let lab = Lab::new(
        r#"route '/plain' => async sub ($scope, $receive, $send) { await $send->({ type => 'sse.start' }) };
        route '/own' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start', status => 201, headers => [ [ 'Content-Type', 'text/event-stream; charset=utf-8' ],
                [ 'Cache-Control', 'no-store' ], [ 'date', 'never' ], [ 'Content-Length', 5 ], [ 'x', 'y' ], [ 'connection', 'close' ] ] });
        };
        route '/quiet' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $receive->();
            await $receive->();
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(stream("/plain"));
    let plain = raw.response("GET");
    assert_eq!(plain.status, 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(plain.header(name), Some(value));
    }
    assert!(plain.header("date").is_some());
    let own = lab.exchange(request("GET", "/own", &format!("{ACCEPT}Connection: close\r\n"))).response;
    assert_eq!((own.status, own.header("content-length")), (201, None));
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-store"),
        ("date", "never"),
        ("x", "y"),
    ] {
        assert_eq!(own.header(name), Some(value));
    }
    // Flushed at once, before any event (SSE-12).
    let mut raw = lab.connect();
    raw.send(stream("/quiet"));
    raw.read_until_contains("\r\n\r\n");
    // HTTP/1.0: no chunks, the connection's end is the stream's.
    let old = lab.exchange(format!("GET /own HTTP/1.0\r\n{ACCEPT}\r\n")).response;
    assert_eq!((old.header("transfer-encoding"), old.header("connection")), (None, Some("close")));
}

#[test]
fn sse_14_data_2_data_9_data_10_data_11_text_is_encoded() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            my $flagged = "\xe9";
            utf8::upgrade($flagged);
            await $send->({ type => 'sse.send', data => "\xe9" });
            await $send->({ type => 'sse.send', data => $flagged });
            await $send->({ type => 'sse.send', event => "\x{4e2d}", data => "\x{1F42A}\x{20ac}", id => "\xfc" });
            await $send->({ type => 'sse.comment', comment => "\xe9" });
            my @r = await try_events($send, data => { type => 'sse.send', data => chr 0xD800 },
                event => { type => 'sse.send', data => 'x', event => chr 0xDFFF }, id => { type => 'sse.send', data => 'x', id => chr 0x110000 },
                comment => { type => 'sse.comment', comment => "a" . chr 0xD800 });
            await $send->({ type => 'sse.send', data => join ' ', @r });
        };"#,
    );
    let reply = lab.exchange(request("GET", "/", &format!("{ACCEPT}Connection: close\r\n")));
    assert_eq!(
        reply.response.text(),
        "data: é\n\ndata: é\n\nevent: 中\ndata: 🐪€\nid: ü\n\n:é\n\n\
         data: data: failed event: failed id: failed comment: failed\n\n"
    );
    // Chunk sizes are bytes.
    let third = "event: 中\ndata: 🐪€\nid: ü\n\n";
    let chunk = format!("\r\n{:x}\r\n{third}\r\n", third.len());
    assert!(contains(&reply.bytes, chunk.as_bytes()), "{}", reply.bytes.escape_ascii());
}

#[test]
fn sse_15_sse_16_sse_18_sse_19_amb_7_fields_of_an_event() {
    let lab = Lab::new(
        r#"my @sent = (
            { data => '' }, { data => 'one' }, { data => "a\nb" }, { data => "a\r\nb" }, { data => "a\rb" }, { data => "a\n" },
            { data => "\n\n" }, { data => 'x', event => 'tick', id => 42, retry => 3000 }, { data => 'x', retry => 0 },
            { data => 'x', id => '' }, { data => 'x', event => '' }, { data => 0, id => 0, event => 0 }, { data => ':colon' },
            { data => ' space' }, { data => 'x', event => undef, id => undef, retry => undef }, { data => 1.5 },
        );
        route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            for my $event (@sent) { await $send->({ type => 'sse.send', %$event }) }
        };
        my @bad = ({}, { data => undef }, { data => [] }, { data => {} }, map({ { data => 'x', retry => $_ } } -1, 1.5, 'x', '', [], 2**70));
        route '/bad' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            my @ok;
            for my $number (0 .. $#bad) {
                my ($result) = await try_events($send, $number => { type => 'sse.send', %{ $bad[$number] } });
                push @ok, $result unless $result =~ /failed/;
            }
            await $send->({ type => 'sse.send', data => "accepted: @ok" });
        };"#,
    );
    let expected = [
        "data: \n\n",
        "data: one\n\n",
        "data: a\ndata: b\n\n",
        "data: a\ndata: b\n\n",
        "data: a\ndata: b\n\n",
        "data: a\ndata: \n\n",
        "data: \ndata: \ndata: \n\n",
        "event: tick\ndata: x\nid: 42\nretry: 3000\n\n",
        "data: x\nretry: 0\n\n",
        "data: x\nid:\n\n",
        "data: x\n\n",
        "event: 0\ndata: 0\nid: 0\n\n",
        "data: :colon\n\n",
        "data:  space\n\n",
        "data: x\n\n",
        "data: 1.5\n\n",
    ];
    assert_eq!(events(&lab, "/"), expected.concat());
    assert_eq!(events(&lab, "/bad"), "data: accepted: \n\n");
}

#[test]
fn sse_17_send_10_injection_is_refused() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            my @r;
            for my $bad ("a\nb", "a\rb", "a\r\ndata: evil", "\n", "a\0b") {
                push @r, await outcome($send->({ type => 'sse.send', data => 'x', event => $bad })) unless $bad =~ /\0/;
                push @r, await outcome($send->({ type => 'sse.send', data => 'x', id => $bad }));
            }
            await $send->({ type => 'sse.send', data => join ';', map { s/ at .*//rs } @r });
        };"#,
    );
    let text = events(&lab, "/");
    let results: Vec<&str> = text.strip_prefix("data: ").unwrap().trim_end().split(';').collect();
    assert_eq!(results.len(), 9);
    for result in &results {
        let known =
            result.starts_with("failed: Invalid SSE event name") || result.starts_with("failed: Invalid SSE id");
        assert!(known, "{result}");
    }
}

#[test]
fn sse_20_sse_12_each_event_leaves_at_once() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => 'one' });
            await $receive->();
            note('waiting');
            await $receive->();
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(stream("/"));
    raw.read_until_contains("b\r\ndata: one\n\n\r\n");
}

#[test]
fn sse_21_sse_22_comments() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            for my $comment ('keepalive', ':keepalive', '', "a\ndata: x", "a\r\nb\rc", ' space', '::', "\n") {
                await $send->({ type => 'sse.comment', comment => $comment });
            }
        };"#,
    );
    assert_eq!(
        events(&lab, "/"),
        ":keepalive\n\n:keepalive\n\n:\n\n:a\n:data: x\n\n:a\n:b\n:c\n\n: space\n\n::\n\n:\n:\n\n"
    );
}

#[test]
fn sse_22_sse_23_keepalive_comes_and_changes_and_stops() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.keepalive', interval => 0.05, comment => 'first' });
            await Future::IO->sleep(0.5);
            await $send->({ type => 'sse.keepalive', interval => 0.05, comment => "two\ndata: x" });
            await Future::IO->sleep(0.5);
            await $send->({ type => 'sse.keepalive', interval => '0.05' });
            await Future::IO->sleep(0.5);
            await $send->({ type => 'sse.keepalive', interval => 0 });
            await $send->({ type => 'sse.send', data => 'stopped' });
            await Future::IO->sleep(0.2);
            await $send->({ type => 'sse.send', data => 'end' });
        };"#,
    );
    let text = events(&lab, "/");
    let parts: Vec<&str> = text.split_inclusive("\n\n").collect();
    let count = |wanted: &str| parts.iter().filter(|part| **part == wanted).count();
    for comment in [":first\n\n", ":two\n:data: x\n\n", ":\n\n"] {
        assert!(count(comment) >= 1, "{comment:?} in {text:?}");
    }
    assert!(text.ends_with("data: stopped\n\ndata: end\n\n"), "{text:?}");
    assert_eq!(parts.len(), count(":first\n\n") + count(":two\n:data: x\n\n") + count(":\n\n") + 2);
    let first_bare = parts.iter().position(|part| *part == ":\n\n").unwrap();
    assert!(parts[first_bare..].iter().all(|part| *part != ":first\n\n"), "the latest event wins: {text:?}");
}

#[test]
fn sse_25_return_and_close_are_the_same_bytes() {
    let lab = Lab::new(
        r#"route '/return' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start', headers => [ [ 'date', 'fixed' ] ] });
            await $send->({ type => 'sse.send', data => 'x' });
        };
        route '/close' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start', headers => [ [ 'date', 'fixed' ] ] });
            await $send->({ type => 'sse.send', data => 'x' });
            await $send->({ type => 'sse.close', reason => "secret\r\nreason" });
        };"#,
    );
    let close = |path: &str| lab.exchange(request("GET", path, &format!("{ACCEPT}Connection: close\r\n"))).bytes;
    assert_eq!(close("/return"), close("/close"));
    assert!(close("/return").ends_with(b"9\r\ndata: x\n\n\r\n0\r\n\r\n"));
    assert!(!contains(&close("/close"), b"secret"));
    // A stream that ended well leaves the connection usable or closed, never out of step.
    let mut raw = lab.connect();
    raw.send(stream("/return"));
    assert_eq!(raw.response("GET").text(), "data: x\n\n");
}

#[test]
fn sse_24_sse_26_sse_27_sse_29_sse_close_acts_at_once() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $receive->();
            my $parked = $receive->();
            $parked->on_ready(sub ($f) { note($f->get->{type}, "reason='" . $f->get->{reason} . "'") });
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.keepalive', interval => 0.02 });
            my $reason = $scope->{query_string};
            await $send->({ type => 'sse.close', length $reason ? (reason => $reason) : () });
            my @r = await try_events($send, send => { type => 'sse.send', data => 'x' }, comment => { type => 'sse.comment', comment => 'x' },
                keepalive => { type => 'sse.keepalive', interval => 1 }, start => { type => 'sse.start' }, close => { type => 'sse.close' },
                decline => { type => 'sse.http.response.start', status => 200 });
            note(map { s/: failed/-/r =~ s/: ok/+/r } @r);
            note((await outcome($send->({ type => 'sse.send', data => 'x' }))) =~ s/ at .*//rs);
            await Future::IO->sleep(2);
            note('returned');
        };"#,
    );
    let reply = lab.exchange(request("GET", "/?done", &format!("{ACCEPT}Connection: close\r\n")));
    assert!(reply.response.complete && reply.response.body.is_empty());
    assert!(!lab.notes().contains(&"returned".to_owned()));
    lab.wait_for_note("sse.disconnect reason='done'");
    lab.wait_for_note("send- comment- keepalive- start- close+ decline-");
    lab.wait_for_note("failed: cannot send 'sse.send' after sse.close");
    lab.exchange(request("GET", "/", &format!("{ACCEPT}Connection: close\r\n")));
    lab.wait_for_note("sse.disconnect reason=''");
    lab.wait_for_note("returned");
    assert!(!lab.server.has_said("ERROR"), "{}", lab.server.log());
}

#[test]
fn sse_28_sse_31_send_8_causes_of_a_disconnect() {
    let lab = Lab::with(
        r#"route '*' => async sub ($scope, $receive, $send) {
            await $receive->();
            await $send->({ type => 'sse.start' });
            note('here');
            my $event = await $receive->();
            my @late = map { $send->($_) } { type => 'sse.send', data => 'x' }, { type => 'sse.send' }, { type => 'sse.close' },
                { type => 'sse.comment', comment => 'x' }, 'bogus';
            my $again = await $receive->();
            note("$event->{type} $event->{reason}", "$again->{type} $again->{reason}", map { $_->is_done ? 'done' : 'failed' } @late);
        };
        route '/blocked' => async sub ($scope, $receive, $send) {
            await $receive->();
            await $send->({ type => 'sse.start' });
            my $block = 'x' x 300_000;
            my $blocked = await send_until_blocked(sub { $send->({ type => 'sse.send', data => $block }) });
            note('here');
            await $blocked;
            note((await $receive->())->{reason});
        };"#,
        &["--write-timeout", "1"],
    );
    let mut raw = lab.connect();
    raw.send(stream("/"));
    raw.read_until_contains("\r\n\r\n");
    lab.wait_for_note("here");
    drop(raw);
    lab.wait_for_note("sse.disconnect client_closed sse.disconnect client_closed done done done done done");
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(stream("/blocked"));
    lab.wait_for_note("write_timeout");
    assert!(!lab.server.has_said("ERROR"), "{}", lab.server.log());
}

#[test]
fn amb_3_a_loop_that_ignores_the_disconnect_starves_nobody() {
    let lab = Lab::new(
        r#"my $turns = 0;
        route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            note('here');
            while (1) { await $receive->(); $turns++ }
        };
        route '/turns' => async sub ($scope, $receive, $send) { await answer($send, 200, $turns) };"#,
    );
    let mut raw = lab.connect();
    raw.send(stream("/"));
    lab.wait_for_note("here");
    drop(raw);
    pagi_tests::patience::await_that("the loop turns", || lab.get("/turns").text().parse::<u64>().unwrap() > 10);
    for _ in 0..10 {
        assert_eq!(lab.get("/turns").status, 200);
    }
}

#[test]
fn sse_30_resp_5_exceptions_and_silent_returns() {
    let lab = Lab::new(
        r#"route '/before' => async sub { die "before the start\n" };
        route '/return' => async sub { return };
        route '/streaming' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => 'x' });
            die "in the stream\n";
        };
        route '/after' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => 'x' });
            await $send->({ type => 'sse.close' });
            die "after the close\n";
        };"#,
    );
    for path in ["/before", "/return"] {
        let reply = lab.exchange(stream(path));
        assert_eq!((reply.response.status, reply.response.header("connection")), (500, Some("close")));
    }
    let cut = lab.exchange(stream("/streaming"));
    assert_eq!(cut.response.body, b"data: x\n\n");
    assert!(!cut.response.complete);
    let mut old = lab.connect();
    old.send(format!("GET /streaming HTTP/1.0\r\n{ACCEPT}\r\n"));
    assert_eq!(old.read_to_end(), End::Reset);
    assert_eq!(events(&lab, "/after"), "data: x\n\n");
    for text in ["before the start", "in the stream", "after the close"] {
        lab.server.wait_for_log(text);
    }
}

#[test]
fn sse_32_sse_33_sse_35_sse_36_declining() {
    let lab = Lab::new(
        r#"route '*' => async sub ($scope, $receive, $send) {
            my ($status, @parts) = split /,/, $scope->{query_string};
            await $receive->();
            my $parked = $receive->();
            $parked->on_ready(sub ($f) { note('parked receive', $f->is_cancelled ? 'cancelled' : $f->get->{type}) });
            await $send->({ type => 'sse.http.response.start', status => $status, headers => [ [ 'x', 'y' ] ] });
            my $last = pop @parts;
            for my $part (@parts) { await $send->({ type => 'sse.http.response.body', body => $part, more => 1 }) }
            await $send->({ type => 'sse.http.response.body', defined $last ? (body => $last) : () });
            note((await outcome($send->({ type => 'sse.http.response.body', body => 'more' }))) =~ s/:.*//sr);
            await Future::IO->sleep(0.1);
            note('returned');
        };"#,
    );
    for (query, status, body) in
        [("404,no", 404, "no"), ("401,one,two,three", 401, "onetwothree"), ("302", 302, ""), ("200,x", 200, "x")]
    {
        // A second request behind it is not answered: declining closes the connection.
        let reply = lab.exchange(stream(&format!("/?{query}")) + &get_and_close("/?404"));
        assert_eq!((reply.response.status, reply.response.text()), (status, body));
        assert_eq!(reply.response.header("connection"), Some("close"));
        assert_eq!(reply.response.header("x"), Some("y"));
        assert!(reply.response.complete);
        assert_eq!(reply.bytes.windows(9).filter(|window| window == b"HTTP/1.1 ").count(), 1);
        assert_ne!(reply.response.header("content-type"), Some("text/event-stream"));
    }
    for status in ["204", "304"] {
        let empty = lab.exchange(stream(&format!("/?{status},leak")));
        assert_eq!(empty.bytes, empty.response.head);
        assert_eq!(empty.response.header("transfer-encoding"), None);
        assert_eq!(empty.response.header("content-length"), None);
    }
    let head = lab.exchange(request("HEAD", "/?200,leak", ACCEPT));
    assert_eq!(head.bytes, head.response.head);
    pagi_tests::patience::await_that("all returned", || {
        lab.notes().iter().filter(|note| *note == "returned").count() == 7
    });
    assert!(lab.notes().iter().all(|note| !note.contains("sse.disconnect")), "{:?}", lab.notes());
    assert_eq!(lab.notes().iter().filter(|note| *note == "failed").count(), 7);
}

#[test]
fn sse_35_amb_4_amb_8_unfinished_declines_and_sources() {
    let lab = Lab::new(
        r#"route '/unfinished' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.http.response.start', status => 404 });
            await $send->({ type => 'sse.http.response.body', body => 'part', more => 1 });
        };
        route '/file' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.http.response.start', status => 404 });
            my @r = await try_events($send, file => { type => 'sse.http.response.body', file => '/etc/hostname' },
                fh => { type => 'sse.http.response.body', fh => \*STDIN },
                both => { type => 'sse.http.response.body', body => 'x', file => '/etc/hostname' });
            await $send->({ type => 'sse.http.response.body', body => "@r" });
        };"#,
    );
    let cut = lab.exchange(stream("/unfinished"));
    assert!(!cut.response.complete && cut.response.body == b"part");
    assert_eq!(lab.exchange(stream("/file")).response.text(), "file: failed fh: failed both: failed");
    lab.server.wait_for_log("before its response was complete");
}

#[test]
fn amb_11_head_with_an_event_stream() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @r = await try_events($send, start => { type => 'sse.start' }, send => { type => 'sse.send', data => 'x' },
                keepalive => { type => 'sse.keepalive', interval => 0.01 }, comment => { type => 'sse.comment', comment => 'x' });
            await Future::IO->sleep(0.1);
            note($scope->{type}, $scope->{method}, @r);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(request("HEAD", "/", ACCEPT));
    let response = raw.response("HEAD");
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(response.header("transfer-encoding"), None);
    lab.wait_for_note("sse HEAD start: ok send: ok keepalive: ok comment: ok");
    raw.is_silent_for(Duration::from_millis(100));
    assert_eq!(raw.received, b"");
    let closing = lab.exchange(request("HEAD", "/", &format!("{ACCEPT}Connection: close\r\n")));
    assert_eq!(closing.bytes, closing.response.head);
    assert_eq!(lab.exchange(get("/nowhere").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).response.status, 404);
}
