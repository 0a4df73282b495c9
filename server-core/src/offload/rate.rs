//! How many requests a client may make: a token bucket for each address, in a table of bounded size.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::event::Content;
use crate::exchange::Exchange;
use crate::header::HeaderList;
use crate::scope::Peer;
use crate::service::{self, Claim, Service};

/// A limit, for each worker by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateOptions {
    /// Requests that a client may make at once, and within the period in the long run. Crossed: 429. `rate_limit`, off by
    /// default.
    pub requests: u32,
    /// The period.
    pub period: Duration,
    /// Clients that are remembered; beyond it some are forgotten, who may then make as many requests as new ones.
    /// `rate_limit_clients`, default 10,000.
    pub clients: usize,
}

/// A client: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer gets.
type Key = u128;

/// Buckets are emptied of the idle at most this often.
const SWEEP: Duration = Duration::from_secs(1);

struct Bucket {
    tokens: f64,
    since: Instant,
}

/// The buckets of one worker.
pub struct RateLimiter {
    options: RateOptions,
    state: RefCell<State>,
}

struct State {
    buckets: HashMap<Key, Bucket>,
    swept: Option<Instant>,
}

impl RateLimiter {
    /// Full buckets for everybody.
    #[must_use]
    pub fn new(options: RateOptions) -> Self {
        Self { options, state: RefCell::new(State { buckets: HashMap::new(), swept: None }) }
    }

    /// Takes a token, or says how long to wait for one.
    fn take(&self, key: Key, now: Instant) -> Result<(), Duration> {
        let most = f64::from(self.options.requests);
        let per_second = most / self.options.period.as_secs_f64();
        let state = &mut *self.state.borrow_mut();
        if !state.buckets.contains_key(&key) {
            state.make_room(self.options.clients, now, most, per_second);
        }
        let bucket = state.buckets.entry(key).or_insert(Bucket { tokens: most, since: now });
        bucket.refill(now, most, per_second);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / per_second))
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant, most: f64, per_second: f64) {
        let gained = now.saturating_duration_since(self.since).as_secs_f64() * per_second;
        self.tokens = (self.tokens + gained).min(most);
        self.since = now;
    }
}

impl State {
    /// Forgets who has been idle long enough to be like new; if everybody is busy, anybody.
    fn make_room(&mut self, clients: usize, now: Instant, most: f64, per_second: f64) {
        if self.buckets.len() < clients {
            return;
        }
        if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP) {
            self.swept = Some(now);
            self.buckets.retain(|_, bucket| {
                bucket.refill(now, most, per_second);
                bucket.tokens < most
            });
        }
        while self.buckets.len() >= clients {
            // The order of a hash table with random keys is as good as a die.
            let Some(&any) = self.buckets.keys().next() else { return };
            self.buckets.remove(&any);
        }
    }
}

impl Service for RateLimiter {
    fn claim(&self, exchange: &Rc<Exchange>) -> Claim {
        let Some(key) = key(exchange.peer()) else { return Claim::Pass };
        let Err(wait) = self.take(key, exchange.worker().now()) else { return Claim::Pass };
        const TEXT: &str = "429 Too Many Requests\r\n";
        let mut headers = HeaderList::new();
        headers.push(b"content-type", b"text/plain");
        headers.push(b"content-length", TEXT.len().to_string().as_bytes());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.push(b"retry-after", seconds.max(1).to_string().as_bytes());
        service::answer(exchange, 429, headers, Content::Inline(TEXT.as_bytes()))
    }
}

/// Clients of Unix sockets are one for all: they are not limited.
fn key(peer: &Peer) -> Option<Key> {
    match peer.client.as_ref()?.0.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => Some(address.to_bits().into()),
        IpAddr::V6(address) => Some(address.to_bits() >> 64 << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(requests: u32, seconds: u64, clients: usize) -> RateLimiter {
        RateLimiter::new(RateOptions { requests, period: Duration::from_secs(seconds), clients })
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let (limiter, start) = (limiter(3, 6, 10), Instant::now());
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        assert!((0..3).all(|_| limiter.take(1, start).is_ok()));
        assert_eq!(limiter.take(1, start), Err(Duration::from_secs(2)));
        assert!(limiter.take(2, start).is_ok(), "another client");
        assert_eq!(limiter.take(1, at(1.5)), Err(Duration::from_millis(500)));
        assert!(limiter.take(1, at(2.0)).is_ok() && limiter.take(1, at(2.0)).is_err());
        assert!(
            (0..3).all(|_| limiter.take(1, at(100.0)).is_ok()) && limiter.take(1, at(100.0)).is_err(),
            "never more than full"
        );
    }

    #[test]
    fn the_table_is_bounded() {
        let (limiter, start) = (limiter(2, 10, 100), Instant::now());
        let clients = || limiter.state.borrow().buckets.len();
        assert!((0..1000).all(|client| limiter.take(client, start).is_ok()));
        assert_eq!(clients(), 100);
        // Who is idle goes first: after the period nobody who came before is left.
        assert!(limiter.take(5000, start + Duration::from_secs(20)).is_ok());
        assert_eq!(clients(), 1);
    }

    #[test]
    fn who_is_a_client() {
        let key = |address: Option<&str>| {
            let client = address.map(|address| (address.to_owned(), 1));
            key(&Peer { client, server: (String::new(), None), tls: None, secure: false })
        };
        assert_eq!(key(Some("2001:db8::1")), key(Some("2001:db8::ffff:2")));
        assert_ne!(key(Some("2001:db8::1")), key(Some("2001:db8:0:1::1")));
        assert_eq!(key(Some("::ffff:1.2.3.4")), key(Some("1.2.3.4")));
        assert_ne!(key(Some("1.2.3.4")), key(Some("1.2.3.5")));
        assert_eq!(key(None), None);
    }
}
