//! Clients of every kind, all at once.

use std::time::{Duration, Instant};

use pagi_tests::load::{Load, Reuse, Tally};

use crate::site::Site;

pub struct Clients(Vec<Load>);

impl Clients {
    /// Keep-alive, a connection per request and HTTP/2; answers at once and after 50 ms.
    pub fn start(site: &Site) -> Self {
        let address = site.0.address();
        let mut loads = vec![Load::start_http2(address, "/", 2, 4), Load::start_http2(address, "/slow", 2, 8)];
        for (path, clients, reuse) in [
            ("/", 6, Reuse::KeepAlive),
            ("/", 4, Reuse::Never),
            ("/slow", 16, Reuse::KeepAlive),
            ("/slow", 8, Reuse::Never),
        ] {
            loads.push(Load::start(address, path, clients, reuse));
        }
        Self(loads)
    }

    pub fn answered(&self) -> usize {
        self.0.iter().map(Load::answered).sum()
    }

    /// Waits until so many requests have been answered.
    pub fn wait_for(&self, requests: usize) {
        while self.answered() < requests {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn finish(self) -> Tally {
        let mut sum = Tally::default();
        self.0.into_iter().for_each(|load| sum.add(load.finish()));
        sum
    }

    /// The longest time in which nothing was answered.
    pub fn longest_gap(&self, during: impl FnOnce() + Send) -> Duration {
        std::thread::scope(|scope| {
            let work = scope.spawn(during);
            let (mut longest, mut last, mut since) = (Duration::ZERO, self.answered(), Instant::now());
            while !work.is_finished() {
                std::thread::sleep(Duration::from_millis(5));
                let now = self.answered();
                if now != last {
                    longest = longest.max(since.elapsed());
                    (last, since) = (now, Instant::now());
                }
            }
            longest
        })
    }
}

/// The kinds of loss.
pub fn describe(tally: &Tally) -> String {
    let Tally { failed, refused, reset, closed, truncated, timed_out, .. } = tally;
    format!(
        "status not 200: {failed}, refused: {refused}, reset: {reset}, closed on reuse: {closed}, truncated: {truncated}, timed out: {timed_out}"
    )
}
