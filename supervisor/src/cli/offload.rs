//! What the server does in the application's place.

use std::path::Path;

use clap::Args;
use pagi_server_core::files::folder::FolderOptions;
use serde::{Deserialize, Serialize};

use super::folder;

/// What the server does in the application's place; all of it is off unless it is asked for.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Offload")]
pub struct OffloadOptions {
    /// Static folders.
    #[arg(
        long = "static",
        help = "Serve the files of a directory under a path, without the application, repeatable. Behind it, each after a \
                comma: host=NAME, index=FILE, no-index, listing, fallthrough (what is not there is for the application), \
                no-precompressed (ignore FILE.br, FILE.zst and FILE.gz), max-age=SECONDS, immutable",
        value_parser = folder::parse,
        value_name = "PATH=DIR[,OPTION]..."
    )]
    pub folders: Vec<FolderOptions>,
}

impl OffloadOptions {
    /// The folders, with their directories relative to this one.
    #[must_use]
    pub fn folders(&self, directory: &Path) -> Vec<FolderOptions> {
        let anchored = |folder: &FolderOptions| {
            let mut folder = folder.clone();
            folder.directory = directory.join(folder.directory);
            folder
        };
        self.folders.iter().map(anchored).collect()
    }
}
