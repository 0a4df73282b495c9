//! `pagi.connection` and the standard reasons (protocol sections 9 and 10).

use pagi_tests::lab::{Lab, get, get_and_close, request};
use pagi_tests::raw::Raw;

/// Observes everything about the end of an exchange, in the order in which it happens.
const OBSERVE: &str = r#"
sub observe ($scope, $receive) {
    my $connection = $scope->{'pagi.connection'};
    my $state = sub { join ',', ($connection->is_connected ? 'connected' : 'ended'), $connection->disconnect_reason // 'undef' };
    my $future = $connection->disconnect_future;
    $future->on_ready(sub ($f) { note('future', $f->get, $state->()) });
    $connection->on_disconnect(sub { note('disconnect 1', @_, $state->(), $future->is_ready ? 'future ready' : 'future pending') });
    $connection->on_disconnect(sub { die "a callback dies\n" });
    $connection->on_disconnect(sub { note('disconnect 2', @_) });
    $connection->on_complete(sub { note('complete 1', scalar @_, $state->()) });
    $connection->on_complete(sub { die "a callback dies\n" });
    $connection->on_complete(sub { note('complete 2') });
}
"#;

#[test]
fn conn_1_conn_2_conn_3_conn_4_conn_14_a_new_object_per_http_request() {
    let lab = Lab::new(
        r#"my @objects;
        route '/' => async sub ($scope, $receive, $send) {
            if ($scope->{type} eq 'sse') {
                await $send->({ type => 'sse.start' });
                return await $send->({ type => 'sse.send', data => exists $scope->{'pagi.connection'} ? 'there' : 'absent' });
            }
            my $connection = $scope->{'pagi.connection'};
            my $new = !grep { $_ == $connection } @objects;
            push @objects, $connection;
            my @missing = grep { !$connection->can($_) } qw(is_connected disconnect_reason on_disconnect response_started
                on_complete response_complete disconnect_future);
            await answer($send, 200, join ' ', $new ? 'new' : 'old', @missing, $connection->response_complete,
                $connection->is_connected ? 1 : 0, $connection->response_started ? 1 : 0, kind_of($connection->disconnect_reason),
                ref $connection->disconnect_future);
        };"#,
    );
    let mut raw = lab.connect();
    for _ in 0..3 {
        raw.send(get("/"));
        assert_eq!(raw.response("GET").text(), "new 0 1 0 undef Future");
    }
    assert_eq!(lab.get_with("/", "Accept: text/event-stream\r\n").text(), "data: absent\n\n");
}

#[test]
fn conn_5_conn_7_conn_8_conn_15_conn_23_amb_2_order_at_an_abnormal_end() {
    let lab = Lab::new(&format!(
        "{OBSERVE}{}",
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $receive->();
            observe($scope, $receive);
            my $parked = $receive->();
            $parked->on_ready(sub ($f) { note('receive', $f->get->{type}) });
            note('here');
            await $parked;
            await Future::IO->sleep(0.05);
            note('still', $scope->{'pagi.connection'}->is_connected ? 'connected' : 'ended');
        };"#
    ));
    let mut raw = lab.connect();
    raw.send(get("/"));
    lab.wait_for_note("here");
    drop(raw);
    lab.assert_only_notes(&[
        "here",
        "future client_closed ended,client_closed",
        "disconnect 1 client_closed ended,client_closed future ready",
        "disconnect 2 client_closed",
        "receive http.disconnect",
        "still ended",
    ]);
    lab.server.wait_for_log("a callback dies");
}

#[test]
fn amb_2_send_5_pending_sends_settle_before_the_notifications() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $receive->();
            my $connection = $scope->{'pagi.connection'};
            $connection->disconnect_future->on_ready(sub { note('future') });
            $connection->on_disconnect(sub { note('callback') });
            $receive->()->on_ready(sub { note('receive') });
            await start($send, 200);
            my $block = 'x' x 300_000;
            my $send_future = await send_until_blocked(sub { body($send, $block, 1) });
            $send_future->on_ready(sub { note('send', $connection->is_connected ? 'connected' : 'ended') });
            note('blocked');
            await $send_future;
        };"#,
    );
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(get("/"));
    lab.wait_for_note("blocked");
    drop(raw);
    lab.assert_notes(&["blocked", "send ended", "future", "callback", "receive"]);
}

#[test]
fn conn_13_conn_17_conn_21_conn_22_rsn_3_order_at_a_normal_end() {
    let lab = Lab::new(&format!(
        "{OBSERVE}{}",
        r#"route '/' => async sub ($scope, $receive, $send) {
            observe($scope, $receive);
            my $connection = $scope->{'pagi.connection'};
            my $done = Future->new;
            $connection->on_complete(sub { $done->done });
            my @complete = $connection->response_complete;
            await start($send, 200, [ 'content-length', 2 ]);
            push @complete, $connection->response_complete;
            await body($send, 'o', 1);
            push @complete, $connection->response_complete;
            await body($send, 'k');
            push @complete, $connection->response_complete;
            # The application waits for the very callback.
            await $done;
            note('complete flags', @complete, $connection->is_connected ? 'connected' : 'ended');
        };"#
    ));
    for head in [get("/"), get_and_close("/"), request("HEAD", "/", "")] {
        let before = lab.notes().len();
        let mut raw = lab.connect();
        raw.send(&head);
        raw.response(head.split(' ').next().unwrap());
        pagi_tests::patience::await_that("three notes", || lab.notes().len() == before + 3);
        drop(raw);
        let again =
            pagi_tests::patience::poll(std::time::Duration::from_millis(100), || lab.notes().len() > before + 3);
        assert!(!again, "{:?}", lab.notes());
        let expected = ["complete 1 0 ended,undef", "complete 2", "complete flags 0 0 0 1 ended"];
        assert_eq!(lab.notes()[before..], expected, "{head}");
    }
}

#[test]
fn conn_6_conn_19_conn_23_conn_24_amb_15_emb_15_late_registration() {
    let lab = Lab::new(
        r#"my %kept;
        route '/keep' => async sub ($scope, $receive, $send) {
            $kept{ok} = [ @$scope{qw(pagi.connection pagi.transport)} ];
            await answer($send, 200, 'kept');
        };
        route '/leave' => async sub ($scope, $receive, $send) {
            $kept{gone} = [ @$scope{qw(pagi.connection pagi.transport)} ];
            note('here');
            await $scope->{'pagi.connection'}->disconnect_future;
            note('left');
        };
        route '/late' => async sub ($scope, $receive, $send) {
            my @seen;
            for my $name (qw(gone ok)) {
                my ($connection, $transport) = @{ $kept{$name} };
                push @seen, $name, $connection->is_connected ? 'connected' : 'ended', $connection->disconnect_reason // 'undef',
                    $connection->response_started ? 'started' : 'not started', $connection->response_complete,
                    $transport->buffered_amount;
                $connection->on_disconnect(sub { push @seen, "disconnect(@_)" });
                my $future = $connection->disconnect_future;
                push @seen, $future->is_ready ? 'future ' . $future->get : 'future pending';
                $transport->on_drain(sub { push @seen, 'drain' });
                $transport->on_high_water(sub { push @seen, 'high' });
            }
            await answer($send, 200, join ' ', @seen);
        };
        END { $_->[0]->is_connected, $_->[1]->buffered_amount for values %kept }"#,
    );
    lab.get("/keep");
    let mut raw = lab.connect();
    raw.send(get("/leave"));
    lab.wait_for_note("here");
    drop(raw);
    lab.wait_for_note("left");
    let expected = "gone ended client_closed not started 0 0 disconnect(client_closed) future client_closed \
                    ok ended undef started 1 0 future pending";
    assert_eq!(lab.get("/late").text(), expected);
    let mut lab = lab;
    assert!(lab.server.stop().success(), "{}", lab.server.log());
}

#[test]
fn conn_9_conn_10_state_flips_without_any_call_of_the_application() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            note('here');
            for my $number (1 .. 1000) {
                last unless $connection->is_connected;
                await Future::IO->sleep(0.01);
            }
            note($connection->disconnect_reason);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    lab.wait_for_note("here");
    drop(raw);
    lab.assert_notes(&["here", "client_closed"]);
    let mut raw = lab.connect();
    raw.send(get("/"));
    pagi_tests::patience::await_that("it runs", || lab.notes().len() == 3);
    raw.reset();
    pagi_tests::patience::await_that("it is noticed", || lab.notes().len() == 4);
    let reason = lab.notes().pop().unwrap();
    assert!(reason == "read_error" || reason == "client_closed", "{reason}");
}

#[test]
fn conn_16_nothing_is_called_from_inside_send_or_receive() {
    let lab = Lab::new(
        r#"my $inside = 0;
        route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            my @calls;
            $connection->on_disconnect(sub { push @calls, $inside ? 'inside' : 'outside' });
            $connection->on_complete(sub { push @calls, $inside ? 'inside' : 'outside' });
            $connection->disconnect_future->on_ready(sub { push @calls, $inside ? 'inside' : 'outside' });
            await start($send, 200);
            note('started');
            my $block = 'x' x 20_000;
            for my $number (1 .. 1000) {
                $inside = 1;
                my $future = body($send, $block, 1);
                my $other = $receive->();
                $inside = 0;
                await $future;
                last unless $connection->is_connected;
            }
            await Future::IO->sleep(0.05);
            note(@calls);
        };
        route '/complete' => async sub ($scope, $receive, $send) {
            my @calls;
            $scope->{'pagi.connection'}->on_complete(sub { push @calls, $inside ? 'inside' : 'outside' });
            $inside = 1;
            my $future = start($send, 200, [ 'content-length', 1 ]);
            my $body = body($send, 'x');
            $inside = 0;
            await Future::IO->sleep(0.05);
            note(@calls);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    raw.read_until_contains("xxx");
    raw.reset();
    lab.wait_for_note("outside outside");
    lab.get("/complete");
    lab.wait_for_note("outside");
}

#[test]
fn conn_18_every_future_is_its_own() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            my @futures = map { $connection->disconnect_future } 1 .. 3;
            $connection->on_disconnect(sub ($reason) { note("callback $reason") });
            await Future->wait_any(Future->done, $futures[0]);
            $futures[1]->cancel;
            note($futures[0]->is_cancelled ? 'cancelled' : 'alive');
            note(await $futures[2]);
            note(await $connection->disconnect_future);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    lab.wait_for_note("cancelled");
    drop(raw);
    lab.wait_for_note("callback client_closed");
    pagi_tests::patience::await_that("all notes", || lab.notes().len() == 4);
    let mut notes = lab.notes();
    notes.sort();
    assert_eq!(notes, ["callback client_closed", "cancelled", "client_closed", "client_closed"]);
}

#[test]
fn conn_20_an_exception_after_the_terminal_event() {
    let lab = Lab::new(&format!(
        "{OBSERVE}{}",
        r#"route '/' => async sub ($scope, $receive, $send) {
            observe($scope, $receive);
            await answer($send, 200, 'delivered');
            die "afterwards\n";
        };"#
    ));
    assert_eq!(lab.get("/").text(), "delivered");
    lab.assert_only_notes(&["complete 1 0 ended,undef", "complete 2"]);
    lab.server.wait_for_log("afterwards");
    assert!(lab.server.log().lines().any(|line| line.contains("ERROR") && line.contains("afterwards")));
}

#[test]
fn conn_12_conn_7_requests_of_one_connection_are_apart() {
    let lab = Lab::new(
        r#"my @all;
        route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            push @all, $connection;
            my $number = @all;
            $connection->on_complete(sub { note("$number complete") });
            $connection->on_disconnect(sub { note("$number disconnect") });
            my $started = join '', map { $_->response_started ? 1 : 0 } @all;
            await answer($send, 200, $started);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/").repeat(3));
    for expected in ["0", "10", "110"] {
        assert_eq!(raw.response("GET").text(), expected);
    }
    drop(raw);
    lab.assert_only_notes(&["1 complete", "2 complete", "3 complete"]);
}

#[test]
fn rsn_1_rsn_2_conn_10_reasons_by_their_causes() {
    let lab = Lab::with(
        r#"route '/' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
            note('running');
            if ($scope->{query_string} eq 'die') { die "on purpose\n" }
            while (1) {
                my $event = await $receive->();
                last if $event->{type} eq 'http.disconnect' || !$event->{more};
            }
            await Future::IO->sleep(30);
        };
        route '/slow' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
            await start($send, 200);
            my $block = 'x' x 1_000_000;
            await body($send, $block, 1) while $scope->{'pagi.connection'}->is_connected;
        };"#,
        &["--max-body-size", "10", "--timeout", "1", "--write-timeout", "1"],
    );
    let chunked = request("POST", "/", "Transfer-Encoding: chunked\r\n");
    let mut held = Vec::new();
    for (bytes, reason) in [
        (get("/?die"), "server_error"),
        (chunked.clone() + "5\r\nhello|XX", "protocol_error"),
        (chunked + "5\r\nhello\r\n|6\r\nworld!\r\n", "body_too_large"),
        (request("POST", "/", "Content-Length: 5\r\n") + "he", "client_timeout"),
    ] {
        let mut raw = lab.connect();
        // The application runs before the second part comes.
        let (first, second) = bytes.split_once('|').unwrap_or((&bytes, ""));
        let before = lab.notes().len();
        raw.send(first);
        pagi_tests::patience::await_that("the application runs", || lab.notes().len() > before);
        raw.send(second);
        lab.wait_for_note(reason);
        held.push(raw);
    }
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(get("/slow"));
    lab.wait_for_note("write_timeout");
    let mut raw = lab.connect();
    raw.send(get("/"));
    drop(raw);
    lab.wait_for_note("client_closed");
    let standard = "client_closed client_timeout idle_timeout keepalive_timeout write_timeout write_error read_error \
                    protocol_error server_shutdown server_error body_too_large queue_overflow";
    for note in lab.notes().iter().filter(|note| *note != "running") {
        assert!(standard.split(' ').any(|known| known == note), "{note}");
    }
}

#[test]
fn shut_1_shut_2_rsn_1_graceful_shutdown_of_live_scopes() {
    let mut lab = Lab::with(
        r#"route '/short' => async sub ($scope, $receive, $send) {
            note('short');
            await Future::IO->sleep(0.5);
            await answer($send, 200, 'finished');
        };
        route '/long' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note("long $reason") });
            note('long');
            await $receive->() for ();
            await $scope->{'pagi.connection'}->disconnect_future;
            await Future::IO->sleep(0.05);
            note('long cleaned up');
        };
        route '/stream' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => 'x' });
            note('stream');
            await $receive->();
            my $event = await $receive->();
            note("stream $event->{type} $event->{reason}");
            note('late', map { s/:.*//sr } await outcome($send->({ type => 'sse.send', data => 'y' })));
        };"#
        .replace("            await $receive->() for ();\n", "")
        .as_str(),
        &["--shutdown-timeout", "2"],
    );
    let mut idle = lab.connect();
    idle.send(get("/nowhere"));
    assert_eq!(idle.response("GET").status, 404);
    let mut short = lab.connect();
    short.send(get("/short"));
    let mut long = lab.connect();
    long.send(get("/long"));
    let mut stream = lab.connect();
    stream.send(request("GET", "/stream", "Accept: text/event-stream\r\n"));
    for note in ["short", "long", "stream"] {
        lab.wait_for_note(note);
    }
    lab.server.signal(nix::sys::signal::Signal::SIGTERM);
    let response = short.response("GET");
    assert_eq!((response.text(), response.header("connection")), ("finished", Some("close")));
    assert_eq!(stream.response("GET").text(), "data: x\n\n");
    lab.wait_for_note("stream sse.disconnect server_shutdown");
    lab.wait_for_note("late ok");
    lab.wait_for_note("long server_shutdown");
    lab.wait_for_note("long cleaned up");
    long.read_to_end();
    assert!(!long.received.starts_with(b"HTTP/1.1 200"));
    idle.read_to_end();
    assert!(lab.server.wait_for_exit().success(), "{}", lab.server.log());
}

#[test]
fn conn_23_on_complete_registered_after_completion_runs_at_once() {
    let lab = Lab::new(
        r#"my $kept;
        route '/keep' => async sub ($scope, $receive, $send) {
            $kept = $scope->{'pagi.connection'};
            await answer($send, 200, 'kept');
        };
        route '/late' => async sub ($scope, $receive, $send) {
            my $called = 'not called';
            $kept->on_complete(sub { $called = 'called' });
            await answer($send, 200, $called);
        };"#,
    );
    lab.get("/keep");
    assert_eq!(lab.get("/late").text(), "called");
}

#[test]
fn conn_6_a_request_that_ended_before_its_application_was_called() {
    let lab = Lab::with(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            $connection->on_disconnect(sub ($reason) { note("callback $reason") });
            $connection->disconnect_future->on_done(sub ($reason) { note("future $reason") });
            await Future::IO->sleep(30);
        };"#,
        &["--max-body-size", "10"],
    );
    let chunked = request("POST", "/", "Transfer-Encoding: chunked\r\n");
    for (body, reason) in [("5\r\nhelloXX", "protocol_error"), ("5\r\nhello\r\n6\r\nworld!\r\n", "body_too_large")] {
        let mut raw = lab.connect();
        raw.send(chunked.clone() + body);
        lab.wait_for_note(&format!("callback {reason}"));
        lab.wait_for_note(&format!("future {reason}"));
    }
}
