//! The store that the workers of a server share.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::value;

/// The store that the workers of a server share: sessions, and messages between workers.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Shared store")]
pub struct StoreOptions {
    /// Entries in the store that workers share; beyond, the longest unused is forgotten
    #[arg(long, default_value = "100000", value_parser = value::positive, value_name = "N")]
    pub store_entries: usize,
    /// Bytes of all entries together, with their keys and what keeping them takes; beyond, the longest unused is forgotten
    #[arg(long, default_value = "67108864", value_parser = value::positive, value_name = "BYTES")]
    pub store_bytes: usize,
    /// Bytes of one entry, or of one message to other workers; a larger one is refused
    #[arg(long, default_value = "1048576", value_parser = value::positive, value_name = "BYTES")]
    pub store_item_bytes: usize,
    /// Bytes of messages kept for a worker that does not take them; beyond, messages to it are lost
    #[arg(long, default_value = "16777216", value_parser = value::positive, value_name = "BYTES")]
    pub store_backlog: usize,
}
