//! What monitoring sees: form, meaning and completeness of the metrics.

use std::io::Write as _;
use std::process::{Command, Stdio};

use pagi_tests::lab::{self, Lab, get, get_and_close};
use pagi_tests::metrics::{self, Metrics};
use pagi_tests::patience::await_that;
use pagi_tests::raw::Raw;
use pagi_tests::server::Server;
use pagi_tests::websocket::Socket;

const HANDLERS: &str = r#"
use Time::HiRes ();
route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };
route '/late' => async sub ($scope, $receive, $send) {
    await Future::IO->sleep(0.3);
    await answer($send, 200, 'late');
};
route '/blocks' => async sub ($scope, $receive, $send) {
    Time::HiRes::sleep(0.4);
    await answer($send, 200, 'blocked');
};
route '/events' => async sub ($scope, $receive, $send) {
    await $send->({ type => 'sse.start' });
    await $send->({ type => 'sse.send', data => 'hello' });
    # The request's body, then the end of the client.
    await $receive->();
    await $receive->();
};
route '/socket' => async sub ($scope, $receive, $send) {
    await $receive->();
    await $send->({ type => 'websocket.accept' });
    await $receive->();
};
route '/flood' => async sub ($scope, $receive, $send) {
    await start($send, 200);
    await send_until_blocked(sub { body($send, 'x' x 65536, 1) });
    note('blocked');
    await Future::IO->sleep(3600);
};
"#;

fn serve(options: &[&str]) -> Lab {
    Lab::with(HANDLERS, &[&["--admin-listen", "127.0.0.1:0"], options].concat())
}

fn kind(server: &Server, kind: &str) -> f64 {
    Metrics::of(server).get(&format!("pagi_connections_by_kind{{kind=\"{kind}\"}}"))
}

/// Every family and whether it is a counter, as docs/operations.md lists them.
fn documented() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let text = std::fs::read_to_string(path).expect("docs/operations.md can be read");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `pagi_")?.split(" | ");
        let name = cells.next()?.split(['`', '{']).next()?;
        Some((format!("pagi_{name}"), cells.next()?.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn every_metric_is_documented_and_nothing_else_is() {
    let lab = serve(&["--workers", "2", "--pool", "1"]);
    let metrics = Metrics::of(&lab.server);
    let told: Vec<_> = metrics.families.iter().map(|(name, family)| (name.clone(), family.kind.clone())).collect();
    let mut documented = documented();
    documented.sort();
    assert_eq!(told, documented);
}

#[test]
fn independent_parsers_read_both_forms() {
    let lab = serve(&["--workers", "2"]);
    assert_eq!(lab.get("/ok").status, 200);
    let open = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5";
    for (accept, module) in [("", "prometheus_client.parser"), (open, "prometheus_client.openmetrics.parser")] {
        let page = metrics::page(&lab.server, accept);
        assert_eq!(page.ends_with("# EOF\n"), !accept.is_empty());
        let program = format!(
            "import sys\nfrom {module} import text_string_to_metric_families as parse\n\
             print(sum(len(family.samples) for family in parse(sys.stdin.read())))"
        );
        let mut python = Command::new("/usr/bin/python3")
            .args(["-c", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        python.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("python reads");
        let output = python.wait_with_output().expect("python ends");
        assert!(output.status.success(), "{}\n{page}", String::from_utf8_lossy(&output.stderr));
        let samples = page.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), samples.to_string());
    }
}

#[test]
fn durations_are_in_their_classes() {
    for workers in ["1", "2"] {
        let lab = serve(&["--workers", workers]);
        for path in ["/ok", "/ok", "/late"] {
            assert_eq!(lab.get(path).status, 200);
        }
        let count = |metrics: &Metrics| metrics.get("pagi_request_duration_seconds_count");
        await_that("three are counted", || count(&Metrics::of(&lab.server)) == 3.0);
        let metrics = Metrics::of(&lab.server);
        let below = |bound: &str| metrics.get(&format!("pagi_request_duration_seconds_bucket{{le=\"{bound}\"}}"));
        assert!(below("0.25") <= 2.0 && below("+Inf") == 3.0, "{metrics:#?}");
        let bounds = [
            "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
        ];
        assert!(bounds.map(below).is_sorted(), "a class includes those below it");
        assert!(metrics.get("pagi_request_duration_seconds_sum") >= 0.3);
        // What is refused before it is understood takes no time, and still is a request.
        lab.exchange("GET / HTTP/1.1\r\n\r\n");
        await_that("four are counted", || Metrics::of(&lab.server).get("pagi_requests_total") == 4.0);
        assert_eq!(count(&Metrics::of(&lab.server)), 3.0);
    }
}

#[test]
fn connections_are_counted_by_what_they_are() {
    let lab = serve(&["--http2", "--workers", "2"]);
    let server = &lab.server;
    let mut plain = lab.connect();
    plain.send(get("/ok"));
    plain.response("GET");
    let socket = Socket::open(lab.address(), "/socket").expect("a WebSocket");
    let mut events = lab.connect();
    events.send(lab::request("GET", "/events", "Accept: text/event-stream\r\n"));
    events.read_until_contains("data: hello");
    let mut second = Raw::connect(lab.address());
    second.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    await_that("all four are there", || {
        let metrics = Metrics::of(server);
        let kinds = ["http1", "http2", "websocket", "sse"];
        let found = kinds.map(|kind| metrics.get(&format!("pagi_connections_by_kind{{kind=\"{kind}\"}}")));
        found == [3.0, 1.0, 1.0, 1.0] && metrics.get("pagi_connections") == 4.0
    });
    drop((plain, socket, events, second));
    for name in ["http1", "http2", "websocket", "sse"] {
        await_that(name, || kind(server, name) == 0.0);
    }
    let metrics = Metrics::of(server);
    // A WebSocket or an event stream has no duration.
    assert_eq!(metrics.get("pagi_request_duration_seconds_count"), 1.0);
}

#[test]
fn buffered_bytes_rise_and_fall() {
    let lab = serve(&[]);
    let mut slow = Raw::connect_narrow(lab.address());
    slow.send(get_and_close("/flood"));
    lab.wait_for_note("blocked");
    let buffered = || Metrics::of(&lab.server).get("pagi_buffered_bytes");
    // A send stays pending as long as the buffer is above the low mark.
    await_that("a client that does not read is seen", || buffered() >= 16384.0);
    drop(slow);
    await_that("and forgotten", || buffered() == 0.0);
}

#[test]
fn blk_1_a_held_loop_is_seen() {
    let lab = serve(&["--workers", "2", "--slow-handler", "0.2"]);
    assert_eq!(lab.get("/blocks").status, 200);
    let longest = |metrics: &Metrics, name: &str| metrics.all(name).into_iter().fold(0.0, f64::max);
    await_that("lag and call are told", || {
        let metrics = Metrics::of(&lab.server);
        longest(&metrics, "pagi_worker_loop_lag_seconds") >= 0.4
            && longest(&metrics, "pagi_worker_longest_call_seconds") >= 0.4
            && metrics.get("pagi_loop_busy_seconds_total") >= 0.4
            && metrics.get("pagi_slow_calls_total") == 1.0
    });
}

#[test]
fn waiting_connections_are_seen_queue_by_queue() {
    use nix::sys::signal::{Signal, kill};
    let lab = serve(&["--workers", "2", "--listener-backlog", "64"]);
    lab.server.wait_for_log("Worker 2 (");
    let metrics = Metrics::of(&lab.server);
    assert_eq!(metrics.all("pagi_accept_queue_limit"), [64.0, 64.0]);
    assert_eq!(metrics.all("pagi_accept_queue_length"), [0.0, 0.0]);
    // Nobody accepts any more.
    let workers: Vec<_> = pagi_tests::process::group(lab.server.pid())
        .into_iter()
        .filter(|process| process.title.starts_with("pagi-server: worker "))
        .collect();
    workers.iter().for_each(|worker| kill(worker.pid, Signal::SIGSTOP).expect("a worker"));
    let clients: Vec<Raw> = (0..10).map(|_| lab.connect()).collect();
    await_that("ten wait", || Metrics::of(&lab.server).all("pagi_accept_queue_length").iter().sum::<f64>() == 10.0);
    workers.iter().for_each(|worker| kill(worker.pid, Signal::SIGCONT).expect("a worker"));
    await_that("none waits", || Metrics::of(&lab.server).all("pagi_accept_queue_length") == [0.0, 0.0]);
    drop(clients);
}

#[test]
fn there_are_as_many_accept_queues_as_asked_for() {
    let queues = |setup: pagi_tests::server::Setup| {
        let server = setup.workers(2).args(["--admin-listen", "127.0.0.1:0"]).start();
        Metrics::of(&server).all("pagi_accept_queue_limit").len()
    };
    assert_eq!(queues(Lab::setup(HANDLERS)), 2);
    assert_eq!(queues(Lab::setup(HANDLERS).args(["--queues", "5"])), 5);
    assert_eq!(queues(Lab::setup(HANDLERS).args(["--queues", "1"])), 1);
    let in_file = || Lab::setup(HANDLERS).file("pagi.toml", "queues = 1\n").args(["--config", "pagi.toml"]);
    assert_eq!(queues(in_file()), 1);
    assert_eq!(queues(in_file().arg("--reuseport")), 2, "what is said more strongly counts");
}

#[test]
fn memory_of_every_process_is_told() {
    let lab = serve(&["--workers", "2", "--pool", "1"]);
    await_that("everybody serves", || {
        let metrics = Metrics::of(&lab.server);
        metrics.get("pagi_workers{state=\"ready\"}") == 2.0
            && metrics.get("pagi_pool_processes{state=\"ready\"}") == 1.0
    });
    let metrics = Metrics::of(&lab.server);
    for (name, number) in
        [("pagi_worker_resident_bytes", 3), ("pagi_mold_resident_bytes", 1), ("pagi_master_resident_bytes", 1)]
    {
        let sizes = metrics.all(name);
        assert_eq!(sizes.len(), number, "{name}");
        assert!(sizes.iter().all(|&size| size > 1_000_000.0), "{name}: {sizes:?}");
    }
    let info = format!("pagi_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(metrics.get(&info), 1.0);
}
