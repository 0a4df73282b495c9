//! Static folders: directories whose files are served under a path.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::listing;
use super::locate::{Found, Search};
use super::root::{Lookup, Miss, Root};
use super::url::{self, Name};
use crate::coding::{Coding, Wishes};
use crate::event::Content;
use crate::exchange::{CallEnd, Exchange};
use crate::header::HeaderList;
use crate::path::strip_root;
use crate::scope::{RequestHead, ScopeKind};
use crate::service::{self, Claim, Service, TaskEnd};

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderOptions {
    /// Path under which its files are, without a slash at the end; empty for all paths.
    pub prefix: String,
    /// The directory.
    pub directory: PathBuf,
    /// Requests for this host only, in lower case; `None` for any.
    pub host: Option<String>,
    /// File that stands for a directory; `index.html` by default.
    pub index: Option<String>,
    /// Show what is in a directory without one. Off by default.
    pub listing: bool,
    /// Leave what is not there, and methods other than GET and HEAD, to the application. Off by default.
    pub fallthrough: bool,
    /// Send `FILE.br`, `FILE.zst` or `FILE.gz` to clients that take it. On by default.
    pub precompressed: bool,
    /// `cache-control: max-age`; none by default.
    pub max_age: Option<Duration>,
    /// `immutable` beside it. Off by default.
    pub immutable: bool,
}

impl FolderOptions {
    /// The files of a directory under a path, and everything else as it is by default.
    #[must_use]
    pub fn new(prefix: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        Self {
            prefix: prefix.into(),
            directory: directory.into(),
            host: None,
            index: Some("index.html".to_owned()),
            listing: false,
            fallthrough: false,
            precompressed: true,
            max_age: None,
            immutable: false,
        }
    }

    fn cache_control(&self) -> Option<String> {
        let age = self.max_age.map(|age| format!("max-age={}", age.as_secs()));
        let parts: Vec<_> = age.into_iter().chain(self.immutable.then(|| "immutable".to_owned())).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// All folders of a server, as a service.
pub struct Folders {
    /// Those of a host first, then the longest prefixes.
    folders: Vec<Arc<Folder>>,
}

struct Folder {
    options: FolderOptions,
    root: Root,
    cache_control: Option<String>,
}

impl Folders {
    /// Opens the directories.
    ///
    /// # Errors
    /// Names the one that cannot be opened.
    pub fn open(options: &[FolderOptions]) -> Result<Self, String> {
        let open = |options: &FolderOptions| -> Result<_, String> {
            let root = Root::open(&options.directory)?;
            Ok(Arc::new(Folder { cache_control: options.cache_control(), options: options.clone(), root }))
        };
        let mut folders: Vec<_> = options.iter().map(open).collect::<Result<_, _>>()?;
        let rank = |folder: &Arc<Folder>| (folder.options.host.is_some(), folder.options.prefix.len());
        folders.sort_by_key(|folder| std::cmp::Reverse(rank(folder)));
        Ok(Self { folders })
    }
}

impl Service for Folders {
    fn claim(&self, exchange: &Rc<Exchange>) -> Claim {
        let head = exchange.head();
        if head.kind == ScopeKind::WebSocket {
            return Claim::Pass;
        }
        let raw = strip_root(head.raw_path(), &exchange.worker().config.root_path);
        let (path, is_clear) = url::decoded(raw);
        let matching = self.folders.iter().find_map(|folder| {
            let rest = url::below(&path, &folder.options.prefix)?;
            folder.is_for(head).then_some((folder, rest))
        });
        match matching {
            Some((folder, rest)) => folder.claim(exchange, url::name(rest).filter(|_| is_clear)),
            None => Claim::Pass,
        }
    }
}

impl Folder {
    fn is_for(&self, head: &RequestHead) -> bool {
        self.options.host.as_ref().is_none_or(|host| head.is_for_host(host))
    }

    fn claim(self: &Arc<Self>, exchange: &Rc<Exchange>, name: Option<Name<'_>>) -> Claim {
        let head = exchange.head();
        if !matches!(head.method(), b"GET" | b"HEAD") {
            return self.refuse_method(exchange);
        }
        let Some(name) = name else { return self.absent(exchange) };
        let search = Search {
            name: name.path.to_owned(),
            is_directory: name.is_directory,
            index: self.options.index.clone(),
            listing: self.options.listing,
            codings: match self.options.precompressed {
                true => Wishes::of(head.headers()).ranked(&Coding::ALL),
                false => Vec::new(),
            },
        };
        match search.run(&self.root, Lookup::Cached, self.options.precompressed) {
            Err(Miss::Unknown) => self.look_patiently(exchange, search),
            Ok(Found::Directory(directory)) if self.options.listing => self.list(exchange, directory),
            outcome => match self.reply(head, outcome) {
                Some(reply) => service::answer(exchange, reply.status, reply.headers, reply.content),
                None => Claim::Pass,
            },
        }
    }

    fn refuse_method(&self, exchange: &Rc<Exchange>) -> Claim {
        if self.options.fallthrough {
            return Claim::Pass;
        }
        let Reply { status, mut headers, content } = Reply::text(405, "405 Method Not Allowed\r\n");
        headers.push(b"allow", b"GET, HEAD");
        service::answer(exchange, status, headers, content)
    }

    fn absent(&self, exchange: &Rc<Exchange>) -> Claim {
        match self.reply(exchange.head(), Err(Miss::Absent)) {
            Some(reply) => service::answer(exchange, reply.status, reply.headers, reply.content),
            None => Claim::Pass,
        }
    }

    /// A helper thread may wait for the disk.
    fn look_patiently(self: &Arc<Self>, exchange: &Rc<Exchange>, search: Search) -> Claim {
        let (folder, exchange) = (Arc::clone(self), Rc::clone(exchange));
        Claim::Task(Box::pin(async move {
            let searcher = Arc::clone(&folder);
            let precompressed = folder.options.precompressed;
            let outcome = helped(move || search.run(&searcher.root, Lookup::Patient, precompressed)).await;
            let outcome = match outcome.unwrap_or(Err(Miss::Broken(rustix::io::Errno::AGAIN))) {
                Ok(Found::Directory(directory)) if folder.options.listing => {
                    return TaskEnd::Ended(send_listing(&exchange, directory).await);
                }
                outcome => outcome,
            };
            match folder.reply(exchange.head(), outcome) {
                Some(Reply { status, headers, content }) => {
                    TaskEnd::Ended(service::respond(&exchange, status, headers, content))
                }
                None => TaskEnd::Declined,
            }
        }))
    }

    fn list(&self, exchange: &Rc<Exchange>, directory: std::os::fd::OwnedFd) -> Claim {
        let exchange = Rc::clone(exchange);
        Claim::Task(Box::pin(async move { TaskEnd::Ended(send_listing(&exchange, directory).await) }))
    }

    /// The response to what was found; `None` leaves it to the application.
    fn reply(&self, head: &RequestHead, outcome: Result<Found, Miss>) -> Option<Reply> {
        Some(match outcome {
            Ok(Found::File(file)) => {
                let mut headers = HeaderList::new();
                if let Some(value) = &self.cache_control {
                    headers.push(b"cache-control", value.as_bytes());
                }
                match file.answer(head, headers) {
                    Ok(answer) => Reply { status: answer.status, headers: answer.headers, content: answer.content },
                    Err(error) => self.broken(head, &error),
                }
            }
            Ok(Found::NeedsSlash) => redirect(head),
            Ok(Found::Directory(_)) | Err(Miss::Absent | Miss::Unknown) if self.options.fallthrough => return None,
            Ok(Found::Directory(_)) | Err(Miss::Absent | Miss::Unknown) => Reply::text(404, "404 Not Found\r\n"),
            Err(Miss::Denied) => Reply::text(403, "403 Forbidden\r\n"),
            Err(Miss::Broken(error)) => self.broken(head, &error.into()),
        })
    }

    fn broken(&self, head: &RequestHead, error: &io::Error) -> Reply {
        let path = String::from_utf8_lossy(head.raw_path());
        tracing::error!(%path, "A file of {} cannot be sent: {error}", self.root.path().display());
        Reply::text(500, "500 Internal Server Error\r\n")
    }
}

struct Reply {
    status: u16,
    headers: HeaderList,
    content: Content<'static>,
}

impl Reply {
    fn text(status: u16, text: &'static str) -> Self {
        let mut headers = HeaderList::new();
        headers.push(b"content-type", b"text/plain");
        headers.push(b"content-length", text.len().to_string().as_bytes());
        Self { status, headers, content: Content::Inline(text.as_bytes()) }
    }
}

/// Relative links of a directory's page need the slash.
fn redirect(head: &RequestHead) -> Reply {
    let mut location = [head.raw_path(), b"/"].concat();
    if !head.query_string().is_empty() {
        location.push(b'?');
        location.extend_from_slice(head.query_string());
    }
    let Reply { status, mut headers, content } = Reply::text(301, "301 Moved Permanently\r\n");
    headers.push(b"location", &location);
    Reply { status, headers, content }
}

/// What a helper thread finds out; `None` when there is none to be had.
async fn helped<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

async fn send_listing(exchange: &Exchange, directory: std::os::fd::OwnedFd) -> CallEnd {
    let path = String::from_utf8_lossy(exchange.head().raw_path()).into_owned();
    let shown = path.clone();
    let (status, kind, text) = match helped(move || listing::page(&directory, &shown)).await {
        Some(Ok(page)) => (200, "text/html; charset=utf-8", page),
        Some(Err(error)) => {
            tracing::error!(%path, "A directory cannot be listed: {error}");
            (500, "text/plain", "500 Internal Server Error\r\n".to_owned())
        }
        None => (500, "text/plain", "500 Internal Server Error\r\n".to_owned()),
    };
    let mut headers = HeaderList::new();
    headers.push(b"content-type", kind.as_bytes());
    headers.push(b"content-length", text.len().to_string().as_bytes());
    service::respond(exchange, status, headers, Content::Inline(text.as_bytes()))
}
