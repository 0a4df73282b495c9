//! What the mold tells the master about where the application's code is.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use pagi_perl_runtime::Sources;

use crate::channel;
use crate::messages::FromMold;

/// Bytes of paths in one message; a path has at most 4096, so a message stays far below what the channel takes.
const PORTION: usize = 8 * 1024;

/// Tells everything, in as many messages as it takes.
pub fn tell(channel: &OwnedFd, sources: Sources) {
    let directories = portions(sources.directories).into_iter();
    let files = portions(sources.files).into_iter();
    let directories = directories.map(|directories| FromMold::Sources { directories, files: Vec::new() });
    let files = files.map(|files| FromMold::Sources { directories: Vec::new(), files });
    for message in directories.chain(files) {
        if let Err(error) = channel::send(channel.as_fd(), &message, None) {
            return tracing::warn!("Some files of the application are not watched: {error}");
        }
    }
}

fn portions(paths: Vec<PathBuf>) -> Vec<Vec<PathBuf>> {
    let size = |path: &Path| path.as_os_str().as_bytes().len();
    let mut portions: Vec<Vec<PathBuf>> = Vec::new();
    let mut used = usize::MAX;
    for path in paths {
        if used.saturating_add(size(&path)) > PORTION {
            portions.push(Vec::new());
            used = 0;
        }
        used += size(&path);
        if let Some(last) = portions.last_mut() {
            last.push(path);
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_said_in_portions() {
        let paths: Vec<PathBuf> = (0..1000).map(|number| PathBuf::from(format!("/srv/{number:0100}"))).collect();
        let said = portions(paths.clone());
        assert_eq!(said.concat(), paths);
        assert!(said.len() >= 1000 * 105 / PORTION);
        assert!(said.iter().all(|portion| portion.len() <= PORTION / 105));
        assert!(portions(Vec::new()).is_empty());
    }
}
