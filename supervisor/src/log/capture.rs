//! What the application writes to standard error, `warn` included, becomes lines of the log.
//!
//! Standard error is replaced by a pipe, and a thread reads its other end: Perl may block for as long as it likes, and
//! programs that the application runs write into the same pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::{dup2_stderr, pipe2};

use super::marks::{self, Lines};
use super::output;

/// How long the last lines may take. Children of the application may keep the pipe open for ever.
const PATIENCE: Duration = Duration::from_millis(500);

/// Standard error as long as this lives.
pub struct Capture {
    ended: Receiver<()>,
    token: String,
}

/// Standard error as it was, while it is captured.
static ORIGINAL: Mutex<Option<File>> = Mutex::new(None);

impl Capture {
    /// Begins. Not before the process is the one that serves: a thread does not survive a fork.
    ///
    /// # Errors
    /// When there is no descriptor or no thread to be had.
    pub fn start() -> io::Result<Self> {
        let original = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let spare = original.try_clone()?;
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        let (end, ended) = channel();
        let token = marks::token();
        let known = token.clone();
        std::thread::Builder::new().name("pagi-stderr".to_owned()).spawn(move || {
            pump(reader.into(), &known);
            // Nobody waits unless the process is about to end.
            let _ = end.send(());
        })?;
        dup2_stderr(&writer)?;
        output::divert(spare);
        if let Ok(mut kept) = ORIGINAL.lock() {
            *kept = Some(original);
        }
        Ok(Self { ended, token })
    }

    /// What marks are known by, see [`marks`].
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// Standard error as it was, for what is no line of the log; `None` when it is not captured.
#[must_use]
pub fn original() -> Option<File> {
    ORIGINAL.lock().ok()?.as_ref()?.try_clone().ok()
}

/// Lets go of what standard error was, if it is captured; says whether it is.
#[must_use]
pub fn release() -> bool {
    let Ok(mut kept) = ORIGINAL.lock() else { return false };
    if kept.is_none() {
        return false;
    }
    *kept = OpenOptions::new().write(true).open("/dev/null").ok();
    output::release_diverted();
    true
}

impl Drop for Capture {
    fn drop(&mut self) {
        // The last writer in this process is gone with this, so that the thread comes to the end of the pipe.
        let original = ORIGINAL.lock().ok().and_then(|mut kept| kept.take());
        if original.is_some_and(|original| dup2_stderr(original).is_ok())
            && self.ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout)
        {
            tracing::debug!("A child of the application still holds standard error");
        }
    }
}

fn pump(mut pipe: File, token: &str) {
    let mut lines = Lines::new(token);
    let mut buffer = [0; 4096];
    let mut emit = |line: &[u8], name: Option<&str>| {
        output::application(String::from_utf8_lossy(line).trim_end_matches('\r'), name);
    };
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(number) => lines.feed(&buffer[..number], &mut emit),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lines.end(&mut emit);
}
