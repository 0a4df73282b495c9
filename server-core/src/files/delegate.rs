//! Files that an application names in its response instead of sending them: `x-sendfile` with an absolute path,
//! `x-accel-redirect` with a path of the server's own. Neither field ever reaches a client while it is acted upon.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::locate::FoundFile;
use super::root::{Entry, Lookup, Miss, Root};
use super::url;
use crate::event::Content;
use crate::header::HeaderList;
use crate::path::percent_decode;
use crate::scope::RequestHead;

/// What applications may name; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegateOptions {
    /// Directories of `x-sendfile`.
    pub directories: Vec<PathBuf>,
    /// Prefixes of `x-accel-redirect`, without a slash at the end, and their directories.
    pub locations: Vec<(String, PathBuf)>,
}

/// The directories, opened.
#[derive(Debug, Clone, Default)]
pub struct Delegate {
    directories: Arc<Vec<Root>>,
    locations: Arc<Vec<(String, Root)>>,
}

impl Delegate {
    /// Opens the directories.
    ///
    /// # Errors
    /// Names the one that cannot be opened.
    pub fn open(options: &DelegateOptions) -> Result<Self, String> {
        let directories = options.directories.iter().map(|path| Root::open(path)).collect::<Result<_, _>>()?;
        let open = |(prefix, path): &(String, PathBuf)| Ok((prefix.clone(), Root::open(path)?));
        let mut locations: Vec<(String, Root)> = options.locations.iter().map(open).collect::<Result<_, String>>()?;
        locations.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(Self { directories: Arc::new(directories), locations: Arc::new(locations) })
    }

    /// The response to send instead, when this one names a file. A file that may not be sent is a 404, and the log says
    /// what the application wanted.
    pub(crate) fn replace(&self, request: &RequestHead, status: u16, headers: &HeaderList) -> Option<Answer> {
        let (named, found) = if let Some(path) = headers.get(b"x-sendfile").filter(|_| !self.directories.is_empty()) {
            (path, self.absolute(path))
        } else if let Some(path) = headers.get(b"x-accel-redirect").filter(|_| !self.locations.is_empty()) {
            (path, self.internal(path))
        } else {
            return None;
        };
        let sent = match found {
            Ok(file) => answer(file, request, status, headers).map_err(|error| error.to_string()),
            Err(Miss::Denied) => Err("the server may not read it".to_owned()),
            Err(Miss::Broken(error)) => Err(error.to_string()),
            Err(Miss::Absent | Miss::Unknown) => Err("there is no such file where it may be".to_owned()),
        };
        Some(sent.unwrap_or_else(|reason| {
            let path = String::from_utf8_lossy(request.raw_path());
            tracing::error!(%path, "The application's file '{}' is not sent: {reason}", String::from_utf8_lossy(named));
            absent()
        }))
    }

    fn absolute(&self, path: &[u8]) -> Result<FoundFile, Miss> {
        let path = std::str::from_utf8(path).map_err(|_| Miss::Absent)?;
        self.directories.iter().find_map(|root| below(root, path)).unwrap_or(Err(Miss::Absent))
    }

    fn internal(&self, raw: &[u8]) -> Result<FoundFile, Miss> {
        let path = percent_decode(raw);
        let found = self.locations.iter().find_map(|(prefix, root)| Some((root, url::below(&path, prefix)?)));
        let (root, rest) = found.ok_or(Miss::Absent)?;
        find(root, std::str::from_utf8(rest).map_err(|_| Miss::Absent)?)
    }
}

/// The file, if the path leads into the directory.
fn below(root: &Root, path: &str) -> Option<Result<FoundFile, Miss>> {
    let rest = path.strip_prefix(root.path().to_str()?.trim_end_matches('/'))?;
    rest.starts_with('/').then(|| find(root, rest))
}

/// The directory cannot be left, whatever the name; the application may mean a hidden file.
fn find(root: &Root, rest: &str) -> Result<FoundFile, Miss> {
    let name = rest.trim_start_matches('/');
    match root.find(name, Lookup::Patient)? {
        Entry::File(file, stat) => Ok(FoundFile::plain(file, &stat, name)),
        Entry::Directory(_) => Err(Miss::Absent),
    }
}

fn answer(file: FoundFile, request: &RequestHead, status: u16, own: &HeaderList) -> std::io::Result<Answer> {
    let mut headers = HeaderList::new();
    for (name, value) in own.iter() {
        if !REPLACED.iter().any(|replaced| name.eq_ignore_ascii_case(replaced)) {
            headers.push(name, value);
        }
    }
    if status == 200 && matches!(request.method(), b"GET" | b"HEAD") {
        return file.answer(request, headers);
    }
    let whole = file.whole(headers);
    Ok(Answer { status, ..whole })
}

/// Fields of the application's response that say something about the body it did not send.
const REPLACED: [&[u8]; 4] = [b"x-sendfile", b"x-accel-redirect", b"content-length", b"accept-ranges"];

fn absent() -> Answer {
    const TEXT: &str = "404 Not Found\r\n";
    let mut headers = HeaderList::new();
    headers.push(b"content-type", b"text/plain");
    headers.push(b"content-length", TEXT.len().to_string().as_bytes());
    Answer { status: 404, headers, content: Content::Inline(TEXT.as_bytes()) }
}
