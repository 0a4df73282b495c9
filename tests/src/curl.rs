//! The `curl` command as a client.

use std::ffi::OsStr;
use std::process::{Command, Output};

/// What curl printed.
#[derive(Debug)]
pub struct Answer {
    /// curl's own exit code; 0 when the transfer was complete.
    pub exit: i32,
    /// HTTP status, 0 when there was no response.
    pub status: u16,
    /// Response head as received.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The first value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Runs `curl` with some arguments, one of them the URL.
pub fn curl<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Answer {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let head = directory.path().join("head");
    let body = directory.path().join("body");
    let Output { status, stdout, .. } = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--noproxy", "*", "--write-out", "%{http_code}", "--dump-header"])
        .arg(&head)
        .arg("--output")
        .arg(&body)
        .args(arguments)
        .output()
        .expect("curl is installed");
    let read = |path| std::fs::read(path).unwrap_or_default();
    Answer {
        exit: status.code().unwrap_or(-1),
        status: String::from_utf8_lossy(&stdout).trim().parse().unwrap_or(0),
        head: String::from_utf8_lossy(&read(&head)).into_owned(),
        body: read(&body),
    }
}
