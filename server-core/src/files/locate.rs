//! Which file answers a request: the one that is named, the index of a directory, or a compressed sibling.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::Stat;

use super::conditions::Validators;
use super::media;
use super::root::{Entry, Lookup, Miss, Root};
use crate::coding::Coding;

/// What to look for.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    /// Relative name; empty for the folder itself.
    pub(crate) name: String,
    /// Only a directory is meant: the path ended in a slash.
    pub(crate) is_directory: bool,
    /// What stands for a directory.
    pub(crate) index: Option<String>,
    /// A directory without it has something to show all the same.
    pub(crate) listing: bool,
    /// Codings of which a sibling may be sent, most wanted first.
    pub(crate) codings: Vec<Coding>,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file.
    File(FoundFile),
    /// A directory whose path lacks its slash, and that has something to show.
    NeedsSlash,
    /// A directory without an index, and its relative name.
    Directory(OwnedFd),
}

/// A file to send.
#[derive(Debug)]
pub(crate) struct FoundFile {
    pub(crate) file: File,
    pub(crate) length: u64,
    pub(crate) validators: Validators,
    /// Type of the content, without its coding.
    pub(crate) content_type: String,
    pub(crate) coding: Option<Coding>,
    /// Whether the choice of a sibling depended on the client, or would have.
    pub(crate) varies: bool,
}

impl Search {
    /// Looks.
    pub(crate) fn run(&self, root: &Root, lookup: Lookup, precompressed: bool) -> Result<Found, Miss> {
        match root.find(&self.name, lookup)? {
            Entry::File(..) if self.is_directory => Err(Miss::Absent),
            Entry::File(file, stat) => self.variant(root, lookup, precompressed, &self.name, file, &stat),
            Entry::Directory(directory) => {
                let Some(index) = &self.index else { return Ok(self.without_index(directory)) };
                let name = if self.name.is_empty() { index.clone() } else { format!("{}/{index}", self.name) };
                match root.find(&name, lookup) {
                    Ok(Entry::File(..)) if !self.is_directory => Ok(Found::NeedsSlash),
                    Ok(Entry::File(file, stat)) => self.variant(root, lookup, precompressed, &name, file, &stat),
                    Ok(Entry::Directory(_)) | Err(Miss::Absent) => Ok(self.without_index(directory)),
                    Err(miss) => Err(miss),
                }
            }
        }
    }

    fn without_index(&self, directory: OwnedFd) -> Found {
        if self.is_directory || !self.listing { Found::Directory(directory) } else { Found::NeedsSlash }
    }

    fn variant(
        &self,
        root: &Root,
        lookup: Lookup,
        precompressed: bool,
        name: &str,
        file: File,
        stat: &Stat,
    ) -> Result<Found, Miss> {
        let varies = precompressed && media::is_compressible(name);
        let content_type = media::content_type(name);
        if varies {
            for &coding in &self.codings {
                match root.find(&format!("{name}{}", coding.extension()), lookup) {
                    // One that is older than its original was forgotten.
                    Ok(Entry::File(sibling, other)) if modified(&other) >= modified(stat) => {
                        return Ok(Found::File(FoundFile::new(sibling, &other, content_type, Some(coding), varies)));
                    }
                    Ok(_) | Err(Miss::Absent | Miss::Denied) => {}
                    Err(miss) => return Err(miss),
                }
            }
        }
        Ok(Found::File(FoundFile::new(file, stat, content_type, None, varies)))
    }
}

fn modified(stat: &Stat) -> (i64, u64) {
    (stat.st_mtime, stat.st_mtime_nsec)
}

impl FoundFile {
    /// A file that was opened.
    pub(crate) fn new(file: File, stat: &Stat, content_type: String, coding: Option<Coding>, varies: bool) -> Self {
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        let (seconds, nanoseconds) = modified(stat);
        let suffix = coding.map(|coding| format!("-{}", coding.name())).unwrap_or_default();
        let etag = format!("\"{seconds:x}.{nanoseconds:x}-{length:x}{suffix}\"");
        Self { file, length, validators: Validators { etag, modified: seconds }, content_type, coding, varies }
    }

    /// A file as it is, of a name that tells its type.
    pub(crate) fn plain(file: File, stat: &Stat, name: &str) -> Self {
        Self::new(file, stat, media::content_type(name), None, false)
    }
}
