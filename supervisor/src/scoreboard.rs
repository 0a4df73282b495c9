//! The scoreboard: what every worker is doing, in shared memory, one slot per worker process.
//!
//! A worker writes its own slot and nothing else; the master reads all of them. Each field is one atomic word, so
//! that a worker which dies in the middle of an update leaves at worst a number that is one turn old.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::time::{ClockId, clock_gettime};
use pagi_server_core::Stats;
use serde::{Deserialize, Serialize};

use crate::process::shared;

mod reading;

pub use reading::{Durations, EventLoop, Kinds, Reading};

/// Words per slot: a multiple of two cache lines (of eight words), so that workers do not slow each other down.
const SLOT_WORDS: usize = 64;

/// Where a field stands within a slot.
#[derive(Clone, Copy)]
enum Field {
    State,
    Pid,
    Generation,
    WorkerNum,
    Started,
    Heartbeat,
    Requests,
    Accepted,
    Connections,
    Active,
    BytesIn,
    BytesOut,
    Refused,
    PoolWaiting,
    Http2Connections,
    Http2Streams,
    Http2Cut,
    TlsHandshakes,
    TlsResumed,
    TlsFailed,
    Http2Open,
    WebSockets,
    EventStreams,
    Buffered,
    LoopTurns,
    LoopBusy,
    LoopMax,
    LoopRecent,
    SlowCalls,
    LongestCall,
    Deepest,
    DurationSum,
    /// Five words: 1xx to 5xx.
    Status,
}

/// Where the classes of durations begin, behind the classes of status.
const DURATIONS: usize = Field::Status as usize + 5;

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody uses the slot.
    Free,
    /// Loading, or in lifespan start-up.
    Starting,
    /// Serving.
    Ready,
    /// Finishing its connections.
    Draining,
}

impl State {
    fn from_word(word: u64) -> Self {
        match word {
            1 => Self::Starting,
            2 => Self::Ready,
            3 => Self::Draining,
            _ => Self::Free,
        }
    }
}

/// All slots of a server.
pub struct Scoreboard {
    slots: &'static [AtomicU64],
    /// How many of the first slots were ever used: nobody looks at those behind them.
    used: &'static AtomicU64,
    memory: OwnedFd,
}

impl Scoreboard {
    /// Makes the shared memory.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn create(slots: usize) -> io::Result<Self> {
        let memory = shared::create((slots + 1) * SLOT_WORDS)?;
        Self::open(memory, slots)
    }

    /// Opens memory made by another process.
    ///
    /// # Errors
    /// When it cannot be mapped.
    pub fn open(memory: OwnedFd, slots: usize) -> io::Result<Self> {
        let (slots, rest) = shared::map(&memory, (slots + 1) * SLOT_WORDS)?.split_at(slots * SLOT_WORDS);
        Ok(Self { slots, used: &rest[0], memory })
    }

    /// Number of slots.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len() / SLOT_WORDS
    }

    /// One slot, if there are that many.
    #[must_use]
    pub fn slot(&self, index: usize) -> Option<Slot> {
        let words = self.slots.chunks_exact(SLOT_WORDS).nth(index)?;
        Some(Slot { words, used: self.used, index })
    }

    /// All slots but one.
    #[must_use]
    pub fn others(&self, index: usize) -> Others {
        Others { slots: self.slots, used: self.used, index }
    }

    /// The memory, for handing to another process.
    #[must_use]
    pub fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

/// The places of all others.
#[derive(Clone, Copy)]
pub struct Others {
    slots: &'static [AtomicU64],
    used: &'static AtomicU64,
    index: usize,
}

impl Others {
    /// Those that are in use, or were.
    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        let Self { slots, used, index: own } = *self;
        let count = usize::try_from(used.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let places = slots.chunks_exact(SLOT_WORDS).take(count).enumerate();
        places.filter(move |&(index, _)| index != own).map(move |(index, words)| Slot { words, used, index })
    }
}

/// One worker's place.
#[derive(Clone, Copy)]
pub struct Slot {
    words: &'static [AtomicU64],
    used: &'static AtomicU64,
    index: usize,
}

impl Slot {
    /// A slot that only this process sees, for a server without workers.
    #[must_use]
    pub fn private() -> Self {
        let words: Vec<AtomicU64> = (0..=SLOT_WORDS).map(|_| AtomicU64::new(0)).collect();
        let (words, rest) = words.leak().split_at(SLOT_WORDS);
        Self { words, used: &rest[0], index: 0 }
    }

    /// Takes the slot for a new worker: everything starts at zero, the heartbeat at now.
    pub fn assign(&self, worker_num: u32, generation: u32) {
        self.clear();
        self.used.fetch_max(self.index as u64 + 1, Ordering::Relaxed);
        self.set(Field::WorkerNum, worker_num.into());
        self.set(Field::Generation, generation.into());
        self.set(Field::Started, monotonic_ms());
        self.set(Field::Heartbeat, monotonic_ms());
        self.set(Field::State, State::Starting as u64);
    }

    /// Gives the slot back.
    pub fn clear(&self) {
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Notes which process uses the slot.
    pub fn set_pid(&self, pid: u32) {
        self.set(Field::Pid, pid.into());
    }

    /// Notes what the worker is doing.
    pub fn set_state(&self, state: State) {
        self.set(Field::State, state as u64);
    }

    /// Copies the totals and bumps the heartbeat: once per turn of the worker's loop.
    pub fn update(&self, stats: &Stats) {
        self.set(Field::Requests, stats.requests.get());
        self.set(Field::Accepted, stats.accepted.get());
        self.set(Field::Connections, stats.connections.get());
        self.set(Field::Active, stats.active.get());
        self.set(Field::BytesIn, stats.bytes_in.get());
        self.set(Field::BytesOut, stats.bytes_out.get());
        self.set(Field::Refused, stats.refused.get());
        self.set(Field::Http2Connections, stats.http2_connections.get());
        self.set(Field::Http2Streams, stats.http2_streams.get());
        self.set(Field::Http2Cut, stats.http2_cut.get());
        self.set(Field::TlsHandshakes, stats.tls_handshakes.get());
        self.set(Field::TlsResumed, stats.tls_resumed.get());
        self.set(Field::TlsFailed, stats.tls_failed.get());
        for (word, count) in self.words[Field::Status as usize..].iter().zip(&stats.status) {
            word.store(count.get(), Ordering::Relaxed);
        }
        self.set(Field::Http2Open, stats.http2_open.get());
        self.set(Field::WebSockets, stats.websockets.get());
        self.set(Field::EventStreams, stats.event_streams.get());
        self.set(Field::Buffered, stats.buffered.get());
        self.set(Field::LoopTurns, stats.loop_lag_turns.get());
        self.set(Field::LoopBusy, stats.loop_lag_total_us.get());
        self.set(Field::LoopMax, stats.loop_lag_max_us.get());
        self.set(Field::LoopRecent, stats.loop_lag_recent_us.get());
        self.set(Field::SlowCalls, stats.loop_lag_slow_calls.get());
        self.set(Field::LongestCall, stats.loop_lag_longest_call_us.get());
        self.set(Field::Deepest, stats.loop_lag_deepest.get());
        self.set(Field::DurationSum, stats.durations.sum_us.get());
        for (word, count) in self.words[DURATIONS..].iter().zip(&stats.durations.counts) {
            word.store(count.get(), Ordering::Relaxed);
        }
        self.beat();
    }

    /// Notes how many of the worker's requests wait for a pool process.
    pub fn set_pool_waiting(&self, waiting: u64) {
        self.set(Field::PoolWaiting, waiting);
    }

    /// How many of its requests wait for a pool process.
    #[must_use]
    pub fn pool_waiting(&self) -> u64 {
        self.get(Field::PoolWaiting)
    }

    /// Bumps the heartbeat alone.
    pub fn beat(&self) {
        self.set(Field::Heartbeat, monotonic_ms());
    }

    /// Whether a worker serves here that could take another connection.
    #[must_use]
    pub fn has_room(&self, max_connections: u64) -> bool {
        self.get(Field::State) == State::Ready as u64 && self.get(Field::Connections) < max_connections
    }

    /// Milliseconds since the worker last showed that its loop turns.
    #[must_use]
    pub fn heartbeat_age_ms(&self) -> u64 {
        monotonic_ms().saturating_sub(self.get(Field::Heartbeat))
    }

    /// Everything in the slot, as of now.
    #[must_use]
    pub fn read(&self) -> Reading {
        let mut status = [0; 5];
        for (count, word) in status.iter_mut().zip(&self.words[Field::Status as usize..]) {
            *count = word.load(Ordering::Relaxed);
        }
        let mut durations = Durations { sum_us: self.get(Field::DurationSum), ..Durations::default() };
        for (count, word) in durations.counts.iter_mut().zip(&self.words[DURATIONS..]) {
            *count = word.load(Ordering::Relaxed);
        }
        let (connections, http2) = (self.get(Field::Connections), self.get(Field::Http2Open));
        Reading {
            worker_num: narrow(self.get(Field::WorkerNum)),
            pid: narrow(self.get(Field::Pid)),
            generation: narrow(self.get(Field::Generation)),
            state: State::from_word(self.get(Field::State)),
            uptime_ms: monotonic_ms().saturating_sub(self.get(Field::Started)),
            heartbeat_age_ms: self.heartbeat_age_ms(),
            requests: self.get(Field::Requests),
            accepted: self.get(Field::Accepted),
            connections,
            active: self.get(Field::Active),
            bytes_in: self.get(Field::BytesIn),
            bytes_out: self.get(Field::BytesOut),
            refused: self.get(Field::Refused),
            http2_connections: self.get(Field::Http2Connections),
            http2_streams: self.get(Field::Http2Streams),
            http2_cut: self.get(Field::Http2Cut),
            tls_handshakes: self.get(Field::TlsHandshakes),
            tls_resumed: self.get(Field::TlsResumed),
            tls_failed: self.get(Field::TlsFailed),
            status,
            pool_waiting: self.pool_waiting(),
            buffered: self.get(Field::Buffered),
            kinds: Kinds {
                // The two words are not read at the same instant.
                http1: connections.saturating_sub(http2),
                http2,
                websockets: self.get(Field::WebSockets),
                event_streams: self.get(Field::EventStreams),
            },
            event_loop: EventLoop {
                turns: self.get(Field::LoopTurns),
                busy_us: self.get(Field::LoopBusy),
                max_us: self.get(Field::LoopMax),
                recent_us: self.get(Field::LoopRecent),
                slow_calls: self.get(Field::SlowCalls),
                longest_call_us: self.get(Field::LongestCall),
                deepest: self.get(Field::Deepest),
            },
            durations,
        }
    }

    fn set(&self, field: Field, value: u64) {
        self.words[field as usize].store(value, Ordering::Relaxed);
    }

    fn get(&self, field: Field) -> u64 {
        self.words[field as usize].load(Ordering::Relaxed)
    }
}

fn narrow(word: u64) -> u32 {
    u32::try_from(word).unwrap_or(u32::MAX)
}

/// A clock all processes of the machine agree on.
#[must_use]
pub fn monotonic_ms() -> u64 {
    // The monotonic clock always exists and never runs backwards.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(std::time::Duration::ZERO, std::time::Duration::from);
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pagi_server_core::histogram::CLASSES;

    #[test]
    fn what_one_mapping_writes_another_reads() {
        let ours = Scoreboard::create(4).unwrap();
        let theirs = Scoreboard::open(ours.memory().try_clone_to_owned().unwrap(), 4).unwrap();
        let stats = Stats::default();
        stats.requests.set(7);
        stats.status[4].set(3);
        stats.http2_cut.set(4);
        stats.connections.set(5);
        stats.http2_open.set(2);
        stats.durations.observe(std::time::Duration::from_secs(60));
        let slot = theirs.slot(3).unwrap();
        slot.assign(2, 1);
        slot.set_pid(99);
        slot.set_state(State::Ready);
        slot.update(&stats);
        let reading = ours.slot(3).unwrap().read();
        assert_eq!((reading.worker_num, reading.generation, reading.pid), (2, 1, 99));
        assert_eq!((reading.state, reading.requests, reading.status), (State::Ready, 7, [0, 0, 0, 0, 3]));
        assert_eq!((reading.http2_streams, reading.http2_cut), (0, 4));
        assert_eq!(reading.kinds, Kinds { http1: 3, http2: 2, ..Kinds::default() });
        assert_eq!((reading.durations.counts[CLASSES - 1], reading.durations.sum_us), (1, 60_000_000));
        assert_eq!(reading.durations.counts.iter().sum::<u64>(), 1);
        assert!(reading.heartbeat_age_ms < 1000);
        assert_eq!(ours.slot(2).unwrap().read().state, State::Free, "the neighbour is untouched");
        assert!(ours.slot(4).is_none());
    }

    #[test]
    fn only_a_serving_worker_with_room_counts() {
        let scoreboard = Scoreboard::create(3).unwrap();
        let others = scoreboard.others(1);
        assert_eq!(others.iter().count(), 0, "nobody was ever there");
        let anybody = |limit| others.iter().any(|slot| slot.has_room(limit));
        assert!(!anybody(10), "free slots take no connections");
        let neighbour = scoreboard.slot(2).unwrap();
        neighbour.assign(1, 1);
        assert!(!anybody(10), "it does not serve yet");
        assert_eq!(others.iter().count(), 2, "all up to the last that was used, but our own");
        neighbour.set_state(State::Ready);
        let stats = Stats::default();
        stats.connections.set(9);
        neighbour.update(&stats);
        assert!(anybody(10) && !anybody(9));
        neighbour.set_state(State::Draining);
        assert!(!anybody(10));
    }

    // A slot holds all fields.
    const _: () = assert!(DURATIONS + CLASSES <= SLOT_WORDS);

    #[test]
    fn every_state_survives_the_word() {
        for state in [State::Free, State::Starting, State::Ready, State::Draining] {
            assert_eq!(State::from_word(state as u64), state);
        }
    }
}
