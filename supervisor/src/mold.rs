//! The mold: a process that has loaded the application, never serves, and forks workers on request. It has one thread
//! and no tokio runtime, which is what makes its forks safe.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::signal::{Signal, kill};
use pagi_perl_runtime::{Application, Interpreter};

use crate::bundle::Inheritance;
use crate::messages::{FromMold, Order, ToMold, fitting};
use crate::process::fork::{Side, fork_into};
use crate::process::{environment, title};
use crate::worker::{self, Post};
use crate::{channel, daemon, exit, library, log, signals};

/// Lives as a mold, or, after a fork, as a worker.
pub fn run(mut inheritance: Inheritance, generation: u32) -> i32 {
    announce(generation);
    // A terminal sends its interrupt to the whole group: whether the mold ends is the master's decision.
    if let Err(error) = signals::install_stop() {
        return fail(&inheritance.channel, format!("Cannot handle signals: {error}"));
    }
    let (mut interpreter, application) = match load(&inheritance.settings) {
        Ok(loaded) => loaded,
        Err(message) => return fail(&inheritance.channel, message),
    };
    // The name of the application may be shown instead while its file runs: `$0` is the file then.
    announce(generation);
    if channel::send(inheritance.channel.as_fd(), &FromMold::Ready, None).is_err() {
        return exit::FAILED;
    }
    match fork_on_request(&mut inheritance) {
        Some((order, channel)) => {
            interpreter.after_fork();
            let Inheritance { settings, scoreboard, listeners, pool, channel: the_molds, .. } = inheritance;
            drop(the_molds);
            match Post::new(order, channel, scoreboard) {
                Ok(post) => worker::run(interpreter, application, &settings, listeners, pool, &post),
                Err(message) => {
                    tracing::error!("{message}");
                    exit::FAILED
                }
            }
        }
        None => exit::STOPPED,
    }
}

/// Starts Perl and loads the application, from the directory the server was started in.
///
/// # Errors
/// The finished text for the user.
pub fn load(settings: &crate::settings::Settings) -> Result<(Interpreter, Application), String> {
    let library = library::directory()?;
    let enter = |directory: &std::path::Path| {
        std::env::set_current_dir(directory)
            .map_err(|error| format!("Cannot change to directory {}: {error}", directory.display()))
    };
    enter(&settings.app.directory)?;
    if settings.app.future_xs {
        environment::give("PAGI_FUTURE_XS", "1");
    }
    let mut interpreter = Interpreter::start(&library)?;
    let application = interpreter.load(&settings.app_spec())?;
    if settings.service.daemonize {
        // A service in the background must not keep a file system busy.
        enter(std::path::Path::new("/"))?;
    }
    Ok((interpreter, application))
}

fn announce(generation: u32) {
    title::set(&format!("pagi-server: mold gen {generation}"), c"pagi-mold");
    log::speak_as(&format!("mold {generation}"));
    log::speak_for(generation);
}

fn fail(channel: &OwnedFd, message: String) -> i32 {
    // If the master is gone there is nobody to tell.
    let _ = channel::send(channel.as_fd(), &FromMold::Failed { message: fitting(message) }, None);
    exit::FAILED
}

/// Serves the master until it is gone. Returns in the worker, with its order; `None` ends the mold.
fn fork_on_request(inheritance: &mut Inheritance) -> Option<(Order, OwnedFd)> {
    loop {
        let master = inheritance.channel.as_fd();
        let (message, mut attached) = match channel::receive::<ToMold>(master) {
            Ok(Some(received)) => received,
            Ok(None) => return None,
            Err(error) => {
                tracing::error!("The master's message is unreadable: {error}");
                return None;
            }
        };
        match message {
            ToMold::Detach => daemon::release_terminal(),
            ToMold::Fork(order) => {
                let Some(channel) = attached.pop() else { continue };
                if let Some(tls) = &mut inheritance.settings.tls {
                    tls.turn_tickets();
                }
                let master = inheritance.channel.as_fd();
                let answer = match fork_into(inheritance.master) {
                    Ok(Side::Child) => return Some((order, channel)),
                    Ok(Side::Parent(pid)) => FromMold::Forked { id: order.id, pid: pid.as_raw() },
                    Err(error) => FromMold::NotForked { id: order.id, message: error.to_string() },
                };
                if channel::send(master, &answer, None).is_err() {
                    if let FromMold::Forked { pid, .. } = answer {
                        // Nobody will ever supervise it.
                        let _ = kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
                    }
                    return None;
                }
            }
        }
    }
}
