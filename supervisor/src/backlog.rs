//! How many connections wait to be accepted, queue by queue. A queue that grows belongs to workers that do not keep up,
//! or to one that is blocked and a neighbour that is, too.

use crate::control::status::QueueStatus;
use crate::process::tcp;
use crate::sockets::{Sockets, descriptor};

/// The accept queues of all TCP addresses. Of a Unix socket the kernel does not tell.
#[must_use]
pub fn of(sockets: &Sockets) -> Vec<QueueStatus> {
    let mut found = Vec::new();
    for (address, queues) in sockets.groups() {
        for (queue, listener) in (0..).zip(queues) {
            if let Ok((length, limit)) = tcp::accept_queue(descriptor(listener)) {
                found.push(QueueStatus { address: address.to_string(), queue, length, limit });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Target};
    use std::net::TcpStream;

    #[test]
    fn each_queue_of_each_tcp_address() {
        let directory = tempfile::tempdir().unwrap();
        let addresses = [Address::tcp("127.0.0.1", 0), Address::unix(directory.path().join("a.sock"))];
        let sockets = Sockets::bind(&addresses, 3, 16).unwrap();
        let Some(Target::Tcp { port, .. }) = sockets.addresses().next().map(|address| &address.target) else {
            panic!("no TCP address")
        };
        let _clients: Vec<_> = (0..5).map(|_| TcpStream::connect(("127.0.0.1", *port)).unwrap()).collect();
        let queues = of(&sockets);
        assert_eq!(queues.iter().map(|queue| queue.queue).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(queues.iter().map(|queue| queue.length).sum::<u32>(), 5);
        assert!(queues.iter().all(|queue| queue.limit == 16));
        assert!(queues.iter().all(|queue| queue.address == format!("http://127.0.0.1:{port}/")));
    }
}
