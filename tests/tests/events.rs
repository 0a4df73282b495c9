//! Events in general, `$receive` and `$send` (protocol section 5).

use std::time::Duration;

use pagi_tests::lab::{Lab, get, get_and_close, request};
use pagi_tests::raw::Raw;

#[test]
fn evt_1_evt_2_evt_8_http_1_http_2_http_3_events_of_a_request() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @events;
            while (1) {
                my $event = await $receive->();
                push @events, join ',', map { "$_=$event->{$_}" } sort keys %$event;
                last unless $event->{more};
            }
            my $next = $receive->();
            await answer($send, 200, join "\n", @events);
            note(join ',', map { $_->{type} . keys %$_ } await $next);
        };"#,
    );
    let only = |body: &str| format!("body={body},more=0,type=http.request");
    assert_eq!(lab.get("/").text(), only(""));
    assert_eq!(lab.post("/", "hello").text(), only("hello"));
    assert_eq!(lab.post("/", "").text(), only(""));
    lab.wait_for_note("http.disconnect1");
}

#[test]
fn recv_1_http_1_http_3_http_8_chunked_upload_in_order() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my ($content, @more) = '';
            while (1) {
                my $event = await $receive->();
                $content .= $event->{body};
                push @more, $event->{more};
                last unless $event->{more};
            }
            my $last = pop @more;
            my $names = join ',', map { $_->[0] } @{ $scope->{headers} };
            await answer($send, 200, "$content $last " . (grep { !$_ } @more) . " $names");
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Transfer-Encoding: chunked\r\n"));
    for chunk in ["3;a=b\r\none\r\n", "3\r\ntwo\r\n", "5\r\nth", "ree\r\n", "0\r\nX-Trailer: 1\r\nHost: evil\r\n\r\n"] {
        raw.send(chunk);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(raw.response("POST").text(), "onetwothree 0 0 host,transfer-encoding");
    // Exact boundaries: fragments of at most 64 KiB, the last one marked.
    for size in [1, 65535, 65536, 65537, 131_072] {
        raw.send(request("POST", "/", &format!("Content-Length: {size}\r\n")));
        raw.send("x".repeat(size));
        let text = raw.response("POST").text().to_owned();
        assert_eq!(text, format!("{} 0 0 host,content-length", "x".repeat(size)), "{size}");
    }
}

#[test]
fn evt_3_evt_4_evt_6_evt_7_send_1_malformed_events_fail_their_future() {
    let lab = Lab::new(
        r#"my @bad = (
            none => [], string => ['x'], empty => [ {} ], undef => [undef], list => [ [] ], code => [ sub { } ],
            'type undef' => [ { type => undef } ], 'type list' => [ { type => [] } ], 'type empty' => [ { type => '' } ],
            bogus => [ { type => 'bogus' } ], 'http.bogus' => [ { type => 'http.bogus' } ],
            'wrong case' => [ { type => 'HTTP.response.start', status => 200 } ],
            'http.request' => [ { type => 'http.request' } ], 'http.disconnect' => [ { type => 'http.disconnect' } ],
            map({ $_ => [ { type => $_, data => 'x', status => 200, body => 'x', interval => 1, comment => 'x', text => 'x' } ] }
                qw(sse.start sse.send sse.comment sse.keepalive sse.close sse.http.response.start sse.http.response.body
                   websocket.accept websocket.send websocket.close websocket.keepalive websocket.http.response.start
                   lifespan.startup.complete lifespan.shutdown.complete ext.anything tick sse.response.start)),
        );
        route '/' => async sub ($scope, $receive, $send) {
            my @results;
            my @cases = @bad;
            while (@cases) {
                my ($name, $arguments) = splice @cases, 0, 2;
                # Not inside eval: a synchronous exception would end this handler.
                my $future = $send->(@$arguments);
                push @results, $name unless ref $future && $future->isa('Future') && $future->is_failed;
            }
            await answer($send, 200, "not failed: @results");
        };
        route '/message' => async sub ($scope, $receive, $send) {
            await answer($send, 200, await outcome($send->({ type => 'sse.send', data => 'x' })));
        };"#,
    );
    assert_eq!(lab.get("/").text(), "not failed: ");
    let message = lab.get("/message");
    assert!(
        message.text().starts_with("failed: Unrecognized event type 'sse.send' for http protocol"),
        "{}",
        message.text()
    );
}

#[test]
fn evt_3_evt_6_malformed_events_on_sse_scopes() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @before = await try_events($send,
                map({ $_ => { type => $_, status => 200, body => 'x' } } qw(http.response.start http.response.body
                    http.response.trailers websocket.accept lifespan.startup.complete sse.connect sse.response.start
                    sse.response.body sse.request sse.disconnect bogus)),
                'bad status' => { type => 'sse.start', status => 'abc' },
                'bad headers' => { type => 'sse.start', headers => 'x' },
            );
            await $send->({ type => 'sse.start' });
            my @after = await try_events($send,
                'send without data' => { type => 'sse.send' },
                'comment without comment' => { type => 'sse.comment' },
                'keepalive without interval' => { type => 'sse.keepalive' },
                'keepalive word' => { type => 'sse.keepalive', interval => 'x' },
                'keepalive minus' => { type => 'sse.keepalive', interval => -1 },
                'keepalive nan' => { type => 'sse.keepalive', interval => 'nan' },
                'keepalive infinite' => { type => 'sse.keepalive', interval => 9**9**9 },
                'http.response.body' => { type => 'http.response.body', body => 'x' },
            );
            await $send->({ type => 'sse.send', data => join ' ', grep { !/: failed$/ } @before, @after });
        };"#,
    );
    let response = lab.get_with("/", "Accept: text/event-stream\r\n");
    assert_eq!(response.text(), "data: \n\n");
}

#[test]
fn data_4_numbers_must_be_finite() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            my @results = await try_events($send, map({ $_ => { type => 'sse.keepalive', interval => $_ } }
                9**9**9, -9**9**9, -sin(9**9**9), 'Inf', 'NaN', '-inf'), good => { type => 'sse.keepalive', interval => '0.5' },
                stop => { type => 'sse.keepalive', interval => 0 });
            await $send->({ type => 'sse.send', data => join ' ', map { s/.*: //r } @results });
        };"#,
    );
    let response = lab.get_with("/", "Accept: text/event-stream\r\n");
    assert_eq!(response.text(), "data: failed failed failed failed failed failed ok ok\n\n");
}

#[test]
fn recv_2_http_5_receive_waits_after_the_body() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $receive->();
            my $next = $receive->();
            await Future::IO->sleep(0.1);
            note($next->is_ready ? 'ready' : 'pending');
            note((await $next)->{type});
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    lab.wait_for_note("pending");
    drop(raw);
    lab.assert_notes(&["pending", "http.disconnect"]);
}

#[test]
fn recv_3_recv_4_http_15_http_16_rsn_3_receive_after_the_response() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $receive->();
            my $parked = $receive->();
            await answer($send, 200, 'x');
            await Future::IO->sleep(0.01);
            note('parked', $parked->is_done ? $parked->get->{type} : 'pending');
            my @futures = map { $receive->() } 1 .. 3;
            note(map { $_->is_ready ? join('+', %{ $_->get }) : 'pending' } @futures);
            note('reason', $scope->{'pagi.connection'}->disconnect_reason);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    assert_eq!(raw.response("GET").text(), "x");
    // The connection is still open: the events mean the response, not the connection.
    lab.assert_notes(&[
        "parked http.disconnect",
        "type+http.disconnect type+http.disconnect type+http.disconnect",
        "reason undef",
    ]);
    raw.send(get("/"));
    assert_eq!(raw.response("GET").text(), "x");
}

#[test]
fn recv_5_http_14_sse_31_a_parked_receive_resolves_at_disconnect() {
    let lab = Lab::new(
        r#"my $handler = async sub ($scope, $receive, $send) {
            await $receive->();
            my $parked = $receive->();
            $parked->on_ready(sub ($f) {
                note($scope->{type}, $f->is_done ? 'done' : $f->is_failed ? 'failed' : 'cancelled',
                    join ' ', map { "$_=" . $f->get->{$_} } sort keys %{ $f->get });
            });
            note("$scope->{type} parked");
            await $parked;
        };
        route '/' => $handler;
        route '/started' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $handler->($scope, $receive, $send);
        };"#,
    );
    for (path, headers, expected) in [
        ("/", "", "http done type=http.disconnect"),
        ("/", "Accept: text/event-stream\r\n", "sse done reason=client_closed type=sse.disconnect"),
        ("/started", "Accept: text/event-stream\r\n", "sse done reason=client_closed type=sse.disconnect"),
    ] {
        for reset in [false, true] {
            let before = lab.notes().len();
            let mut raw = lab.connect();
            raw.send(request("GET", path, headers));
            pagi_tests::patience::await_that("the receive is parked", || lab.notes().len() == before + 1);
            if path == "/started" {
                // Closing with unread input would be a reset.
                raw.read_until_contains("\r\n\r\n");
            }
            if reset {
                raw.reset()
            } else {
                drop(raw)
            }
            pagi_tests::patience::await_that("it is settled", || lab.notes().len() == before + 2);
            let note = lab.notes().pop().unwrap();
            let note = if reset { note.replace("read_error", "client_closed") } else { note };
            assert_eq!(note, expected, "{path} reset: {reset}");
        }
    }
}

#[test]
fn recv_6_receives_are_served_in_order() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @futures = map { $receive->() } 1 .. 3;
            $_->on_done(sub ($event) { note($event->{body}) }) for @futures;
            note('waiting');
            my @events = await Future->needs_all(@futures);
            await answer($send, 200, join ' ', map { $_->{body} } @events);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Content-Length: 9\r\n"));
    lab.wait_for_note("waiting");
    for part in ["one", "two", "six"] {
        raw.send(part);
        // One event each: the next part is sent when this one has arrived.
        lab.wait_for_note(part);
    }
    assert_eq!(raw.response("POST").text(), "one two six");
}

#[test]
fn recv_7_amb_1_a_cancelled_receive_takes_nothing() {
    let lab = Lab::new(
        r#"async sub next_event ($receive) { return await $receive->() }
        route '/' => async sub ($scope, $receive, $send) {
            my $lost = $receive->();
            my $other = $receive->();
            await Future->wait_any($lost, Future::IO->sleep(0.02));
            # Cancelled through an async sub that is parked in it, as well.
            await Future->wait_any(next_event($receive), Future::IO->sleep(0.02));
            note($lost->is_cancelled ? 'cancelled' : 'not cancelled');
            my $first = await $other;
            note($first->{body});
            my $second = await $receive->();
            await answer($send, 200, "$first->{body} $second->{body}");
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Content-Length: 6\r\n"));
    lab.wait_for_note("cancelled");
    raw.send("one");
    lab.wait_for_note("one");
    raw.send("two");
    assert_eq!(raw.response("POST").text(), "one two");
}

#[test]
fn recv_8_an_upload_that_nobody_reads_stays_outside() {
    let lab = Lab::with(
        r#"route '/' => async sub ($scope, $receive, $send) {
            note('here');
            await $scope->{'pagi.connection'}->disconnect_future;
        };"#,
        &["--max-body-size", "0"],
    );
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Content-Length: 1000000000\r\n"));
    lab.wait_for_note("here");
    let before = resident(&lab);
    let block = vec![b'x'; 1 << 20];
    let mut taken = 0;
    while let Ok(sent @ 1..) = raw.offer_some(&block, Duration::from_millis(500)) {
        taken += sent;
        assert!(taken < 100 << 20, "the server reads on and on");
    }
    assert!(resident(&lab) < before + 4096, "{} KiB, then {} KiB", before, resident(&lab));
}

fn resident(lab: &Lab) -> u64 {
    pagi_tests::process::Process::find(lab.server.pid()).expect("the server lives").resident_kib()
}

#[test]
fn recv_9_conn_9_a_vanished_client_is_noticed_while_reading_is_paused() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            $connection->on_disconnect(sub ($reason) { note('gone', $connection->is_connected ? 1 : 0) });
            note('here');
            await Future::IO->sleep(30);
        };"#,
    );
    for reset in [true, false] {
        let before = lab.notes().len();
        let mut raw = lab.connect();
        raw.send(request("POST", "/", "Content-Length: 1000000\r\n"));
        pagi_tests::patience::await_that("the handler runs", || lab.notes().len() == before + 1);
        // More than the server holds for an application that does not read, and little enough to reach its socket.
        raw.send([b'x'; 100_000]);
        if reset {
            raw.reset()
        } else {
            drop(raw)
        }
        pagi_tests::patience::await_that("the loss is noticed", || lab.notes().len() == before + 2);
        assert_eq!(lab.notes().pop().unwrap(), "gone 0");
    }
}

#[test]
fn send_2_body_11_a_handle_may_be_closed_after_the_send() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            open my $fh, '<', \('content' x 30_000) or die;
            await start($send, 200);
            await $send->({ type => 'http.response.body', fh => $fh });
            note(close $fh ? 'closed' : "cannot close: $!");
        };"#,
    );
    assert_eq!(lab.get("/").body.len(), 210_000);
    lab.wait_for_note("closed");
}

#[test]
fn send_3_send_15_a_small_send_resolves_at_once() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $start = start($send, 200);
            my $body = body($send, 'x' x 1000, 1);
            my $last = body($send, 'y');
            note(map { $_->is_done ? 'done' : 'pending' } $start, $body, $last);
            note(map { scalar(my @values = $_->get) } $start, $body, $last);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    lab.assert_notes(&["done done done", "0 0 0"]);
}

#[test]
fn send_4_send_5_send_6_flow_4_flow_13_a_blocked_send_settles_when_the_client_goes() {
    let lab = Lab::new(
        r#"my %make = (
            inline => sub ($send) { body($send, 'x' x 300_000, 1) },
            handle => sub ($send) { open my $fh, '<', '/dev/zero'; $send->({ type => 'http.response.body', fh => $fh }) },
            sse => sub ($send) { $send->({ type => 'sse.send', data => 'x' x 300_000 }) },
        );
        route '*' => async sub ($scope, $receive, $send) {
            my $make = $make{ substr $scope->{path}, 1 };
            $scope->{'pagi.transport'}->on_drain(sub { note('drained') });
            await $send->({ type => $scope->{type} eq 'sse' ? 'sse.start' : 'http.response.start', status => 200 });
            my $future = await send_until_blocked(sub { $make->($send) });
            note('blocked');
            $future->on_ready(sub ($f) {
                note($f->is_done ? 'done' : $f->is_failed ? 'failed ' . $f->failure : 'cancelled');
            });
            await $future;
            note('buffered', $scope->{'pagi.transport'}->buffered_amount);
        };
        route '/other' => async sub ($scope, $receive, $send) { await answer($send, 200, 'served') };"#,
    );
    for (path, headers) in [("/inline", ""), ("/handle", ""), ("/sse", "Accept: text/event-stream\r\n")] {
        for reset in [false, true] {
            let before = lab.notes().len();
            let mut raw = Raw::connect_narrow(lab.address());
            raw.send(request("GET", path, headers));
            pagi_tests::patience::await_that("the send is blocked", || lab.notes().len() == before + 1);
            assert_eq!(lab.get("/other").text(), "served");
            if reset {
                raw.reset()
            } else {
                drop(raw)
            }
            pagi_tests::patience::await_that("it is settled", || lab.notes().len() == before + 3);
            assert_eq!(lab.notes()[before..], ["blocked", "done", "buffered 0"], "{path}");
        }
    }
    assert!(!lab.server.has_said("ERROR"), "{}", lab.server.log());
}

#[test]
fn send_7_a_failed_send_stays_failed() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $failed = start($send, 'abc');
            note($failed->failure =~ s/\s+\z//r);
            await $receive->();
            await $receive->();
            note($failed->is_failed ? $failed->failure =~ s/\s+\z//r : 'rewritten');
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    pagi_tests::patience::await_that("the send has failed", || lab.notes().len() == 1);
    drop(raw);
    pagi_tests::patience::await_that("the client is gone", || lab.notes().len() == 2);
    assert_eq!(lab.notes()[0], lab.notes()[1]);
}

#[test]
fn send_8_send_9_resp_3_sends_after_a_disconnect_are_silent() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            note('here');
            await $scope->{'pagi.connection'}->disconnect_future;
            my @futures = map { $send->($_) }
                { type => 'http.response.start', status => 200 }, { type => 'http.response.body', body => 'x', more => 1 },
                { type => 'http.response.body', body => 'y' }, { type => 'http.response.start', status => 'abc' }, 'bogus', {},
                { type => 'http.response.body', file => '/nonexistent' };
            note(map { $_->is_done ? 'done' : 'not done' } @futures);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    lab.wait_for_note("here");
    raw.reset();
    lab.assert_notes(&["here", &["done"; 7].join(" ")]);
    assert!(!lab.server.has_said("ERROR"), "{}", lab.server.log());
}

#[test]
fn send_8_code_that_sends_without_end_to_nobody_starves_nobody() {
    let lab = Lab::new(
        r#"route '/http' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            while (1) { await $send->({ type => 'http.response.body', body => 'x' x 1000, more => 1 }) }
        };
        route '/sse' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            while (1) { await $send->({ type => 'sse.send', data => 'x' }) }
        };
        route '/kept' => async sub ($scope, $receive, $send) {
            our $kept = (async sub {
                await start($send, 200);
                while (1) { await $send->({ type => 'http.response.body', body => 'x' x 1000, more => 1 }) }
            })->();
            await Future->done;
        };
        route '/other' => async sub ($scope, $receive, $send) { 
            await start($send, 200);
            await $send->({ type => 'http.response.body', body => 'served' });
        };"#,
    );
    for request in [
        "GET /http HTTP/1.1",
        "HEAD /http HTTP/1.1",
        "GET /sse HTTP/1.1\r\nAccept: text/event-stream",
        "GET /kept HTTP/1.1",
    ] {
        let mut raw = lab.connect();
        raw.send(format!("{request}\r\nHost: x\r\n\r\n"));
        if !request.starts_with("HEAD") {
            raw.read_until_contains("HTTP/1.1 ");
            raw.reset();
        }
        for _ in 0..3 {
            let mut other = lab.connect();
            other.send(get_and_close("/other"));
            assert_eq!(other.response("GET").text(), "served", "{request}");
        }
    }
}

#[test]
fn send_10_send_11_amb_10_resp_4_every_illegal_event_of_http_fails_and_changes_nothing() {
    let lab = Lab::new(
        r#"my $start = { type => 'http.response.start', status => 200 };
        my $more = { type => 'http.response.body', body => 'a', more => 1 };
        my $last = { type => 'http.response.body', body => 'z' };
        my $trailers = { type => 'http.response.trailers' };
        my $file = { type => 'http.response.body', file => '/etc/hostname' };
        route '/' => async sub ($scope, $receive, $send) {
            my @r = await try_events($send, body => $last, file => $file, trailers => $trailers, start => $start,
                'start again' => $start, trailers => $trailers, more => $more, 'start again' => $start, trailers => $trailers,
                file => $file, more => $more, last => $last, more => $more, last => $last, start => $start, trailers => $trailers,
                file => $file);
            note(@r);
        };
        route '/trailers' => async sub ($scope, $receive, $send) {
            my @r = await try_events($send, start => { %$start, trailers => 1 }, 'early trailers' => $trailers, more => $more,
                'early trailers' => $trailers, last => $last, more => $more, last => $last, file => $file, start => $start,
                trailers => $trailers, 'trailers again' => $trailers, last => $last);
            note(@r);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    assert_eq!(raw.response("GET").text(), "aaz");
    lab.wait_for_note(
        "body: failed file: failed trailers: failed start: ok start again: failed trailers: failed more: ok \
         start again: failed trailers: failed file: failed more: ok last: ok more: failed last: failed start: failed \
         trailers: failed file: failed",
    );
    raw.send(get("/trailers"));
    assert_eq!(raw.response("GET").text(), "az");
    lab.wait_for_note(
        "start: ok early trailers: failed more: ok early trailers: failed last: ok more: failed last: failed \
         file: failed start: failed trailers: ok trailers again: failed last: failed",
    );
}

#[test]
fn send_12_send_13_overlapping_sends_keep_their_order() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @futures = start($send, 200);
            push @futures, body($send, sprintf('%03d', $_) x 1000, 1) for 1 .. 100;
            push @futures, body($send, 'end');
            await Future->needs_all(@futures);
        };"#,
    );
    let expected: String = (1..=100).map(|number| format!("{number:03}").repeat(1000)).collect::<String>() + "end";
    assert!(lab.get("/").text() == expected);
}

#[test]
fn send_14_a_cancelled_send_leaves_the_framing_whole() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            my $count = 0;
            my $future = await send_until_blocked(sub { $count++; body($send, 'x' x 100_000, 1) });
            $future->cancel;
            note("count $count");
            await body($send, 'end');
        };"#,
    );
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(get("/"));
    pagi_tests::patience::await_that("a send is cancelled", || lab.notes().len() == 1);
    let count: usize = lab.notes()[0].strip_prefix("count ").unwrap().parse().unwrap();
    let response = raw.response("GET");
    assert_eq!(response.body.len(), count * 100_000 + 3);
    assert!(response.body.ends_with(b"xend"));
    raw.send(get_and_close("/"));
    raw.read_until_contains("HTTP/1.1 200");
}

#[test]
fn emb_2_emb_20_continuations_may_call_anything() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            my $transport = $scope->{'pagi.transport'};
            my $late = Future->new;
            $connection->on_complete(sub {
                note('first');
                $connection->on_complete(sub { note('registered inside') });
                $receive->()->on_done(sub ($event) { note($event->{type}) });
                $send->({ type => 'http.response.body', body => 'late' })->on_ready(sub { note('late send settled') });
                $transport->buffered_amount;
                undef $connection;
                $late->done;
            });
            $receive->()->on_done(sub ($event) {
                start($send, 200, [ 'content-length', 2 ])->on_done(sub {
                    body($send, 'a', 1)->on_done(sub { body($send, 'b')->on_done(sub { note('sent') }) });
                });
            });
            await $late;
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    assert_eq!(raw.response("GET").text(), "ab");
    for note in ["sent", "first", "registered inside", "http.disconnect", "late send settled"] {
        lab.wait_for_note(note);
    }
    raw.send(get("/"));
    assert_eq!(raw.response("GET").text(), "ab");
}

#[test]
fn emb_9_emb_10_abandoned_and_cancelled_futures() {
    let lab = Lab::new(
        r#"route '/abandoned' => async sub ($scope, $receive, $send) {
            await $receive->();
            $receive->()->on_ready(sub ($f) { note($f->get->{type}) });
            note('here');
            await Future::IO->sleep(30);
        };
        route '/cancelled' => async sub ($scope, $receive, $send) {
            await $receive->();
            $receive->()->cancel;
            $scope->{'pagi.connection'}->disconnect_future->cancel;
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
            note('here');
            await Future::IO->sleep(30);
        };"#,
    );
    for (path, expected) in [("/abandoned", "http.disconnect"), ("/cancelled", "client_closed")] {
        let before = lab.notes().len();
        let mut raw = lab.connect();
        raw.send(get(path));
        pagi_tests::patience::await_that("the handler runs", || lab.notes().len() > before);
        drop(raw);
        lab.wait_for_note(expected);
    }
}

#[test]
fn emb_14_the_applications_own_error_variable_survives() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_complete(sub { eval { die "inner\n" }; $! = 2; $_ = 'changed' });
            eval { die "mine\n" };
            $_ = 'topic';
            $? = 7;
            my $sent = start($send, 200, [ 'content-length', 1 ]);
            my $kept = "$@";
            body($send, 'x');
            note(map { s/\n//r } $kept, "$@", $_, $?);
            $? = 0;
        };"#,
    );
    lab.get("/");
    lab.wait_for_note("mine mine topic 7");
}

#[test]
fn emb_17_futures_resolve_with_nothing_or_one_event() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @event = await $receive->();
            my @sent = await start($send, 200);
            await body($send, scalar(@event) . ref($event[0]) . scalar(@sent));
        };"#,
    );
    assert_eq!(lab.get("/").text(), "1HASH0");
}
