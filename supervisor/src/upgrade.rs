//! Starting the successor of this server: the binary at the path this one was started from, with the same arguments,
//! and with descriptors of everything that must not be closed and opened again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use pagi_server_core::listener::{Listener, Socket};
use tokio::sync::oneshot;

use crate::channel::{self, Receiver};
use crate::control::Outcome;
use crate::handover::{self, Estate, FromSuccessor, Piece, Scaled, ToSuccessor, VARIABLE};
use crate::origin::Origin;
use crate::process::descriptors;
use crate::server::Management;
use crate::sockets::{Sockets, descriptor};
use crate::tls::Tickets;

/// How long a successor that is not wanted any more may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Why a server that is process 1 does not upgrade.
pub const NOT_IN_CONTAINER: &str = "The container would end with this process; start one with the new version instead";

/// A successor being tried.
pub struct Attempt {
    pid: Pid,
    channel: OwnedFd,
    receiver: Receiver<FromSuccessor>,
}

/// A successor that serves.
#[derive(Debug, PartialEq, Eq)]
pub struct Heir {
    /// Its version.
    pub version: String,
    /// Files it goes on with.
    pub kept: Vec<PathBuf>,
}

/// Descriptors that the successor will find under their numbers.
#[derive(Default)]
struct Luggage(Vec<OwnedFd>);

impl Luggage {
    fn pack(&mut self, descriptor: BorrowedFd<'_>) -> io::Result<i32> {
        let copy = descriptors::copy_for_exec(descriptor)?;
        let number = copy.as_raw_fd();
        self.0.push(copy);
        Ok(number)
    }
}

impl Attempt {
    /// Starts the successor; inside a tokio runtime.
    ///
    /// # Errors
    /// When the binary cannot be run, or descriptors have run out.
    pub fn start(
        origin: &Origin,
        sockets: &Sockets,
        management: &Management,
        workers: Option<Scaled>,
        tickets: Option<&Tickets>,
    ) -> Result<Self, String> {
        let program = origin.program().display();
        let explain = |error: io::Error| format!("Cannot start {program}: {error}");
        let (ours, theirs) = channel::pair().map_err(explain)?;
        let mut luggage = Luggage::default();
        let mut estate = Estate {
            files: sockets.files(),
            kept: sockets.kept(),
            passage: sockets.passage().clone(),
            workers,
            ..Estate::default()
        };
        let mut reused = Vec::new();
        let mut pack = || -> io::Result<()> {
            estate.channel = luggage.pack(theirs.as_fd())?;
            if let Some(tickets) = tickets {
                estate.tickets = Some(luggage.pack(handover::write_tickets(tickets)?.as_fd())?);
            }
            for queue in sockets.queues() {
                reused.push(reuse_entry(queue, luggage.pack(descriptor(queue))?)?);
            }
            if let Some(control) = &management.control {
                let number = luggage.pack(control.listener())?;
                estate.control = Some(Piece { number, path: control.path().to_owned() });
            }
            for queue in management.admin.iter().flat_map(|admin| admin.sockets().queues()) {
                estate.admin.push(luggage.pack(descriptor(queue))?);
            }
            estate.files.extend(management.admin.iter().flat_map(|admin| admin.sockets().files()));
            if let Some(pid_file) = &management.pid_file {
                let number = luggage.pack(pid_file.descriptor())?;
                estate.pid_file = Some(Piece { number, path: pid_file.path().to_owned() });
            }
            Ok(())
        };
        pack().map_err(explain)?;
        let estate = serde_json::to_string(&estate).map_err(|error| explain(error.into()))?;
        let mut command = origin.command();
        command.env("PAGI_REUSE", reused.join(",")).env(VARIABLE, estate);
        // It named this process; without it the watchdog's interval holds for whoever finds it.
        command.env_remove("WATCHDOG_PID");
        let child = command.spawn().map_err(explain)?;
        drop((theirs, luggage));
        let pid = i32::try_from(child.id()).map(Pid::from_raw).map_err(|error| error.to_string())?;
        tracing::info!("Upgrading: {program} starts as process {pid}");
        let receiver = ours.try_clone().and_then(Receiver::new).map_err(explain)?;
        Ok(Self { pid, channel: ours, receiver })
    }

    /// The successor's process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until the successor serves, and returns what it says of itself. Every other end is a failure, after which the
    /// successor is gone or going: its own report, its death, the end of the time it has, and `abort`, which is the
    /// end of the other side of that channel.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn outcome(&mut self, patience: Option<Duration>, abort: oneshot::Receiver<()>) -> Result<Heir, String> {
        let bound = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        let reason = tokio::select! {
            heard = self.receiver.receive() => match heard {
                Some(FromSuccessor::Ready { version, kept }) => return Ok(Heir { version, kept }),
                Some(FromSuccessor::Failed { message }) => message,
                None => "the new server ended before it was ready; the log says why".to_owned(),
            },
            () = bound => {
                format!("the new server was not ready within {} seconds", patience.unwrap_or_default().as_secs_f64())
            }
            _ = abort => "this server is stopping".to_owned(),
        };
        self.dismiss().await;
        Err(reason)
    }

    /// Collects the status of a successor that has ended or is about to.
    pub async fn collect(&self) {
        let pause = Duration::from_millis(100);
        while matches!(waitpid(self.pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive)) {
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes the successor end. It may have taken connections: they are finished.
    async fn dismiss(&mut self) {
        // Errors mean that it has ended.
        let _ = kill(self.pid, Signal::SIGTERM);
        let silence = async { while self.receiver.receive().await.is_some() {} };
        if tokio::time::timeout(GRACE, silence).await.is_err() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }

    /// Tells the successor that everything is its own now.
    pub fn hand_over(&self) {
        if let Err(error) = channel::send(self.channel.as_fd(), &ToSuccessor::TakeOver, None) {
            tracing::error!("The new server does not hear that it may take over: {error}");
        }
    }
}

/// Says that this server goes on because its successor does not serve.
pub fn report_failure(answer: oneshot::Sender<Outcome>, reason: &str) {
    let text = format!("Upgrade failed, the running server serves on: {}", reason.trim_end());
    tracing::error!("{text}");
    // Whoever asked may have gone.
    let _ = answer.send(Outcome::Failed(text));
}

/// `host:port:fd` or `unix:path:fd`; the path of an abstract socket is `@name`.
fn reuse_entry(queue: &Listener, number: i32) -> io::Result<String> {
    Ok(match &queue.socket {
        Socket::Tcp(socket) => {
            let address = socket.local_addr()?;
            format!("{}:{}:{number}", address.ip(), address.port())
        }
        Socket::Unix(_, path) => format!("unix:{}:{number}", path.display()),
        // It has no address, and belongs to the processes of one server.
        Socket::Pool(_) => return Err(io::ErrorKind::Unsupported.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Target};

    #[test]
    fn sockets_are_named_as_the_reference_server_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let name = format!("pagi-test-{}-reuse", std::process::id());
        let addresses = [Address::tcp("127.0.0.1", 0), Address::unix(&path), Address::unnamed(&name)];
        let sockets = Sockets::bind(&addresses, 1, 16).unwrap();
        let Some(Target::Tcp { port, .. }) = sockets.addresses().next().map(|address| &address.target) else {
            panic!("no TCP address")
        };
        let entries: Vec<String> = sockets.queues().map(|queue| reuse_entry(queue, 9).unwrap()).collect();
        let unix = format!("unix:{}:9", path.display());
        assert_eq!(entries, [format!("127.0.0.1:{port}:9"), unix, format!("unix:@{name}:9")]);
    }
}
