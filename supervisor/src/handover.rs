//! What a server leaves to the one that takes its place in an upgrade, and what the two say to each other.
//!
//! The listening sockets travel as descriptors named in `PAGI_REUSE`, which is the form of the reference server;
//! everything else is listed in `PAGI_UPGRADE`. The successor owns nothing of it until it is told to take over: until
//! then it can fail, and nothing has happened.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::channel;
use crate::inherited::Passage;
use crate::messages::fitting;
use crate::process::{descriptors, environment};
use crate::tls::Tickets;

/// The variable that holds an [`Estate`].
pub const VARIABLE: &str = "PAGI_UPGRADE";

/// A descriptor with the path it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The descriptor.
    pub number: RawFd,
    /// The file it stands for.
    pub path: PathBuf,
}

/// What is left to the successor, as JSON. Another version may read it: fields may be added, never removed.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estate {
    /// Where the two talk.
    pub channel: RawFd,
    /// The control socket.
    #[serde(default)]
    pub control: Option<Piece>,
    /// Sockets of the admin listener.
    #[serde(default)]
    pub admin: Vec<RawFd>,
    /// The PID file, locked.
    #[serde(default)]
    pub pid_file: Option<Piece>,
    /// Unix sockets whose files the server has made.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// Workers the server was scaled to, if other than it was started with.
    #[serde(default)]
    pub workers: Option<Scaled>,
    /// Names of sockets that a service manager keeps open by itself.
    #[serde(default)]
    pub kept: Vec<String>,
    /// How systemd has called what it passed.
    #[serde(default)]
    pub passage: Passage,
    /// A file with the tickets of TLS sessions: not in the environment, which others may read.
    #[serde(default)]
    pub tickets: Option<RawFd>,
}

/// A number of workers that was changed while the server ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaled {
    /// As the settings had it: a successor whose settings say something else follows them.
    pub from: u32,
    /// As it is.
    pub to: u32,
}

/// Old server to new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToSuccessor {
    /// PID file, control socket and service manager are yours.
    TakeOver,
}

/// New server to old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromSuccessor {
    /// Everybody serves.
    Ready {
        /// Version of the new server.
        version: String,
        /// PID file and socket files that it goes on with; others are left to the old server to remove.
        #[serde(default)]
        kept: Vec<PathBuf>,
    },
    /// It cannot start.
    Failed {
        /// Finished text.
        message: String,
    },
}

/// The server whose place this process is to take; nothing of it when there is none.
#[derive(Default)]
pub struct Predecessor {
    /// Where the two talk.
    pub channel: Option<OwnedFd>,
    /// The control socket.
    pub control: Option<(UnixListener, PathBuf)>,
    /// Sockets of the admin listener.
    pub admin: Vec<RawFd>,
    /// The PID file.
    pub pid_file: Option<(File, PathBuf)>,
    /// Unix sockets whose files are ours to remove.
    pub files: Vec<PathBuf>,
    /// Workers the server was scaled to.
    pub workers: Option<Scaled>,
    /// Names of sockets that a service manager keeps open by itself.
    pub kept: Vec<String>,
    /// How systemd has called what it passed.
    pub passage: Passage,
    /// Tickets of TLS sessions.
    pub tickets: Option<Tickets>,
}

impl Predecessor {
    /// Takes what the environment names, and removes the variable. Once, before any thread starts.
    ///
    /// # Errors
    /// When the variable does not hold what a server has put there.
    pub fn find() -> io::Result<Option<Self>> {
        environment::take(VARIABLE).map(|estate| Self::adopt(serde_json::from_str(&estate)?)).transpose()
    }

    fn adopt(estate: Estate) -> io::Result<Self> {
        let adopt = |piece: Piece| io::Result::Ok((descriptors::adopt(piece.number)?, piece.path));
        let control = estate.control.map(adopt).transpose()?;
        let pid_file = estate.pid_file.map(adopt).transpose()?;
        Ok(Self {
            channel: Some(descriptors::adopt(estate.channel)?),
            control: control.map(|(socket, path)| (UnixListener::from(socket), path)),
            admin: estate.admin,
            pid_file: pid_file.map(|(file, path)| (File::from(file), path)),
            files: estate.files,
            workers: estate.workers,
            kept: estate.kept,
            passage: estate.passage,
            tickets: estate.tickets.and_then(read_tickets),
        })
    }
}

/// Writes tickets to a file without a name.
///
/// # Errors
/// When memory cannot be had.
pub fn write_tickets(tickets: &Tickets) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"pagi-tickets", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&serde_json::to_vec(tickets)?)?;
    file.rewind()?;
    Ok(file)
}

/// Sessions that cannot be resumed are made anew: not worth failing for.
fn read_tickets(number: RawFd) -> Option<Tickets> {
    serde_json::from_reader(File::from(descriptors::adopt(number).ok()?)).ok()
}

/// The successor's end of the conversation.
pub struct Candidacy {
    channel: OwnedFd,
}

impl Candidacy {
    /// Speaks through this channel.
    #[must_use]
    pub fn new(channel: OwnedFd) -> Self {
        Self { channel }
    }

    /// Says that everybody serves. If the predecessor is gone, that is noticed by [`order`](Self::order).
    pub fn ready(&self, kept: Vec<PathBuf>) {
        self.tell(&FromSuccessor::Ready { version: env!("CARGO_PKG_VERSION").to_owned(), kept });
    }

    /// Says why this server does not start.
    pub fn fail(&self, message: &str) {
        self.tell(&FromSuccessor::Failed { message: fitting(message.trim_end().to_owned()) });
    }

    fn tell(&self, message: &FromSuccessor) {
        let _ = channel::send(self.channel.as_fd(), message, None);
    }

    /// Waits for the order to take over; inside a tokio runtime. The end of the predecessor is one as well: the
    /// sockets are nobody else's then.
    pub async fn order(&self) {
        let receiver = self.channel.try_clone().and_then(channel::Receiver::<ToSuccessor>::new);
        match receiver {
            Ok(mut receiver) => match receiver.receive().await {
                Some(ToSuccessor::TakeOver) => {}
                None => tracing::warn!("The server to be upgraded is gone; taking its place"),
            },
            Err(error) => tracing::error!("Cannot listen to the server to be upgraded: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_may_say_more_or_less() {
        let estate: Estate = serde_json::from_str(r#"{"channel":7,"something":"new"}"#).unwrap();
        assert_eq!(estate, Estate { channel: 7, ..Estate::default() });
        let full = Estate {
            channel: 7,
            control: Some(Piece { number: 8, path: "/run/control.sock".into() }),
            workers: Some(Scaled { from: 2, to: 5 }),
            kept: vec!["pagi-127.0.0.1_5000".to_owned()],
            tickets: Some(9),
            ..Estate::default()
        };
        let text = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Estate>(&text).unwrap(), full);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_two_talk() {
        let (old, new) = channel::pair().unwrap();
        let candidacy = Candidacy::new(new);
        candidacy.fail("broken\n");
        candidacy.ready(vec!["/run/s.pid".into()]);
        let hear = || channel::receive::<FromSuccessor>(old.as_fd()).unwrap().unwrap().0;
        assert_eq!(hear(), FromSuccessor::Failed { message: "broken".to_owned() });
        assert_eq!(
            hear(),
            FromSuccessor::Ready { version: env!("CARGO_PKG_VERSION").to_owned(), kept: vec!["/run/s.pid".into()] }
        );
        channel::send(old.as_fd(), &ToSuccessor::TakeOver, None).unwrap();
        candidacy.order().await;
        drop(old);
        candidacy.order().await;
    }
}
