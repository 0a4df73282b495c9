//! What goes wrong: workers killed, held, or stuck in their application.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Report;
use crate::clients::{Clients, describe};
use crate::site::{APP, Site};

/// A worker killed every second for a minute. What may be lost is what was in its hands.
pub fn killing() -> Report {
    let site = Site::start(&["--http2"]);
    let clients = Clients::start(&site);
    let (mut held, mut kills) = (0, 0);
    for round in 0..60_usize {
        std::thread::sleep(Duration::from_secs(1));
        let ready = site.ready();
        // Any of them: the pattern has no period in common with their number.
        let Some(victim) = ready.get((round * round + round / 3) % ready.len().max(1)) else { continue };
        if victim.signal(Signal::SIGKILL) {
            held += victim.connections;
            kills += 1;
        }
    }
    let tally = clients.finish();
    let detail = format!("{kills} workers killed, which held {held} connections; {}", describe(&tally));
    Report { answered: tally.answered, lost: tally.lost(), allowed: in_its_hands(&tally, held, kills), detail }
}

/// A worker that is held: its queue is served by its neighbours, and it is replaced.
pub fn stopping() -> Report {
    let site = Site::start(&["--http2", "--heartbeat-timeout", "3"]);
    let clients = Clients::start(&site);
    std::thread::sleep(Duration::from_secs(1));
    let victim = site.ready().remove(1);
    let started = Instant::now();
    assert!(victim.signal(Signal::SIGSTOP), "the worker is there");
    let gap = clients.longest_gap(|| site.0.wait_for_log("has shown no sign of life"));
    let replaced = started.elapsed();
    std::thread::sleep(Duration::from_secs(2));
    let tally = clients.finish();
    let detail = format!(
        "killed after {:.1} s (--heartbeat-timeout 3), with {} connections; nothing was answered for at most {:.2} s; {}",
        replaced.as_secs_f64(),
        victim.connections,
        gap.as_secs_f64(),
        describe(&tally)
    );
    let allowed = in_its_hands(&tally, victim.connections, 1);
    Report { answered: tally.answered, lost: tally.lost(), allowed, detail }
}

/// How many requests may be lost with workers that held so many connections. A refused, late or wrong answer is never
/// excused. An HTTP/2 connection carries up to eight requests, and a few connections come between the count and the kill.
fn in_its_hands(tally: &pagi_tests::load::Tally, connections: usize, kills: usize) -> usize {
    let never = tally.refused + tally.timed_out + tally.failed;
    if never > 0 { 0 } else { 8 * connections + 2 * kills }
}

/// Perl that sleeps and Perl that loops: the log says where.
pub fn stuck() -> Report {
    let site = Site::start(&["--heartbeat-timeout", "2"]);
    let address = site.0.address();
    let mut found = Vec::new();
    let places = [("/sleep", "sleep 3600 }"), ("/loop", "1 while 1 }")];
    for (path, code) in places {
        let line = 1 + APP.lines().position(|line| line.contains(code)).expect("the application holds it");
        let place = format!("app.pl line {line}");
        let client = std::thread::spawn(move || pagi_tests::load::get(address, path));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !site.0.has_said(&place) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        if site.0.has_said(&place) {
            found.push(format!("{path}: the log names {place}"));
        }
        assert!(client.join().is_ok_and(|answer| answer.is_err()), "nobody answers {path}");
    }
    Report { answered: found.len(), lost: places.len() - found.len(), allowed: 0, detail: found.join(", ") }
}
