//! A pool process takes tickets, one at a time.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::queue;
use super::ticket::{TAKEN, Ticket};
use crate::accept;
use crate::scope::Peer;
use crate::worker::Worker;

/// Takes a ticket whenever this process has nothing to do.
pub(crate) async fn take_from(worker: Rc<Worker>, queue: OwnedFd) {
    // Not a datagram socket but a queue of packets, which is the same to whoever waits for one.
    let queue = match UnixDatagram::from_std(queue.into()) {
        Ok(queue) => queue,
        Err(error) => return tracing::error!(%error, "the queue of this pool process cannot be watched"),
    };
    loop {
        while worker.stats.connections.get() > 0 || worker.jobs.is_busy() {
            worker.room.notified().await;
        }
        if let Err(error) = queue.readable().await {
            return tracing::error!(%error, "the queue of this pool process is broken");
        }
        match queue.try_io(Interest::READABLE, || queue::take(queue.as_fd())) {
            Ok((ticket, stream)) => begin(&worker, ticket, stream.into()),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => tracing::error!(%error, "an unreadable ticket is dropped"),
        }
    }
}

fn begin(worker: &Rc<Worker>, ticket: Ticket, mut stream: UnixStream) {
    // The stream is new, so one byte always fits; if its other end has gone, so has whoever waits.
    let awaited = stream.write_all(&[TAKEN]).is_ok();
    match ticket {
        Ticket::Request(_) if !awaited => {}
        Ticket::Request(origin) => {
            let opened: io::Result<_> =
                stream.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(stream));
            match opened {
                Ok(stream) => accept::open(worker, stream, Rc::new(Peer::from(origin)), accept::Prelude::default()),
                Err(error) => tracing::error!(%error, "a request cannot be served"),
            }
        }
        // A job may have been left to us by a worker that has ended (WP-9): what it wrote tells.
        Ticket::Job => {
            worker.jobs.push(stream.into());
            worker.inbox.rouse();
        }
    }
}
