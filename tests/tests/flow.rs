//! `pagi.transport`: outbound flow control (protocol section 14).

use pagi_tests::lab::{Lab, get, get_and_close};
use pagi_tests::raw::Raw;

#[test]
fn flow_1_flow_2_flow_5_flow_12_flow_17_the_handle_is_there_and_cheap() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $transport = $scope->{'pagi.transport'};
            my @missing = grep { !$transport->can($_) } qw(buffered_amount high_water_mark low_water_mark on_high_water on_drain);
            my $sum = 0;
            $sum += $transport->buffered_amount for 1 .. 100_000;
            my $text = join ' ', @missing, $sum, kind_of($transport->buffered_amount), $transport->high_water_mark, $transport->low_water_mark;
            return await answer($send, 200, $text) if $scope->{type} eq 'http';
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => $text });
        };"#,
    );
    assert_eq!(lab.get("/").text(), "0 int 65536 16384");
    assert_eq!(lab.get_with("/", "Accept: text/event-stream\r\n").text(), "data: 0 int 65536 16384\n\n");
}

#[test]
fn flow_12_marks_are_configured_and_checked() {
    let handlers = r#"route '/' => async sub ($scope, $receive, $send) {
        my $transport = $scope->{'pagi.transport'};
        await answer($send, 200, join ' ', $transport->high_water_mark, $transport->low_water_mark);
    };"#;
    let lab = Lab::with(handlers, &["--write-high-watermark", "5000", "--write-low-watermark", "0"]);
    assert_eq!(lab.get("/").text(), "5000 0");
    let bad = Lab::setup(handlers).args(["--write-high-watermark", "5000", "--write-low-watermark", "5000"]).run();
    assert_ne!(bad.code(), 0);
    assert!(bad.stderr.to_lowercase().contains("watermark"), "{}", bad.stderr);
}

/// Streams until blocked, notes every edge, and goes on when the client has read.
const CYCLES: &str = r#"
route '/' => async sub ($scope, $receive, $send) {
    my $transport = $scope->{'pagi.transport'};
    my @edges;
    for my $name (1 .. 3) {
        $transport->on_high_water(sub { push @edges, "high$name" . (@_ ? '(arguments)' : '') });
        $transport->on_drain(sub { push @edges, "drain$name" . (@_ ? '(arguments)' : '') });
    }
    await start($send, 200);
    my $block = 'x' x 100_000;
    my $sent = 0;
    for my $cycle (1 .. 2) {
        my $blocked = await send_until_blocked(sub { $sent++; body($send, $block, 1) });
        my $buffered = $transport->buffered_amount;
        @edges = @edges[-3 .. -1] if @edges > 3;
        note("blocked after $sent", $buffered >= $transport->high_water_mark ? 'above' : "below $buffered", @edges);
        my $late = 0;
        $transport->on_high_water(sub { $late++ });
        note('registered late', $late);
        @edges = ();
        await $blocked;
        # Waiting sends go on first, callbacks follow.
        await Future::IO->sleep(0.02);
        note('released', $transport->buffered_amount < $transport->low_water_mark || !$transport->buffered_amount ? 'below' : 'above',
            grep { !/4/ } @edges);
        @edges = ();
    }
    await body($send, 'end');
    note('end');
};
"#;

#[test]
fn flow_4_flow_6_flow_7_flow_8_flow_9_flow_10_flow_3_two_cycles_of_hysteresis() {
    let lab = Lab::new(CYCLES);
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(get("/"));
    let mut taken = 0;
    for cycle in 0..2 {
        pagi_tests::patience::await_that("a send is blocked", || lab.notes().len() == cycle * 3 + 2);
        let notes = lab.notes();
        let blocked = &notes[cycle * 3];
        let sent: usize = blocked.split(' ').nth(2).unwrap().parse().unwrap();
        assert!(blocked.ends_with("above high1 high2 high3"), "{blocked}");
        assert_eq!(notes[cycle * 3 + 1], "registered late 1");
        // All that was sent so far fits into one reading; the server's buffer is then empty.
        if cycle == 0 {
            raw.read_until_contains("\r\n\r\n");
        }
        raw.skip(sent * 100_000 - taken);
        taken = sent * 100_000;
        pagi_tests::patience::await_that("the send is released", || lab.notes().len() > cycle * 3 + 2);
        assert_eq!(lab.notes()[cycle * 3 + 2], "released below drain1 drain2 drain3");
    }
    lab.wait_for_note("end");
    raw.read_until_contains("0\r\n\r\n");
}

#[test]
fn flow_7_registering_on_an_idle_buffer_calls_nothing() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @calls;
            $scope->{'pagi.transport'}->on_drain(sub { push @calls, 'drain' });
            $scope->{'pagi.transport'}->on_high_water(sub { push @calls, 'high' });
            await start($send, 200);
            for my $number (1 .. 20) { await body($send, 'small', 1) }
            await Future::IO->sleep(0.05);
            await body($send, "calls: @calls");
        };"#,
    );
    assert!(lab.get("/").text().ends_with("smallcalls: "));
}

#[test]
fn flow_11_flow_15_large_events_to_a_fast_reader() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @edges;
            $scope->{'pagi.transport'}->on_high_water(sub { push @edges, 'high' });
            $scope->{'pagi.transport'}->on_drain(sub { push @edges, 'drain' });
            await start($send, 200, [ 'content-length', 10_000_000 ]);
            my $sent = body($send, 'x' x 10_000_000);
            note('taken', $sent->is_done ? 'at once' : 'later');
            await $sent;
            await Future::IO->sleep(0.05) while $scope->{'pagi.transport'}->buffered_amount;
            note('edges', @edges);
        };"#,
    );
    assert_eq!(lab.get("/").body.len(), 10_000_000);
    lab.wait_for_note("taken at once");
    pagi_tests::patience::await_that("the edges", || lab.notes().len() == 2);
    let edges = lab.notes().pop().unwrap();
    assert!(["edges", "edges high", "edges high drain"].contains(&edges.as_str()), "{edges}");
}

#[test]
fn flow_12_amb_13_a_low_mark_of_zero_does_not_hang() {
    let lab = Lab::with(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            my $block = 'x' x 10_000;
            for my $number (1 .. 200) { await body($send, $block, 1) }
            await body($send, 'end');
        };"#,
        &["--write-high-watermark", "1000", "--write-low-watermark", "0"],
    );
    assert_eq!(lab.get("/").body.len(), 2_000_003);
}

#[test]
fn flow_14_emb_2_callbacks_may_send() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $transport = $scope->{'pagi.transport'};
            my $done = Future->new;
            my $block = 'x' x 100_000;
            $transport->on_drain(sub {
                $transport->buffered_amount;
                $transport->on_drain(sub { });
                return if $done->is_ready;
                body($send, $block, 1);
                body($send, 'end');
                $done->done;
            });
            $transport->on_high_water(sub { $receive->()->cancel });
            await start($send, 200);
            my $sent = 0;
            await send_until_blocked(sub { $sent++; body($send, $block, 1) });
            note("sent $sent");
            await $done;
        };"#,
    );
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(get("/"));
    pagi_tests::patience::await_that("a send is blocked", || lab.notes().len() == 1);
    let sent: usize = lab.notes()[0].strip_prefix("sent ").unwrap().parse().unwrap();
    let response = raw.response("GET");
    assert_eq!(response.body.len(), (sent + 1) * 100_000 + 3);
    assert!(response.body.ends_with(b"xend"));
}

#[test]
fn flow_9_a_dying_callback_stops_nothing() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $transport = $scope->{'pagi.transport'};
            $transport->on_high_water(sub { die "high dies\n" });
            $transport->on_high_water(sub { note('high') });
            $transport->on_drain(sub { die "drain dies\n" });
            $transport->on_drain(sub { note('drain') });
            await start($send, 200);
            my $block = 'x' x 100_000;
            my $blocked = await send_until_blocked(sub { body($send, $block, 1) });
            note('blocked');
            await $blocked;
            await Future::IO->sleep(0.02);
            await body($send, 'end');
        };"#,
    );
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(get("/"));
    lab.wait_for_note("blocked");
    assert!(raw.response("GET").body.ends_with(b"end"));
    lab.wait_for_note("high");
    lab.wait_for_note("drain");
    assert!(lab.server.has_said("high dies") && lab.server.has_said("drain dies"));
}

#[test]
fn flow_13_flow_16_no_drain_when_the_client_goes() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $transport = $scope->{'pagi.transport'};
            $transport->on_drain(sub { note('drain') });
            await start($send, 200);
            my $block = 'x' x 300_000;
            my $blocked = await send_until_blocked(sub { body($send, $block, 1) });
            note('blocked');
            await $blocked;
            note('buffered', $transport->buffered_amount);
        };"#,
    );
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(get("/"));
    lab.wait_for_note("blocked");
    let before = lab.notes().len();
    drop(raw);
    pagi_tests::patience::await_that("the send is settled", || lab.notes().len() > before);
    assert_eq!(lab.notes()[before..], ["buffered 0"]);
}

#[test]
fn flow_4_a_file_to_a_slow_reader_does_not_pile_up() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            await $send->({ type => 'http.response.body', file => "$ENV{LAB_NOTES}.sparse" });
        };
        route '/other' => async sub ($scope, $receive, $send) { await answer($send, 200, 'served') };"#,
    );
    std::fs::File::create(lab.server.path("notes.sparse")).unwrap().set_len(500 << 20).unwrap();
    let resident = || pagi_tests::process::Process::find(lab.server.pid()).expect("it lives").resident_kib();
    let before = resident();
    let mut raw = Raw::connect_narrow(lab.address());
    raw.send(get("/"));
    raw.read_until_contains("\r\n\r\n");
    for _ in 0..20 {
        assert_eq!(lab.exchange(get_and_close("/other")).response.text(), "served");
        assert!(resident() < before + 8192, "{before} KiB, then {} KiB", resident());
    }
}
