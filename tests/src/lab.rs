//! The lab: a server whose application is written inside a test.

use std::net::SocketAddr;
use std::time::Duration;

use crate::http::Response;
use crate::patience::{PATIENCE, poll};
use crate::raw::{End, Raw};
use crate::server::{Server, Setup};

/// A running server with handlers given as Perl text. The text may use everything `tests/apps/lab/Lab.pm` exports: it
/// calls `route` for each path, and what it tells with `note` can be read here while the server runs.
#[derive(Debug)]
pub struct Lab {
    /// The server.
    pub server: Server,
}

/// What came back on a connection that was read to its end.
#[derive(Debug)]
pub struct Reply {
    /// The first response.
    pub response: Response,
    /// All bytes.
    pub bytes: Vec<u8>,
    /// How the connection ended.
    pub end: End,
}

impl Lab {
    /// A server with these handlers and default settings.
    pub fn new(handlers: &str) -> Self {
        Self::with(handlers, &[])
    }

    /// A server with these handlers and more options.
    pub fn with(handlers: &str, options: &[&str]) -> Self {
        Self { server: Self::setup(handlers).args(options).start() }
    }

    /// The same, not yet started.
    pub fn setup(handlers: &str) -> Setup {
        let library = crate::app::test_app("lab");
        let text = format!(
            "use strict; use warnings; use feature qw(say signatures); no warnings 'experimental::signatures';\n\
             use Future; use Future::AsyncAwait; use Future::IO; use Lab;\n\
             # line 1 \"handlers\"\n{handlers}\napp();\n"
        );
        let setup = Setup::perl(&text);
        let notes = setup.path("notes");
        // Whatever the machine's terminal says, the mode is the same everywhere; nothing wraps the application.
        setup.arg("-I").arg(library).args(["-E", "none", "--log-level", "debug"]).env("LAB_NOTES", notes)
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A new connection.
    pub fn connect(&self) -> Raw {
        Raw::connect(self.address())
    }

    /// Sends bytes on a new connection and reads to its end. The bytes have to ask for the end.
    pub fn exchange(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut raw = self.connect();
        raw.send(bytes.as_ref());
        let end = raw.read_to_end();
        let method = if bytes.as_ref().starts_with(b"HEAD") { "HEAD" } else { "GET" };
        let parsed = Response::parse(&raw.received, method);
        let Ok(Some((response, _))) = parsed else { panic!("no response ({parsed:?}): {}", raw.shown()) };
        Reply { response, bytes: raw.received, end }
    }

    /// A GET whose connection closes afterwards.
    pub fn get(&self, path: &str) -> Response {
        self.get_with(path, "")
    }

    /// The same with more header lines, each with its line end.
    pub fn get_with(&self, path: &str, headers: &str) -> Response {
        self.exchange(request("GET", path, &format!("Connection: close\r\n{headers}"))).response
    }

    /// A POST whose connection closes afterwards.
    pub fn post(&self, path: &str, body: &str) -> Response {
        let length = body.len();
        let headers = format!("Connection: close\r\nContent-Length: {length}\r\n");
        self.exchange(request("POST", path, &headers) + body).response
    }

    /// What the application has noted so far.
    pub fn notes(&self) -> Vec<String> {
        self.server.output("notes").lines().map(str::to_owned).collect()
    }

    /// Waits until the application has noted this line.
    #[track_caller]
    pub fn wait_for_note(&self, line: &str) {
        let found = poll(PATIENCE, || self.notes().iter().any(|note| note == line));
        assert!(found, "no note {line:?} in {:#?}\nlog:\n{}", self.notes(), self.server.log());
    }

    /// Waits until the notes are exactly these.
    #[track_caller]
    pub fn assert_notes(&self, expected: &[&str]) {
        let same = poll(PATIENCE, || self.notes().len() >= expected.len());
        assert!(same && self.notes() == expected, "expected {expected:#?}\nnoted {:#?}", self.notes());
    }

    /// Waits for the notes to come to this number, then for a moment in which no more may come.
    #[track_caller]
    pub fn assert_only_notes(&self, expected: &[&str]) {
        self.assert_notes(expected);
        let more = poll(Duration::from_millis(200), || self.notes().len() > expected.len());
        assert!(!more, "expected only {expected:#?}\nnoted {:#?}", self.notes());
    }
}

/// A request head with `Host` and these header lines, each with its line end.
pub fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: lab\r\n{headers}\r\n")
}

/// A GET that keeps its connection.
pub fn get(path: &str) -> String {
    request("GET", path, "")
}

/// A GET that asks for the end of its connection.
pub fn get_and_close(path: &str) -> String {
    request("GET", path, "Connection: close\r\n")
}

/// The same on HTTP/1.0.
pub fn get_1_0(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.0\r\n{headers}\r\n")
}
