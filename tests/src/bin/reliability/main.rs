//! Counts what becomes of requests while a server is reloaded, restarted, upgraded, scaled, reforked, or hit.
//!
//! `tests/reliability [--requests N] [SCENARIO...]` builds and runs this; the server is the release build, or
//! `$PAGI_SERVER` with `$PAGICTL`. Without a name, all scenarios run. The exit status is 1 when a request was lost that
//! should not have been.

mod clients;
mod harm;
mod planned;
mod site;
mod streams;

use std::time::Instant;

use harm::{killing, stopping, stuck};
use planned::{repeat, slow_boot};
use streams::streams;

type Scenario = fn(usize) -> Report;

const SCENARIOS: [(&str, Scenario); 10] = [
    ("reload", |requests| repeat(requests, 100, |site| site.control(&["reload"]))),
    ("restart", |requests| repeat(requests, 20, |site| site.control(&["restart"]))),
    ("upgrade", |requests| repeat(requests, 20, |site| site.control(&["upgrade"]))),
    ("scale", |requests| {
        repeat(requests, 20, |site| {
            site.control(&["scale", "8"]);
            site.control(&["scale", "2"]);
        })
    }),
    ("refork", |requests| repeat(requests, 20, |site| site.control(&["refork"]))),
    ("streams", |_| streams()),
    ("boot", |_| slow_boot()),
    ("kill", |_| killing()),
    ("stop", |_| stopping()),
    ("stuck", |_| stuck()),
];

/// What came of a scenario.
struct Report {
    answered: usize,
    lost: usize,
    /// So many may be lost: those that were in the hands of a worker that was killed.
    allowed: usize,
    detail: String,
}

fn main() {
    let mut wanted: Vec<String> = Vec::new();
    let mut requests = 200_000;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--requests" {
            let number = arguments.next().and_then(|number| number.parse().ok());
            requests = number.unwrap_or_else(|| usage("--requests takes a number"));
        } else if SCENARIOS.iter().any(|(name, _)| *name == argument) {
            wanted.push(argument);
        } else {
            usage(&format!("There is no scenario {argument}"));
        }
    }
    println!("| Scenario | Requests answered | Lost | Detail | Seconds |\n| --- | ---: | ---: | --- | ---: |");
    let mut failed = false;
    for (name, run) in SCENARIOS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            let started = Instant::now();
            let Report { answered, lost, allowed, detail } = run(requests);
            println!("| {name} | {answered} | {lost} | {detail} | {:.0} |", started.elapsed().as_secs_f64());
            failed |= lost > allowed;
        }
    }
    std::process::exit(i32::from(failed));
}

fn usage(problem: &str) -> ! {
    let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
    eprintln!("{problem}; usage: tests/reliability [--requests N] [{}]...", names.join("|"));
    std::process::exit(2);
}
