//! The mold: a process that has loaded the application, never serves, and forks workers on request. It has one thread
//! and no tokio runtime, which is what makes its forks safe.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pagi_perl_runtime::{Application, Interpreter, Warm};

use crate::bundle::Inheritance;
use crate::messages::{FromMold, Order, ToMold, fitting};
use crate::process::fork::{Side, fork_into};
use crate::process::{descriptors, environment, title};
use crate::settings::Settings;
use crate::worker::{self, Post};
use crate::{channel, daemon, exit, library, log, signals, sources};

/// Lives as a mold, or, after a fork, as a worker.
pub fn run(inheritance: Inheritance, generation: u32) -> i32 {
    announce(generation);
    // A terminal sends its interrupt to the whole group: whether the mold ends is the master's decision.
    if let Err(error) = signals::install_stop() {
        return fail(&inheritance.channel, format!("Cannot handle signals: {error}"));
    }
    let tell_sources = |interpreter: &mut Interpreter| {
        if inheritance.settings.processes.reload {
            sources::tell(&inheritance.channel, interpreter.sources());
        }
    };
    let (interpreter, application) = match load_and(&inheritance.settings, tell_sources) {
        Ok(loaded) => loaded,
        Err(message) => return fail(&inheritance.channel, message),
    };
    // The name of the application may be shown instead while its file runs: `$0` is the file then.
    announce(generation);
    if channel::send(inheritance.channel.as_fd(), &FromMold::Ready, None).is_err() {
        return exit::FAILED;
    }
    let Inheritance { mut settings, scoreboard, listeners, pool, mut channel, master, .. } = inheritance;
    let mut warm = Warm { interpreter, application, listeners };
    // Each round is one life as a mold and, in the process it has forked, one as a worker, which may become a mold.
    loop {
        let Some((order, the_workers)) = fork_on_request(&channel, master, &mut settings) else {
            return exit::STOPPED;
        };
        drop(channel);
        warm.interpreter.after_fork();
        let post = match Post::new(order, the_workers, &scoreboard) {
            Ok(post) => post,
            Err(message) => {
                tracing::error!("{message}");
                return exit::FAILED;
            }
        };
        let promotion = match worker::run(warm, &settings, pool.as_ref(), &post) {
            worker::End::Exit(status) => return status,
            worker::End::Mold(left, promotion) => {
                warm = left;
                promotion
            }
        };
        drop(post);
        channel = promotion.channel;
        announce(promotion.generation);
        let obstacle = if warm.application.has_foreign_loop() {
            Err("The worker cannot become a mold: the application runs on an event loop of its own".to_owned())
        } else {
            check_threads()
        };
        if let Err(message) = obstacle {
            let _ = warm.interpreter.end();
            // The worker has finished as it should; it only does not go on.
            let _ = fail(&channel, message);
            return exit::STOPPED;
        }
        if channel::send(channel.as_fd(), &FromMold::Ready, None).is_err() {
            return exit::FAILED;
        }
    }
}

/// How long threads that were told to end may be seen.
const THREADS_END: Duration = Duration::from_secs(2);

/// A fork copies one thread only: whatever others hold or do would be lost in the copies.
fn check_threads() -> Result<(), String> {
    let deadline = Instant::now() + THREADS_END;
    let count = || std::fs::read_dir("/proc/self/task").map(Iterator::count);
    // One that has ended, and was waited for, is still listed for a moment.
    while count().is_ok_and(|threads| threads > 1) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    match count() {
        Ok(1) => Ok(()),
        Ok(threads) => Err(format!(
            "The worker cannot become a mold: the application has started threads ({} beside its own)",
            threads - 1
        )),
        Err(error) => Err(format!("The worker cannot become a mold: its threads cannot be counted: {error}")),
    }
}

/// Starts Perl and loads the application, from the directory the server was started in.
///
/// # Errors
/// The finished text for the user.
pub fn load(settings: &Settings) -> Result<(Interpreter, Application), String> {
    load_and(settings, |_| {})
}

/// The same, and something else whether or not it can be loaded.
fn load_and(settings: &Settings, and: impl FnOnce(&mut Interpreter)) -> Result<(Interpreter, Application), String> {
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
    let application = interpreter.load(&settings.app_spec());
    and(&mut interpreter);
    descriptors::occupy_standard().map_err(|error| format!("Cannot open /dev/null: {error}"))?;
    let application = application?;
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
fn fork_on_request(channel: &OwnedFd, guardian: Pid, settings: &mut Settings) -> Option<(Order, OwnedFd)> {
    let master = channel.as_fd();
    loop {
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
            ToMold::LogLevel(level) => log::set_level(level),
            ToMold::Fork(order) => {
                let Some(channel) = attached.pop() else { continue };
                if let Some(tls) = &mut settings.tls {
                    tls.turn_tickets();
                }
                let answer = match fork_into(guardian) {
                    Ok(Side::Child) => return Some((order, channel)),
                    Ok(Side::Parent(pid)) => FromMold::Forked { id: order.id, pid: pid.as_raw() },
                    Err(error) => FromMold::NotForked { id: order.id, message: error.to_string() },
                };
                if channel::send(master, &answer, None).is_err() {
                    if let FromMold::Forked { pid, .. } = answer {
                        // Nobody will ever supervise it.
                        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                    }
                    return None;
                }
            }
        }
    }
}
