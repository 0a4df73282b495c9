//! Going to the background, without leaving the caller in the dark: the command returns when the server is ready, or
//! with its failure.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};

use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setsid};

use crate::exit;
use crate::log::capture;
use crate::process::fork::{Side, fork, leave};

/// The command that waits for us in the foreground.
#[derive(Debug)]
pub struct Caller {
    pipe: std::fs::File,
}

/// Continues in the background. The foreground process stays until [`Caller::release`] or the end of this process,
/// and returns 0 or 1 accordingly; until then our errors appear on its standard error.
///
/// # Errors
/// Those of fork(2), pipe(2) and setsid(2).
pub fn detach() -> io::Result<Caller> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    if let Side::Parent(_) = fork()? {
        drop(writer);
        leave(await_word(reader.into()));
    }
    drop(reader);
    setsid()?;
    // Not a session leader any more: the daemon cannot get a terminal by accident.
    if let Side::Parent(_) = fork()? {
        leave(exit::STOPPED);
    }
    // The reference server clears the mask, which leaves its PID file writable for everybody (D-05).
    umask(Mode::from_bits_truncate(0o022));
    chdir("/")?;
    Ok(Caller { pipe: writer.into() })
}

fn await_word(mut reader: std::fs::File) -> i32 {
    let mut word = [0];
    match reader.read(&mut word) {
        Ok(1) => exit::STOPPED,
        _ => exit::FAILED,
    }
}

impl Caller {
    /// Lets the caller go: the server is ready.
    pub fn release(mut self) {
        release_terminal();
        // The caller may have been interrupted; the server goes on.
        let _ = self.pipe.write_all(b"1");
    }
}

/// Points the standard descriptors to nothing, so that whoever waits for the end of our output gets it.
pub fn release_terminal() {
    let redirect = || -> io::Result<()> {
        let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&null)?;
        dup2_stdout(&null)?;
        // Captured, it leads to the log.
        if !capture::release() {
            dup2_stderr(&null)?;
        }
        Ok(())
    };
    if let Err(error) = redirect() {
        tracing::warn!("Cannot let go of the terminal: {error}");
    }
}
