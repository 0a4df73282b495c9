//! The start-up bundle: everything a process needs that the master starts by executing this binary again. It travels
//! in a memory file; descriptors are named by the numbers they keep.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;
use pagi_server_core::listener::{Listener, Socket};
use pagi_server_core::pool::queue;
use serde::{Deserialize, Serialize};

use crate::messages::Order;
use crate::process::{descriptors, exec};
use crate::scoreboard::Scoreboard;
use crate::settings::Settings;
use crate::sockets::descriptor;

/// The first argument of a process of ours; the second is the number of the memory file.
const MARK: &str = "--pagi-process";

/// What the process is to become.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Role {
    /// Load the application and fork workers.
    Mold {
        /// Generation of the code.
        generation: u32,
    },
    /// Load the application and serve.
    Worker(Order),
}

#[derive(Serialize, Deserialize)]
struct Contents {
    role: Role,
    settings: Settings,
    master: i32,
    channel: RawFd,
    scoreboard: RawFd,
    slots: usize,
    queues: Vec<Queue>,
    /// Both ends of the pool's queue.
    pool: Option<(RawFd, RawFd)>,
}

#[derive(Serialize, Deserialize)]
struct Queue {
    number: RawFd,
    /// Of a Unix socket.
    path: Option<PathBuf>,
    tls: bool,
    proxy: bool,
}

/// What a process finds when it unpacks its bundle.
pub struct Inheritance {
    /// What to become.
    pub role: Role,
    /// The server's settings.
    pub settings: Settings,
    /// The master's process id.
    pub master: Pid,
    /// The channel to the master.
    pub channel: OwnedFd,
    /// The scoreboard.
    pub scoreboard: Scoreboard,
    /// All accept queues.
    pub listeners: Vec<Listener>,
    /// The queue of the pool, where there is one.
    pub pool: Option<PoolQueue>,
}

/// The queue of the pool: made once and never closed, so that what waits in it outlives every process.
pub struct PoolQueue {
    /// The end that workers send to.
    pub put: OwnedFd,
    /// The end that pool processes take from.
    pub take: OwnedFd,
}

impl PoolQueue {
    /// Makes it.
    ///
    /// # Errors
    /// When the kernel refuses a socket.
    pub fn make() -> io::Result<Self> {
        let (put, take) = queue::make()?;
        Ok(Self { put, take })
    }
}

/// Starts a process of ours with its bundle.
///
/// # Errors
/// When memory or a process cannot be had.
pub fn start<'a>(
    title: &str,
    role: Role,
    settings: &Settings,
    channel: &OwnedFd,
    scoreboard: &'a Scoreboard,
    queues: impl Iterator<Item = &'a Listener>,
    pool: Option<&'a PoolQueue>,
) -> io::Result<Pid> {
    let memory = scoreboard.memory();
    let mut kept: Vec<BorrowedFd<'_>> = vec![channel.as_fd(), memory];
    let mut listed = Vec::new();
    for queue in queues {
        let socket = descriptor(queue);
        let path = match &queue.socket {
            Socket::Tcp(_) | Socket::Pool(_) => None,
            Socket::Unix(_, path) => Some(path.clone()),
        };
        listed.push(Queue { number: socket.as_raw_fd(), path, tls: queue.tls, proxy: queue.proxy });
        kept.push(socket);
    }
    kept.extend(pool.iter().flat_map(|pool| [pool.put.as_fd(), pool.take.as_fd()]));
    let contents = Contents {
        role,
        settings: settings.clone(),
        master: nix::unistd::getpid().as_raw(),
        channel: channel.as_raw_fd(),
        scoreboard: memory.as_raw_fd(),
        slots: scoreboard.slots(),
        queues: listed,
        pool: pool.map(|pool| (pool.put.as_raw_fd(), pool.take.as_raw_fd())),
    };
    let mut file = File::from(memfd_create(c"pagi-bundle", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&serde_json::to_vec(&contents)?)?;
    file.rewind()?;
    kept.push(file.as_fd());
    exec::start_self(title, &[MARK, &file.as_raw_fd().to_string()], &kept)
}

/// Unpacks the bundle if this process was started with one.
///
/// # Errors
/// When the bundle is not there or not understood, which only happens when a user types the mark.
pub fn unpack() -> Option<io::Result<Inheritance>> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != MARK {
        return None;
    }
    let number = arguments.next().and_then(|number| number.to_str()?.parse().ok());
    Some(number.ok_or_else(|| io::ErrorKind::InvalidInput.into()).and_then(unpack_from))
}

fn unpack_from(number: RawFd) -> io::Result<Inheritance> {
    let mut bytes = Vec::new();
    File::from(descriptors::adopt(number)?).read_to_end(&mut bytes)?;
    let contents: Contents = serde_json::from_slice(&bytes)?;
    let listener = |queue: Queue| -> io::Result<Listener> {
        let socket = descriptors::adopt(queue.number)?;
        let socket = match queue.path {
            None => Socket::Tcp(TcpListener::from(socket)),
            Some(path) => Socket::Unix(UnixListener::from(socket), path),
        };
        Ok(Listener { socket, tls: queue.tls, proxy: queue.proxy })
    };
    Ok(Inheritance {
        role: contents.role,
        settings: contents.settings,
        master: Pid::from_raw(contents.master),
        channel: descriptors::adopt(contents.channel)?,
        scoreboard: Scoreboard::open(descriptors::adopt(contents.scoreboard)?, contents.slots)?,
        pool: contents.pool.map(adopt_pool).transpose()?,
        listeners: contents.queues.into_iter().map(listener).collect::<io::Result<_>>()?,
    })
}

fn adopt_pool((put, take): (RawFd, RawFd)) -> io::Result<PoolQueue> {
    Ok(PoolQueue { put: descriptors::adopt(put)?, take: descriptors::adopt(take)? })
}
