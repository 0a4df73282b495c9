//! Entries, each with an end, and all of them within bounds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// What an entry costs besides key and value: three index entries and the allocations behind them, rounded up.
const OVERHEAD: usize = 256;

/// How much a shelf bears.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Number of entries.
    pub entries: usize,
    /// Bytes of keys, values and overhead.
    pub bytes: usize,
}

/// Counts the uses of a shelf: a larger one was later.
type Turn = u64;

#[derive(Debug)]
struct Entry {
    value: Bytes,
    expires: Instant,
    used: Turn,
}

/// Values by key. When it is full, the entry that was not used for longest goes: a visitor who can make new entries at
/// will, as anybody can by asking for sessions, displaces idle ones and locks nobody out.
#[derive(Debug)]
pub struct Shelf {
    bounds: Bounds,
    entries: HashMap<Rc<[u8]>, Entry>,
    by_use: BTreeMap<Turn, Rc<[u8]>>,
    by_end: BTreeSet<(Instant, Turn)>,
    bytes: usize,
    turn: Turn,
}

impl Shelf {
    /// An empty shelf.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: HashMap::new(), by_use: BTreeMap::new(), by_end: BTreeSet::new(), bytes: 0, turn: 0 }
    }

    /// The value of a key, which is thereby used.
    pub fn get(&mut self, key: &[u8], now: Instant) -> Option<Bytes> {
        let (key, entry) = self.take(key, now)?;
        let value = entry.value.clone();
        self.put(key, value.clone(), entry.expires);
        Some(value)
    }

    /// Keeps a value. Returns how many other entries had to go for it.
    ///
    /// # Errors
    /// When it would not even fit on an empty shelf.
    pub fn set(&mut self, key: &[u8], value: &Bytes, life: Duration, now: Instant) -> Result<usize, String> {
        let size = size(key, value);
        if size > self.bounds.bytes {
            return Err(format!(
                "The entry takes {size} bytes, more than the {} of the whole store",
                self.bounds.bytes
            ));
        }
        self.take(key, now);
        let mut displaced = 0;
        while self.entries.len() >= self.bounds.entries || self.bytes + size > self.bounds.bytes {
            let Some((_, oldest)) = self.by_use.first_key_value() else { break };
            let oldest = Rc::clone(oldest);
            self.remove(&oldest);
            displaced += 1;
        }
        // A copy: a frame's bytes would keep all that was received with it.
        self.put(Rc::from(key), Bytes::copy_from_slice(value), end(now, life));
        Ok(displaced)
    }

    /// Lets an entry live so long from now; false when there is none.
    pub fn touch(&mut self, key: &[u8], life: Duration, now: Instant) -> bool {
        let Some((key, entry)) = self.take(key, now) else { return false };
        self.put(key, entry.value, end(now, life));
        true
    }

    /// Forgets an entry; false when there was none.
    pub fn delete(&mut self, key: &[u8], now: Instant) -> bool {
        self.take(key, now).is_some()
    }

    /// Forgets what has ended, at most so many entries at a time; true when there may be more.
    pub fn expire(&mut self, now: Instant, most: usize) -> bool {
        for _ in 0..most {
            let Some(&(end, turn)) = self.by_end.first() else { return false };
            if end > now {
                return false;
            }
            if let Some(key) = self.by_use.get(&turn).map(Rc::clone) {
                self.remove(&key);
            }
        }
        true
    }

    fn take(&mut self, key: &[u8], now: Instant) -> Option<(Rc<[u8]>, Entry)> {
        self.remove(key).filter(|(_, entry)| entry.expires > now)
    }

    fn put(&mut self, key: Rc<[u8]>, value: Bytes, expires: Instant) {
        self.turn += 1;
        self.bytes += size(&key, &value);
        self.by_use.insert(self.turn, Rc::clone(&key));
        self.by_end.insert((expires, self.turn));
        self.entries.insert(key, Entry { value, expires, used: self.turn });
    }

    fn remove(&mut self, key: &[u8]) -> Option<(Rc<[u8]>, Entry)> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.by_use.remove(&entry.used);
        self.by_end.remove(&(entry.expires, entry.used));
        self.bytes -= size(&key, &entry.value);
        Some((key, entry))
    }
}

fn size(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + OVERHEAD
}

fn end(now: Instant, life: Duration) -> Instant {
    // A century is for ever.
    now + life.min(Duration::from_secs(3_155_760_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shelf(entries: usize, bytes: usize) -> (Shelf, Instant) {
        (Shelf::new(Bounds { entries, bytes }), Instant::now())
    }

    fn value(length: usize) -> Bytes {
        Bytes::from(vec![b'x'; length])
    }

    fn is_empty(shelf: &Shelf) -> bool {
        shelf.bytes == 0 && shelf.entries.is_empty() && shelf.by_use.is_empty() && shelf.by_end.is_empty()
    }

    #[test]
    fn kept_replaced_and_deleted() {
        let (mut shelf, now) = shelf(10, 10_000);
        assert_eq!(shelf.get(b"a", now), None);
        assert_eq!(shelf.set(b"a", &value(3), LONG, now), Ok(0));
        assert_eq!(shelf.set(b"a", &value(5), LONG, now), Ok(0));
        assert_eq!(shelf.get(b"a", now), Some(value(5)));
        assert_eq!(shelf.entries.len(), 1);
        assert!(shelf.delete(b"a", now));
        assert!(!shelf.delete(b"a", now));
        assert!(is_empty(&shelf));
    }

    #[test]
    fn entries_end_and_can_be_kept_longer() {
        let (mut shelf, now) = shelf(10, 10_000);
        for key in [b"a", b"b"] {
            shelf.set(key, &value(1), LONG, now).unwrap();
        }
        assert!(shelf.touch(b"b", LONG * 2, now));
        let later = now + LONG;
        assert_eq!(shelf.get(b"a", later), None, "at its end, not after");
        assert_eq!(shelf.get(b"b", later), Some(value(1)));
        assert!(!shelf.touch(b"a", LONG, later));
        assert!(!shelf.expire(later + LONG, 10));
        assert!(is_empty(&shelf), "what ended takes no room, though nobody asked for it");
        shelf.set(b"c", &value(1), Duration::MAX, now).unwrap();
        assert_eq!(shelf.get(b"c", later), Some(value(1)), "no overflow");
    }

    #[test]
    fn expiry_is_done_in_bounded_steps() {
        let (mut shelf, now) = shelf(10, 10_000);
        for key in 0..5u8 {
            shelf.set(&[key], &value(1), LONG, now).unwrap();
        }
        assert!(shelf.expire(now + LONG, 3));
        assert_eq!(shelf.entries.len(), 2);
        assert!(!shelf.expire(now + LONG, 3));
        assert!(is_empty(&shelf));
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let (mut by_number, now) = shelf(2, 10_000);
        by_number.set(b"a", &value(1), LONG, now).unwrap();
        by_number.set(b"b", &value(1), LONG, now).unwrap();
        by_number.get(b"a", now);
        assert_eq!(by_number.set(b"c", &value(1), LONG, now), Ok(1));
        assert_eq!(by_number.get(b"b", now), None);
        assert!(by_number.get(b"a", now).is_some());

        let (mut by_bytes, now) = shelf(100, 3 * (OVERHEAD + 101));
        for key in [b"a", b"b", b"c"] {
            assert_eq!(by_bytes.set(key, &value(100), LONG, now), Ok(0));
        }
        assert_eq!(by_bytes.set(b"d", &value(700), LONG, now), Ok(3));
        assert!(by_bytes.set(b"e", &value(10_000), LONG, now).unwrap_err().contains("more than the"));
        assert!(by_bytes.get(b"d", now).is_some(), "what is refused displaces nothing");
    }
}
