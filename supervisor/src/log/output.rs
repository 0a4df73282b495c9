//! Where lines go. One write per line, so that the lines of several processes never mix.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use serde::{Deserialize, Serialize};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::line::{Composer, Format};

/// `--log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
    /// The socket of the syslog daemon.
    Syslog(PathBuf),
    /// The socket of systemd's journal.
    Journald(PathBuf),
}

impl Destination {
    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Stderr | Self::Syslog(_) | Self::Journald(_) => None,
        }
    }

    /// Understands the option's value: `stderr`, `syslog`, `journald`, the last two with `:SOCKET` behind them when the
    /// socket is not at its usual place, or the path of a file.
    ///
    /// # Errors
    /// What is wrong, worded to follow the option's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("", _) => Err("takes stderr, syslog, journald or the path of a file".to_owned()),
            ("stderr", "") => Ok(Self::Stderr),
            ("syslog", "") => Ok(Self::Syslog("/dev/log".into())),
            ("syslog", socket) => Ok(Self::Syslog(socket.into())),
            ("journald", "") => Ok(Self::Journald("/run/systemd/journal/socket".into())),
            ("journald", socket) => Ok(Self::Journald(socket.into())),
            _ => Ok(Self::File(text.into())),
        }
    }

    /// The same with a relative path made absolute.
    #[must_use]
    pub fn anchored(self, directory: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(directory.join(path)),
            other => other,
        }
    }

    /// Whether lines have to carry time and level themselves.
    #[must_use]
    pub fn needs_stamps(&self) -> bool {
        matches!(self, Self::Stderr | Self::File(_))
    }
}

enum Output {
    /// Standard error, or the descriptor that was standard error before the application's was captured.
    Stderr(Option<File>),
    File(PathBuf, File),
    Syslog(UnixDatagram),
    Journald(UnixDatagram),
}

struct Open {
    output: Output,
    composer: Composer,
}

static OPEN: RwLock<Option<Open>> = RwLock::new(None);

/// Opens the destination for this process.
pub(super) fn open(destination: &Destination, format: Format) -> Result<(), String> {
    let connect = |path: &Path| -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A daemon that hangs must not hang us.
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let explain = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("Cannot open log {path}: {error}")
    };
    let output = match destination {
        Destination::Stderr => Output::Stderr(None),
        Destination::File(path) => Output::File(path.clone(), append(path).map_err(explain(path))?),
        Destination::Syslog(path) => Output::Syslog(connect(path).map_err(explain(path))?),
        Destination::Journald(path) => Output::Journald(connect(path).map_err(explain(path))?),
    };
    let composer = Composer { format, stamped: destination.needs_stamps() };
    if let Ok(mut open) = OPEN.write() {
        *open = Some(Open { output, composer });
    }
    Ok(())
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Opens a file anew under its name. The old one stays in use if that fails.
pub(super) fn reopen() -> Result<(), String> {
    if let Ok(mut open) = OPEN.write()
        && let Some(Open { output: Output::File(path, file), .. }) = open.as_mut()
    {
        *file = append(path).map_err(|error| format!("Cannot open log {}: {error}", path.display()))?;
    }
    Ok(())
}

/// What goes to standard error goes to this descriptor from now on.
pub(super) fn divert(stderr: File) {
    if let Ok(mut open) = OPEN.write()
        && let Some(Open { output: Output::Stderr(diverted), .. }) = open.as_mut()
    {
        *diverted = Some(stderr);
    }
}

/// Lets go of the descriptor that standard error was diverted to.
pub(super) fn release_diverted() {
    if let Ok(mut open) = OPEN.write()
        && let Some(Open { output: Output::Stderr(diverted @ Some(_)), .. }) = open.as_mut()
    {
        *diverted = OpenOptions::new().write(true).open("/dev/null").ok();
    }
}

/// Writes a line of the application, for a request of this name, whatever the log level is.
pub(super) fn application(text: &str, request: Option<&str>) {
    if let Ok(open) = OPEN.read()
        && let Some(open) = open.as_ref()
    {
        // There is nobody to tell that the log does not work.
        let _ = open.output.write(Level::WARN, open.composer.application(text, request).as_bytes());
    }
}

impl Output {
    fn write(&self, level: Level, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr(None) => io::stderr().lock().write_all(line),
            Self::Stderr(Some(file)) | Self::File(_, file) => (&mut &*file).write_all(line),
            Self::Syslog(socket) => {
                // Facility 3, system daemons (RFC 3164).
                let head = format!("<{}>pagi-server[{}]: ", 3 * 8 + severity(level), std::process::id());
                socket.send(&[head.as_bytes(), line.trim_ascii_end()].concat()).map(drop)
            }
            Self::Journald(socket) => socket.send(&journal_entry(level, line.trim_ascii_end())).map(drop),
        }
    }
}

fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// The journal's native form: `NAME=VALUE` lines, and a length before a value that has line ends.
fn journal_entry(level: Level, message: &[u8]) -> Vec<u8> {
    let mut entry = format!(
        "PRIORITY={}\nSYSLOG_IDENTIFIER=pagi-server\nSYSLOG_PID={}\nPAGI_PROCESS={}\n",
        severity(level),
        std::process::id(),
        super::speaker()
    )
    .into_bytes();
    if let Some(generation) = super::generation() {
        entry.extend_from_slice(format!("PAGI_GENERATION={generation}\n").as_bytes());
    }
    entry.extend_from_slice(b"MESSAGE\n");
    entry.extend_from_slice(&(message.len() as u64).to_le_bytes());
    entry.extend_from_slice(message);
    entry.push(b'\n');
    entry
}

/// Hands out a writer for each event.
pub(super) struct Entries;

/// Writes one event.
pub(super) struct Entry {
    level: Level,
}

impl<'a> MakeWriter<'a> for Entries {
    type Writer = Entry;

    fn make_writer(&'a self) -> Entry {
        Entry { level: Level::INFO }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Entry {
        Entry { level: *metadata.level() }
    }
}

impl Write for Entry {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Ok(open) = OPEN.read()
            && let Some(open) = open.as_ref()
        {
            open.output.write(self.level, line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_destination() {
        let table = [
            ("stderr", Destination::Stderr),
            ("syslog", Destination::Syslog("/dev/log".into())),
            ("syslog:/run/s", Destination::Syslog("/run/s".into())),
            ("journald", Destination::Journald("/run/systemd/journal/socket".into())),
            ("journald:/run/j", Destination::Journald("/run/j".into())),
            ("server.log", Destination::File("server.log".into())),
            ("/a:b", Destination::File("/a:b".into())),
        ];
        for (text, expected) in table {
            assert_eq!(Destination::parse(text), Ok(expected), "{text}");
        }
        assert!(Destination::parse("").is_err());
    }

    #[test]
    fn journal_entries_hold_any_message() {
        let entry = journal_entry(Level::WARN, b"two\nlines");
        let expected = [b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n".as_slice()].concat();
        assert!(entry.starts_with(b"PRIORITY=4\nSYSLOG_IDENTIFIER=pagi-server\n") && entry.ends_with(&expected));
    }
}
