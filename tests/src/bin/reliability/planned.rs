//! What an operator does on purpose: nothing may be lost.

use crate::Report;
use crate::clients::{Clients, describe};
use crate::site::{Site, WORKERS};

/// Does something again and again, spread over so many requests.
pub fn repeat(requests: usize, rounds: usize, action: impl Fn(&Site)) -> Report {
    let site = Site::start(&["--http2"]);
    let clients = Clients::start(&site);
    for round in 1..=rounds {
        action(&site);
        clients.wait_for(requests * round / rounds);
    }
    let tally = clients.finish();
    let detail = format!("{rounds} rounds, {WORKERS} workers; {}", describe(&tally));
    Report { answered: tally.answered, lost: tally.lost(), allowed: 0, detail }
}

/// A reload of an application that takes ten seconds to load.
pub fn slow_boot() -> Report {
    let site = Site::start(&["--http2"]);
    let clients = Clients::start(&site);
    std::fs::write(site.0.path("boot"), "10").expect("a file can be written");
    let gap = clients.longest_gap(|| site.control(&["reload"]));
    let tally = clients.finish();
    let detail =
        format!("10 s of loading; nothing was answered for at most {:.2} s; {}", gap.as_secs_f64(), describe(&tally));
    Report { answered: tally.answered, lost: tally.lost(), allowed: 0, detail }
}
