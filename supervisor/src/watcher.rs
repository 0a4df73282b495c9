//! Sees when somebody saves a file of the application (`--reload`). Editors replace files more often than they write into
//! them, so directories are watched and not files.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::process::descriptors;

/// An editor, and version control even more so, changes several files in a row: only when so long nothing more was changed
/// is the application loaded.
const QUIET: Duration = Duration::from_millis(100);

/// Files that matter wherever they are below a directory of the application: Perl, configuration and templates. Not what
/// applications write themselves, such as databases and logs: each write would load the application anew.
const EXTENSIONS: [&str; 14] =
    ["pl", "pm", "psgi", "conf", "ini", "toml", "yaml", "yml", "ep", "mt", "tmpl", "tt", "tt2", "tx"];

/// Directories that hold no code of the application, and often very much else.
const SKIPPED: [&str; 2] = ["node_modules", "blib"];

/// A directory that is watched.
#[derive(Debug, Default)]
struct Place {
    path: PathBuf,
    /// Everything in it and below it belongs to the application.
    is_tree: bool,
    /// Files that were loaded from it, whatever their names.
    files: BTreeSet<OsString>,
}

impl Place {
    fn matters(&self, name: &OsStr) -> bool {
        self.files.contains(name) || (self.is_tree && is_source(name))
    }
}

fn is_source(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    // Names with a dot in front are copies that editors make.
    !is_hidden(name) && extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// See the module documentation.
pub struct Watcher {
    watched: Rc<Watched>,
}

struct Watched {
    inotify: AsyncFd<OwnedFd>,
    places: RefCell<BTreeMap<i32, Place>>,
}

impl Watcher {
    /// Calls this with the path whenever something was saved; inside a tokio `LocalSet`.
    ///
    /// # Errors
    /// When the kernel gives no more watchers.
    pub fn start(saved: impl Fn(PathBuf) + 'static) -> io::Result<Self> {
        let inotify = descriptors::watch(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?)?;
        let watched = Rc::new(Watched { inotify, places: RefCell::default() });
        let following = Rc::clone(&watched);
        tokio::task::spawn_local(async move {
            while let Some(path) = following.next_save().await {
                saved(path);
            }
        });
        Ok(Self { watched })
    }

    /// Watches these, too: directories with everything below them, and files.
    pub fn watch(&self, directories: &[PathBuf], files: &[PathBuf]) {
        for directory in directories {
            self.watched.add_tree(directory);
        }
        for file in files {
            if let (Some(directory), Some(name)) = (file.parent(), file.file_name()) {
                self.watched.add(directory, |place| {
                    place.files.insert(name.to_owned());
                });
            }
        }
    }
}

impl Watched {
    fn add(&self, directory: &Path, change: impl FnOnce(&mut Place)) {
        let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.inotify, directory, flags) {
            Ok(number) => {
                let mut places = self.places.borrow_mut();
                let place = places.entry(number).or_default();
                directory.clone_into(&mut place.path);
                change(place);
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(Errno::NOSPC) => tracing::warn!(
                "{} is not watched: the limit is reached that sysctl fs.inotify.max_user_watches sets",
                directory.display()
            ),
            Err(error) => tracing::warn!("{} is not watched: {error}", directory.display()),
        }
    }

    /// Returns a file in it that matters, if there is one.
    fn add_tree(&self, root: &Path) -> Option<PathBuf> {
        let mut found = None;
        let mut pending = vec![root.to_owned()];
        while let Some(directory) = pending.pop() {
            // Watched before it is read: what comes in between is seen twice rather than never.
            self.add(&directory, |place| place.is_tree = true);
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory && !is_hidden(&name) && !SKIPPED.iter().any(|skipped| name == *skipped) {
                    pending.push(entry.path());
                } else if !is_directory && is_source(&name) {
                    found.get_or_insert_with(|| entry.path());
                }
            }
        }
        found
    }

    /// The last of several that were saved together; `None` when nothing can be seen any more.
    async fn next_save(&self) -> Option<PathBuf> {
        let mut saved = loop {
            if let Some(path) = self.next_batch().await? {
                break path;
            }
        };
        let mut quiet_at = Instant::now() + QUIET;
        // What does not matter does not count as unrest: an application may write its log all the time.
        while let Ok(batch) = tokio::time::timeout_at(quiet_at, self.next_batch()).await {
            if let Some(path) = batch? {
                saved = path;
                quiet_at = Instant::now() + QUIET;
            }
        }
        Some(saved)
    }

    /// Waits for events, and returns the path of one that matters.
    async fn next_batch(&self) -> Option<Option<PathBuf>> {
        let mut ready = self.inotify.readable().await.ok()?;
        let mut saved = None;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(self.inotify.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    saved = self.judge(event.wd(), event.events(), name).or(saved);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    ready.clear_ready();
                    return Some(saved);
                }
                Err(error) => {
                    tracing::warn!("Files of the application are not watched any more: {error}");
                    return None;
                }
            }
        }
    }

    /// The path of what was saved, if it matters.
    fn judge(&self, number: i32, events: ReadFlags, name: Option<&OsStr>) -> Option<PathBuf> {
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            // More has changed than the kernel could tell.
            return self.places.borrow().values().next().map(|place| place.path.clone());
        }
        if events.contains(ReadFlags::IGNORED) {
            self.places.borrow_mut().remove(&number);
            return None;
        }
        let (path, is_tree, matters) = {
            let places = self.places.borrow();
            let place = places.get(&number)?;
            (place.path.join(name?), place.is_tree, place.matters(name?))
        };
        if events.contains(ReadFlags::ISDIR) {
            let is_skipped = is_hidden(name?) || SKIPPED.iter().any(|skipped| name == Some(OsStr::new(skipped)));
            return if is_tree && !is_skipped { self.add_tree(&path) } else { None };
        }
        // A file that was only made will be closed, too; a link will not, but links are moved into place.
        (matters && !events.contains(ReadFlags::CREATE)).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_matters_and_what_applications_write_does_not() {
        let place = Place { is_tree: true, ..Place::default() };
        for name in ["app.pl", "Store.pm", "app.psgi", "app.yml", "index.tt"] {
            assert!(place.matters(OsStr::new(name)), "{name}");
        }
        for name in ["app.db", "access.log", ".app.pl.swp", ".#app.pl", "app.pl~", "4913", "notes", "pl"] {
            assert!(!place.matters(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn beside_a_loaded_file_nothing_else_matters() {
        let place = Place { files: BTreeSet::from(["service".into()]), ..Place::default() };
        assert!(place.matters(OsStr::new("service")));
        assert!(!place.matters(OsStr::new("other.pm")));
    }
}
