//! TCP addresses: groups of SO_REUSEPORT queues.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use pagi_server_core::listener::{Listener, Socket as Queue};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::Group;
use crate::address::{Address, Target};
use crate::inherited::Inherited;

/// Opens an address, with what was inherited for it if there is something. `wanted` is everything to be listened on.
pub(super) fn open(
    host: &str,
    port: u16,
    wanted: &[Address],
    queues: usize,
    backlog: i32,
    inherited: &mut Inherited,
) -> Result<Group, String> {
    let target = resolve(host, port)?;
    let Some((port, mut found)) = inherited.claim_tcp(target.ip(), target.port(), wanted) else {
        return bind(host, target, shares_port_with_v4(target, wanted), queues, backlog);
    };
    if found.is_own {
        add_queues(&mut found.listeners, queues, backlog);
    }
    let address = Address::tcp(host, port);
    Ok(Group { address, queues: found.listeners, file: None, is_kept: found.is_kept })
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let found: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("Error starting server: Cannot resolve host '{host}': {error}"))?
        .collect();
    // A name stands for its IPv4 address where it has one, as users of the reference server expect.
    let preferred = found.iter().find(|address| address.is_ipv4()).or(found.first());
    preferred.copied().ok_or_else(|| format!("Error starting server: Host '{host}' has no address"))
}

/// An IPv6 wildcard also takes IPv4 connections, unless the same port is wanted for IPv4 separately.
fn shares_port_with_v4(target: SocketAddr, addresses: &[Address]) -> bool {
    target.is_ipv6()
        && addresses.iter().any(|other| match &other.target {
            Target::Tcp { host, port } => *port == target.port() && !host.contains(':'),
            Target::Unix { .. } | Target::Abstract(_) | Target::Passed(_) => false,
        })
}

fn bind(host: &str, target: SocketAddr, only_v6: bool, queues: usize, backlog: i32) -> Result<Group, String> {
    let explain = |error: &io::Error| tcp_error(host, target.port(), error);
    // SO_REUSEPORT would let us share the port of another server of the same user and steal half of its connections:
    // a bind without it first finds out that the port is taken.
    if target.port() != 0 {
        tcp_socket(target, only_v6, false).map_err(|error| explain(&error))?;
    }
    let mut group = Vec::new();
    let mut address = target;
    for _ in 0..queues.max(1) {
        let socket = tcp_socket(address, only_v6, queues > 1).map_err(|error| explain(&error))?;
        socket.listen(backlog).map_err(|error| explain(&error))?;
        let listener = std::net::TcpListener::from(socket);
        // The first queue of port 0 decides which port the whole group has.
        address.set_port(listener.local_addr().map_err(|error| explain(&error))?.port());
        group.push(Queue::Tcp(listener).into());
    }
    let address = Address::tcp(host, address.port());
    Ok(Group { address, queues: group, file: None, is_kept: false })
}

/// Adds what is missing to queues of an earlier run that had fewer workers. A single queue cannot be shared; workers then
/// share it.
fn add_queues(listeners: &mut Vec<Listener>, wanted: usize, backlog: i32) {
    let Some(Queue::Tcp(first)) = listeners.first().map(|listener| &listener.socket) else { return };
    let Ok(address) = first.local_addr() else { return };
    let only_v6 = address.is_ipv6() && SockRef::from(first).only_v6().unwrap_or_default();
    while listeners.len() < wanted {
        let added = tcp_socket(address, only_v6, true).and_then(|socket| socket.listen(backlog).map(|()| socket));
        match added {
            Ok(socket) => listeners.push(Queue::Tcp(socket.into()).into()),
            Err(error) => return tracing::debug!("{address} keeps {} accept queues: {error}", listeners.len()),
        }
    }
}

fn tcp_socket(address: SocketAddr, only_v6: bool, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    // Inherited by accepted connections, which saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn tcp_error(host: &str, port: u16, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("Error: Port {port} is already in use"),
        ErrorKind::PermissionDenied => format!("Error: Permission denied to bind to port {port}"),
        ErrorKind::AddrNotAvailable => {
            format!("Error starting server: This machine has no address {host} to listen on")
        }
        _ => format!("Error starting server: Cannot listen on {host} port {port}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::Sockets;

    fn tcp(host: &str, port: u16) -> Address {
        Address::tcp(host, port)
    }

    fn port_of(sockets: &Sockets) -> u16 {
        match sockets.addresses().next().map(|address| &address.target) {
            Some(Target::Tcp { port, .. }) => *port,
            other => panic!("not a TCP address: {other:?}"),
        }
    }

    #[test]
    fn a_group_shares_the_port_the_first_queue_got() {
        let sockets = Sockets::bind(&[tcp("127.0.0.1", 0)], 4, 16).unwrap();
        let port = port_of(&sockets);
        assert_ne!(port, 0);
        assert_eq!(sockets.shape(), [4]);
        for queue in sockets.queues() {
            let Queue::Tcp(listener) = &queue.socket else { panic!("not TCP") };
            assert_eq!(listener.local_addr().unwrap().port(), port);
        }
    }

    #[test]
    fn queues_of_an_earlier_run_grow_to_the_number_wanted() {
        for (before, wanted, after) in [(2, 4, 4), (3, 2, 3), (1, 3, 1)] {
            let mut queues = Sockets::bind(&[tcp("127.0.0.1", 0)], before, 16).unwrap().groups.remove(0).queues;
            add_queues(&mut queues, wanted, 16);
            assert_eq!(queues.len(), after, "{before} queues, {wanted} wanted");
            let port = |queue: &Listener| match &queue.socket {
                Queue::Tcp(listener) => listener.local_addr().unwrap().port(),
                other => panic!("not TCP: {other:?}"),
            };
            assert!(queues.iter().all(|queue| port(queue) == port(&queues[0])));
        }
    }

    #[test]
    fn a_port_of_another_server_is_not_shared() {
        let first = Sockets::bind(&[tcp("127.0.0.1", 0)], 2, 16).unwrap();
        let port = port_of(&first);
        let error = Sockets::bind(&[tcp("127.0.0.1", port)], 2, 16).unwrap_err();
        assert_eq!(error, format!("Error: Port {port} is already in use"));
    }

    #[test]
    fn ipv6_and_ipv4_on_the_same_port() {
        let probe = Sockets::bind(&[tcp("0.0.0.0", 0)], 1, 16).unwrap();
        let port = port_of(&probe);
        drop(probe);
        let both = Sockets::bind(&[tcp("0.0.0.0", port), tcp("::", port)], 1, 16).unwrap();
        let shown: Vec<String> = both.addresses().map(ToString::to_string).collect();
        assert_eq!(shown, [format!("http://0.0.0.0:{port}/"), format!("http://[::]:{port}/")]);
    }

    #[test]
    fn messages_for_bad_hosts() {
        let error = Sockets::bind(&[tcp("192.0.2.1", 0)], 1, 16).unwrap_err();
        assert_eq!(error, "Error starting server: This machine has no address 192.0.2.1 to listen on");
        let error = Sockets::bind(&[tcp("no.such.host.invalid", 0)], 1, 16).unwrap_err();
        assert!(error.starts_with("Error starting server: Cannot resolve host 'no.such.host.invalid'"), "{error}");
        let denied = tcp_error("h", 85, &io::Error::from(ErrorKind::PermissionDenied));
        assert_eq!(denied, "Error: Permission denied to bind to port 85");
    }
}
