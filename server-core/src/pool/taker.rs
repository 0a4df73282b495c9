//! A pool process takes tickets, one at a time.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::queue;
use super::ticket::{Origin, TAKEN, Ticket};
use crate::accept;
use crate::transport::has_hung_up;
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
        let taken = {
            let space = &mut worker.scratch.borrow_mut();
            queue.try_io(Interest::READABLE, || queue::take(queue.as_fd(), space))
        };
        match taken {
            Ok((ticket, stream)) => begin(&worker, ticket, stream.into()),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => tracing::error!(%error, "an unreadable ticket is dropped"),
        }
    }
}

fn begin(worker: &Rc<Worker>, ticket: Ticket, stream: UnixStream) {
    match ticket {
        Ticket::Request(origin) => {
            if let Err(error) = take_over(worker, stream, origin) {
                tracing::error!(%error, "a request cannot be served");
            }
        }
        // A job may have been left to us by a worker that has ended (WP-9): what it wrote tells.
        Ticket::Job => {
            // The stream is new, so one byte always fits; if its other end has gone, it is told by reading.
            let _ = (&stream).write_all(&[TAKEN]);
            worker.jobs.push(stream.into());
            worker.inbox.rouse();
        }
    }
}

/// The worker has sent the request, or the beginning of a long one, before its ticket. That it is read is what tells the
/// worker that it was taken.
fn take_over(worker: &Rc<Worker>, mut stream: UnixStream, origin: Origin) -> io::Result<()> {
    let mut received = BytesMut::new();
    {
        let space = &mut worker.scratch.borrow_mut()[..];
        let length = stream.read(space)?;
        received.extend_from_slice(&space[..length]);
    }
    if has_hung_up(&stream) {
        // So has the client, or the worker has answered in our place.
        return Ok(());
    }
    accept::take_over(worker, tokio::net::UnixStream::from_std(stream)?, origin, received);
    Ok(())
}
