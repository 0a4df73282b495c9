//! Serves the workers: reads what they ask, answers, and passes messages on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use nix::unistd::geteuid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

use super::channels::{Channels, Client};
use super::frame::{self, Frame, Kind, Malformed};
use super::outbox::Outbox;
use super::shelf::{Bounds, Shelf};
use crate::cli::StoreOptions;

/// The longest key, and the longest channel name, in bytes.
const LONGEST_KEY: usize = 1024;
/// How often entries that have ended are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// Entries forgotten in one go, and frames of one worker: nobody waits for longer.
const BURST: usize = 1000;

struct Hub {
    limits: StoreOptions,
    shelf: RefCell<Shelf>,
    channels: RefCell<Channels>,
    clients: RefCell<HashMap<Client, Peer>>,
}

struct Peer {
    outbox: Rc<Outbox>,
    /// Messages lost since the worker last kept up; the first is reported.
    lost: u64,
}

/// Serves for ever; inside a tokio `LocalSet`.
pub fn start(listener: UnixListener, limits: StoreOptions) {
    let bounds = Bounds { entries: limits.store_entries, bytes: limits.store_bytes };
    let hub = Rc::new(Hub {
        limits,
        shelf: RefCell::new(Shelf::new(bounds)),
        channels: RefCell::default(),
        clients: RefCell::default(),
    });
    tokio::task::spawn_local(sweep(Rc::clone(&hub)));
    tokio::task::spawn_local(accept(listener, hub));
}

async fn sweep(hub: Rc<Hub>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        while hub.shelf.borrow_mut().expire(Instant::now(), BURST) {
            tokio::task::yield_now().await;
        }
    }
}

async fn accept(listener: UnixListener, hub: Rc<Hub>) {
    for number in 1.. {
        match listener.accept().await {
            Ok((stream, _)) if is_ours(&stream) => {
                tokio::task::spawn_local(serve(stream, number, Rc::clone(&hub)));
            }
            Ok(_) => tracing::warn!("Another user has tried to reach the shared store"),
            Err(error) => {
                // Out of descriptors, most likely: trying again at once would burn the processor.
                tracing::warn!("Cannot accept on the shared store: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// A name in the abstract namespace is open to everybody.
fn is_ours(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

async fn serve(stream: UnixStream, client: Client, hub: Rc<Hub>) {
    let (reading, writing) = stream.into_split();
    let outbox = Rc::new(Outbox::new(hub.limits.store_backlog));
    hub.clients.borrow_mut().insert(client, Peer { outbox: Rc::clone(&outbox), lost: 0 });
    let ending = tokio::select! {
        ending = read(reading, client, &hub, &outbox) => ending,
        ending = write(writing, &outbox) => ending,
    };
    hub.clients.borrow_mut().remove(&client);
    hub.channels.borrow_mut().forget(client);
    if let Err(error) = ending {
        tracing::debug!("A worker's connection to the shared store has ended: {error}");
    }
}

async fn write(mut writing: OwnedWriteHalf, outbox: &Outbox) -> io::Result<()> {
    loop {
        writing.write_all(&outbox.take().await).await?;
    }
}

async fn read(mut reading: OwnedReadHalf, client: Client, hub: &Hub, outbox: &Outbox) -> io::Result<()> {
    let most = hub.limits.store_item_bytes.saturating_add(frame::OVERHEAD);
    let mut received = BytesMut::new();
    loop {
        let mut answered = 0;
        while let Some(request) = frame::decode(&mut received, most).map_err(refuse)? {
            outbox.reply(hub.answer(client, &request).map_err(refuse)?);
            outbox.room().await;
            answered += 1;
            if answered % BURST == 0 {
                tokio::task::yield_now().await;
            }
        }
        if reading.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

fn refuse(Malformed(what): Malformed) -> io::Error {
    tracing::warn!("A worker is cut off from the shared store: {what}");
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Hub {
    fn answer(&self, client: Client, request: &Frame) -> Result<Bytes, Malformed> {
        let now = Instant::now();
        let done = |fields: &[&[u8]]| frame::encode(Kind::Done, request.tag, fields);
        let nothing = || frame::encode(Kind::Nothing, request.tag, &[]);
        let refused = |reason: String| frame::encode(Kind::Refused, request.tag, &[reason.as_bytes()]);
        let Some(key) = request.fields.first() else { return Err(Malformed("a request names nothing")) };
        if key.len() > LONGEST_KEY {
            return Ok(refused(format!("The name has {} bytes, more than {LONGEST_KEY}", key.len())));
        }
        Ok(match (request.kind, &request.fields[1..]) {
            (Kind::Get, []) => self.shelf.borrow_mut().get(key, now).map_or_else(nothing, |value| done(&[&value])),
            (Kind::Set, [value, _]) if value.len() > self.limits.store_item_bytes => refused(self.too_large(value)),
            (Kind::Set, [value, life]) => match self.shelf.borrow_mut().set(key, value, milliseconds(life)?, now) {
                Ok(displaced) => {
                    if displaced > 0 {
                        tracing::debug!("The shared store is full: {displaced} entries had to go");
                    }
                    done(&[])
                }
                Err(reason) => refused(reason),
            },
            (Kind::Touch, [life]) if self.shelf.borrow_mut().touch(key, milliseconds(life)?, now) => done(&[]),
            (Kind::Touch, [_]) => nothing(),
            (Kind::Delete, []) if self.shelf.borrow_mut().delete(key, now) => done(&[]),
            (Kind::Delete, []) => nothing(),
            (Kind::Interest, [count]) => {
                self.channels.borrow_mut().set(client, key, number(count)?);
                done(&[])
            }
            (Kind::Publish, [message]) if message.len() > self.limits.store_item_bytes => {
                refused(self.too_large(message))
            }
            (Kind::Publish, [message]) => done(&[self.publish(client, key, message).to_string().as_bytes()]),
            _ => return Err(Malformed("a request has other fields than its kind")),
        })
    }

    fn too_large(&self, value: &[u8]) -> String {
        format!("{} bytes are more than --store-item-bytes {} allows", value.len(), self.limits.store_item_bytes)
    }

    /// Returns how many listeners a message goes to.
    fn publish(&self, client: Client, channel: &[u8], message: &[u8]) -> u64 {
        let channels = self.channels.borrow();
        let mut clients = self.clients.borrow_mut();
        let mut bytes = None;
        let mut reached = 0;
        for (listener, count) in channels.audience(channel, client) {
            let Some(peer) = clients.get_mut(&listener) else { continue };
            let bytes = bytes.get_or_insert_with(|| frame::encode(Kind::Message, 0, &[channel, message]));
            if peer.outbox.message(bytes) {
                reached += count;
                peer.lost = 0;
            } else {
                if peer.lost == 0 {
                    tracing::warn!(
                        "A worker does not take its messages: those beyond --store-backlog {} are lost to it",
                        self.limits.store_backlog
                    );
                }
                peer.lost += 1;
            }
        }
        reached
    }
}

fn number(field: &[u8]) -> Result<u64, Malformed> {
    let text = std::str::from_utf8(field).ok();
    text.and_then(|text| text.parse().ok()).ok_or(Malformed("a number is none"))
}

fn milliseconds(field: &[u8]) -> Result<Duration, Malformed> {
    number(field).map(Duration::from_millis)
}

#[cfg(test)]
mod tests;
