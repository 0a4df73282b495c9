//! Worker numbers: those from 1 accept connections, those above [`POOL`] are pool processes.

use std::fmt;

/// The numbers of pool processes begin above it: more than there can be workers.
pub const POOL: u32 = 100_000;

/// Whether a number is that of a pool process.
#[must_use]
pub fn is_pool(num: u32) -> bool {
    num > POOL
}

/// A number as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub u32);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_pool(self.0) { write!(f, "pool {}", self.0 - POOL) } else { write!(f, "worker {}", self.0) }
    }
}

/// The same where there is little room, as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short(pub u32);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_pool(self.0) { write!(f, "pool-{}", self.0 - POOL) } else { write!(f, "{}", self.0) }
    }
}

/// The same at the beginning of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Title(pub u32);

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_pool(self.0) { write!(f, "Pool process {}", self.0 - POOL) } else { write!(f, "Worker {}", self.0) }
    }
}
