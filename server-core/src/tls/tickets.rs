//! Session tickets that every worker can read.
//!
//! Resumption keeps no state: a ticket is the session, sealed with a key that all workers of a server derive from one
//! seed. The seed is made before the first fork and travels with the start-up bundle; from then on every process turns
//! it by itself, by a clock that all processes of a machine share. Turning is a one-way function (an HMAC), and what it
//! leaves behind is wiped: whoever gets hold of a process cannot read the sessions of yesterday (RFC 8446 §C.4).

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

const SECRET: usize = 32;
/// Length of the name at the front of a ticket.
const NAME: usize = 8;

/// What keys are derived from: the secret of one period, and the key of the period before.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    period: u64,
    secret: [u8; SECRET],
    previous: Option<[u8; SECRET]>,
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.secret.zeroize();
        self.previous.zeroize();
    }
}

/// Shows when it is of, not what it is.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed of period {}", self.period)
    }
}

impl Seed {
    /// A new seed, of now.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate(lifetime: Duration) -> Result<Self, String> {
        let mut secret = [0; SECRET];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| "The system's random number generator does not work".to_owned())?;
        Ok(Self { period: period(uptime(), lifetime), secret, previous: None })
    }

    /// Turns the seed up to now, so that it can be handed on without the power over older tickets.
    pub fn turn(&mut self, lifetime: Duration) {
        self.turn_to(period(uptime(), lifetime));
    }

    fn turn_to(&mut self, period: u64) {
        while self.period < period {
            self.previous = Some(self.key());
            let mut next = derive(&self.secret, b"next");
            self.secret.copy_from_slice(&next);
            next.zeroize();
            self.period += 1;
        }
    }

    fn key(&self) -> [u8; SECRET] {
        derive(&self.secret, b"key")
    }
}

fn derive(secret: &[u8; SECRET], label: &[u8]) -> [u8; SECRET] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), label);
    let mut derived = [0; SECRET];
    derived.copy_from_slice(tag.as_ref());
    derived
}

/// Seconds since the machine started: the same for all its processes, and never set.
fn uptime() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0)
}

fn period(seconds: u64, lifetime: Duration) -> u64 {
    seconds / lifetime.as_secs().max(1)
}

/// One key, with the name that tickets carry.
struct TicketKey {
    name: [u8; NAME],
    aead: LessSafeKey,
}

impl TicketKey {
    fn new(mut bytes: [u8; SECRET]) -> Option<Self> {
        let mut name = [0; NAME];
        name.copy_from_slice(&derive(&bytes, b"name")[..NAME]);
        let aead = UnboundKey::new(&AES_256_GCM, &bytes).ok().map(LessSafeKey::new);
        bytes.zeroize();
        Some(Self { name, aead: aead? })
    }

    /// Name, nonce, then the sealed session.
    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let aad = Aad::from(self.name);
        self.aead.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some([&self.name[..], &nonce, &sealed].concat())
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = ticket.get(NAME..)?.split_at_checked(NONCE_LEN)?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.aead.open_in_place(nonce, Aad::from(self.name), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

struct Ring {
    seed: Seed,
    current: TicketKey,
    previous: Option<TicketKey>,
}

impl Ring {
    fn new(seed: Seed) -> Option<Self> {
        let current = TicketKey::new(seed.key())?;
        let previous = seed.previous.and_then(TicketKey::new);
        Some(Self { seed, current, previous })
    }

    fn turn_to(&mut self, period: u64) {
        if self.seed.period < period {
            self.seed.turn_to(period);
            if let Some(turned) = Self::new(self.seed.clone()) {
                *self = turned;
            }
        }
    }
}

/// Seals and opens the tickets of a server. A ticket can be used for one to two lifetimes.
pub struct Tickets {
    lifetime: Duration,
    ring: Mutex<Ring>,
    clock: fn() -> u64,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tickets for {:?}", self.lifetime)
    }
}

impl Tickets {
    /// Tickets from a seed; `None` when the cipher cannot be set up.
    #[must_use]
    pub fn new(seed: Seed, lifetime: Duration) -> Option<Self> {
        Some(Self { lifetime, ring: Mutex::new(Ring::new(seed)?), clock: uptime })
    }

    fn with_ring<T>(&self, work: impl FnOnce(&Ring) -> Option<T>) -> Option<T> {
        let mut ring = self.ring.lock().ok()?;
        ring.turn_to(period((self.clock)(), self.lifetime));
        work(&ring)
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.lifetime.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.with_ring(|ring| ring.current.seal(plain))
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.with_ring(|ring| {
            let keys = std::iter::once(&ring.current).chain(&ring.previous);
            let mut named = keys.filter(|key| ticket.starts_with(&key.name));
            named.find_map(|key| key.open(ticket))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn tickets(seed: &Seed, clock: fn() -> u64) -> Tickets {
        Tickets { clock, ..Tickets::new(seed.clone(), HOUR).unwrap() }
    }

    fn seed() -> Seed {
        Seed { period: 10, secret: [7; SECRET], previous: None }
    }

    #[test]
    fn what_one_worker_seals_another_opens() {
        let (one, other) = (tickets(&seed(), || 36_000), tickets(&seed(), || 36_100));
        let ticket = one.encrypt(b"session").unwrap();
        assert_eq!(other.decrypt(&ticket).unwrap(), b"session");
        assert_ne!(one.encrypt(b"session").unwrap(), ticket, "no two tickets are the same");
    }

    #[test]
    fn keys_turn_and_old_tickets_expire() {
        static NOW: AtomicU64 = AtomicU64::new(36_000);
        let worker = tickets(&seed(), || NOW.load(Ordering::Relaxed));
        let ticket = worker.encrypt(b"session").unwrap();
        NOW.store(39_600, Ordering::Relaxed);
        assert_eq!(worker.decrypt(&ticket).unwrap(), b"session", "one turn later it is still good");
        let young = worker.encrypt(b"young").unwrap();
        NOW.store(43_200, Ordering::Relaxed);
        assert_eq!(worker.decrypt(&ticket), None, "two turns later it is not");
        assert_eq!(worker.decrypt(&young).unwrap(), b"young");
    }

    #[test]
    fn a_process_that_starts_late_reads_the_tickets_of_the_period_before() {
        let early = tickets(&seed(), || 36_000);
        let ticket = early.encrypt(b"session").unwrap();
        let mut handed_on = seed();
        handed_on.turn_to(11);
        assert_ne!(handed_on.secret, seed().secret);
        let late = tickets(&handed_on, || 39_600);
        assert_eq!(late.decrypt(&ticket).unwrap(), b"session");
        handed_on.turn_to(12);
        assert_eq!(tickets(&handed_on, || 43_200).decrypt(&ticket), None, "nobody can any more");
    }

    #[test]
    fn forged_tickets_are_refused() {
        let worker = tickets(&seed(), || 36_000);
        let ticket = worker.encrypt(b"session").unwrap();
        for position in 0..ticket.len() {
            let mut forged = ticket.clone();
            forged[position] ^= 1;
            assert_eq!(worker.decrypt(&forged), None, "bit {position}");
            assert_eq!(worker.decrypt(&ticket[..position]), None, "cut at {position}");
        }
        let stranger = Seed { secret: [8; SECRET], ..seed() };
        assert_eq!(tickets(&stranger, || 36_000).decrypt(&ticket), None);
    }

    #[test]
    fn a_seed_survives_its_journey() {
        let mut seed = Seed::generate(HOUR).unwrap();
        seed.turn_to(seed.period + 1);
        let text = serde_json::to_string(&seed).unwrap();
        assert_eq!(serde_json::from_str::<Seed>(&text).unwrap(), seed);
        assert!(!format!("{seed:?}").contains('['), "the secret does not show in logs");
    }
}
