//! A child process as the master sees it: a channel to talk through, and the two things that must both have happened
//! before it counts as gone: its status was collected, and everything it had said was heard.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use crate::channel::{self, Receiver};
use crate::event::Ending;

/// What comes from a child.
#[derive(Debug)]
pub enum Heard<T> {
    /// A message.
    Message(T),
    /// Nothing more will come.
    Silence,
}

/// Sends the same message to several.
pub fn tell_all<'a>(peers: impl Iterator<Item = &'a Peer>, message: &impl Serialize) {
    for peer in peers {
        if let Err(error) = peer.tell(message, None) {
            tracing::debug!("Cannot reach a process of this server: {error}");
        }
    }
}

/// A child process.
pub struct Peer {
    channel: OwnedFd,
    ending: Option<Ending>,
    silent: bool,
    /// Dropped when the process has ended, so that the listening task reads what is left and stops. The end of the
    /// stream alone is not enough: a process forked by the application may still hold the other end open.
    lifetime: Option<oneshot::Sender<()>>,
}

impl Peer {
    /// Listens to a child from now on; inside a tokio `LocalSet`.
    ///
    /// # Errors
    /// When the channel cannot be watched.
    pub fn new<T: DeserializeOwned + 'static>(channel: OwnedFd, hear: impl Fn(Heard<T>) + 'static) -> io::Result<Self> {
        let mut receiver = Receiver::<T>::new(channel.try_clone()?)?;
        let (lifetime, mut ended) = oneshot::channel::<()>();
        tokio::task::spawn_local(async move {
            loop {
                // Biased: while messages are there they are read, whether or not their sender lives.
                let message = tokio::select! {
                    biased;
                    message = receiver.receive() => message,
                    _ = &mut ended => None,
                };
                match message {
                    Some(message) => hear(Heard::Message(message)),
                    None => break hear(Heard::Silence),
                }
            }
        });
        Ok(Self { channel, ending: None, silent: false, lifetime: Some(lifetime) })
    }

    /// Sends a message; a child that is gone is noticed elsewhere.
    pub fn tell(&self, message: &impl Serialize, attachment: Option<BorrowedFd<'_>>) -> io::Result<()> {
        channel::send(self.channel.as_fd(), message, attachment)
    }

    /// Records that its status was collected.
    pub fn note_ended(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.lifetime = None;
    }

    /// Records that nothing more will be heard.
    pub fn note_silent(&mut self) {
        self.silent = true;
    }

    /// How it ended, once it is gone.
    #[must_use]
    pub fn gone(&self) -> Option<Ending> {
        self.ending.filter(|_| self.silent)
    }
}
