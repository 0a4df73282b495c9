//! What one worker has not taken yet.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

/// Taken together when many small frames wait.
const PORTION: usize = 64 * 1024;

/// Frames for one worker, in order. Messages are dropped when too much waits; replies are not, because the worker has
/// asked for them: it gets no further with asking until it takes them.
#[derive(Debug)]
pub struct Outbox {
    limit: usize,
    frames: RefCell<VecDeque<Bytes>>,
    bytes: Cell<usize>,
    filled: Notify,
    emptied: Notify,
}

impl Outbox {
    /// An empty one that bears so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, frames: RefCell::default(), bytes: Cell::new(0), filled: Notify::new(), emptied: Notify::new() }
    }

    /// Adds a reply.
    pub fn reply(&self, frame: Bytes) {
        self.bytes.set(self.bytes.get() + frame.len());
        self.frames.borrow_mut().push_back(frame);
        self.filled.notify_one();
    }

    /// Adds a message, unless too much waits already.
    pub fn message(&self, frame: &Bytes) -> bool {
        let fits = self.bytes.get() + frame.len() <= self.limit;
        if fits {
            self.reply(frame.clone());
        }
        fits
    }

    /// Waits until so little waits that the worker may ask for more.
    pub async fn room(&self) {
        while self.bytes.get() > self.limit {
            self.emptied.notified().await;
        }
    }

    /// Waits for frames and takes some.
    pub async fn take(&self) -> Bytes {
        loop {
            if let Some(portion) = self.portion() {
                return portion;
            }
            self.filled.notified().await;
        }
    }

    fn portion(&self) -> Option<Bytes> {
        let mut frames = self.frames.borrow_mut();
        let first = frames.pop_front()?;
        let mut portion = first;
        if frames.front().is_some_and(|next| portion.len() + next.len() <= PORTION) {
            let mut together = BytesMut::from(&portion[..]);
            while frames.front().is_some_and(|next| together.len() + next.len() <= PORTION) {
                together.extend(frames.pop_front());
            }
            portion = together.freeze();
        }
        self.bytes.set(self.bytes.get() - portion.len());
        self.emptied.notify_one();
        Some(portion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_beyond_the_limit_are_refused_and_replies_are_not() {
        let outbox = Outbox::new(10);
        let frame = |length| Bytes::from(vec![b'x'; length]);
        assert!(outbox.message(&frame(6)));
        assert!(!outbox.message(&frame(5)));
        outbox.reply(frame(20));
        assert_eq!(outbox.bytes.get(), 26);
        assert_eq!(outbox.portion().map(|portion| portion.len()), Some(26), "small frames travel together");
        assert_eq!((outbox.portion(), outbox.bytes.get()), (None, 0));
        assert!(outbox.message(&frame(10)));
    }

    #[test]
    fn large_frames_travel_alone() {
        let outbox = Outbox::new(usize::MAX);
        for length in [10, PORTION, 10] {
            outbox.reply(Bytes::from(vec![b'x'; length]));
        }
        let portions: Vec<usize> = std::iter::from_fn(|| outbox.portion()).map(|portion| portion.len()).collect();
        assert_eq!(portions, [10, PORTION, 10]);
    }
}
