//! The `pagi-server` command from its first line to its exit status.

use std::ffi::OsString;

use crate::address::Address;
use crate::admin::Admin;
use crate::bundle::{self, Inheritance, Role};
use crate::inherited::Inherited;
use crate::pid_file::PidFile;
use crate::privileges::Identity;
use crate::readiness::Readiness;
use crate::settings::{self, Settings};
use crate::sockets::Sockets;
use crate::{banner, control, daemon, exit, log, master, mold, signals, single, worker};

/// Runs the command and returns the status to exit with.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    match bundle::unpack() {
        Some(Ok(inheritance)) => return run_process(inheritance),
        Some(Err(error)) => {
            log::tell(&format!("This option is used between the processes of a server: {error}"));
            return exit::USAGE;
        }
        None => {}
    }
    match settings::read(arguments) {
        Ok(settings::Checked { settings, warnings }) => run_server(settings, &warnings),
        Err(answer) => answer.print(),
    }
}

/// A process that the master has started.
fn run_process(inheritance: Inheritance) -> i32 {
    log::start(inheritance.settings.effective_log_level());
    if let Err(error) = signals::install_management() {
        tracing::error!("Cannot handle signals: {error}");
        return exit::FAILED;
    }
    match inheritance.role.clone() {
        Role::Mold { generation } => mold::run(inheritance, generation),
        Role::Worker(order) => worker::run_unloaded(inheritance, order),
    }
}

fn run_server(mut settings: Settings, warnings: &[String]) -> i32 {
    // Before anything forks: the variables name this process.
    let inherited = Inherited::take();
    if !settings.listen_given && !inherited.addresses().is_empty() {
        settings.listen = inherited.addresses();
    }
    let caller = match settings.service.daemonize.then(daemon::detach).transpose() {
        Ok(caller) => caller,
        Err(error) => {
            log::tell(&format!("Error starting server: Cannot go to the background: {error}"));
            return exit::FAILED;
        }
    };
    log::start(settings.effective_log_level());
    if let Err(error) = signals::install_management() {
        log::tell(&format!("Error starting server: Cannot handle signals: {error}"));
        return exit::FAILED;
    }
    for warning in warnings.iter().chain(&inherited.warnings) {
        tracing::warn!("{warning}");
    }
    let prepared = match prepare(&settings, inherited) {
        Ok(prepared) => prepared,
        Err(message) => {
            log::tell(&message);
            return exit::FAILED;
        }
    };
    let Prepared { sockets, management, pid_file } = prepared;
    let addresses: Vec<&Address> = sockets.addresses().collect();
    let readiness = Readiness { banner: banner::compose(&settings, &addresses, &sockets.shape()), caller };
    let status = if settings.has_workers() {
        master::run(settings, sockets, management, readiness)
    } else {
        single::run(&settings, sockets, management, readiness)
    };
    drop(pid_file);
    status
}

/// What is acquired before the application is loaded, with the rights the command was started with.
struct Prepared {
    sockets: Sockets,
    management: Management,
    pid_file: Option<PidFile>,
}

/// How a running server is asked and told.
pub struct Management {
    /// For `pagictl`.
    pub control: Option<control::Socket>,
    /// For monitoring.
    pub admin: Option<Admin>,
}

fn prepare(settings: &Settings, mut inherited: Inherited) -> Result<Prepared, String> {
    let service = &settings.service;
    let identity = Identity::find(service.user.as_deref(), service.group.as_deref())?;
    let pid_file = service.pid_file.as_deref().map(PidFile::create).transpose()?;
    let sockets = Sockets::open(&settings.listen, settings.queues, settings.backlog, &mut inherited)?;
    inherited.close_rest();
    // Workers open the log for themselves; this says early what would go wrong there, and creates the file.
    drop(settings.open_access_log()?);
    let control = control::Socket::open(service.control_socket.as_deref())?;
    let admin = Admin::open(service.admin_listen.as_ref())?;
    let management = Management { control, admin };
    if let Some(identity) = identity {
        hand_over(&identity, settings, &sockets, pid_file.as_ref(), &management)?;
        identity.assume()?;
    }
    Ok(Prepared { sockets, management, pid_file })
}

/// Gives what was made as root to the user the server will run as.
fn hand_over(
    identity: &Identity,
    settings: &Settings,
    sockets: &Sockets,
    pid_file: Option<&PidFile>,
    management: &Management,
) -> Result<(), String> {
    let Identity { uid, gid, .. } = *identity;
    sockets.give_files_to(uid, gid)?;
    if let Some(pid_file) = pid_file {
        pid_file.give_to(uid, gid)?;
    }
    if let Some(control) = &management.control {
        control.give_to(uid, gid)?;
    }
    if let Some(admin) = &management.admin {
        admin.give_to(uid, gid)?;
    }
    if let Some(file) = settings.access_log.as_ref().and_then(|log| log.file.as_ref()) {
        nix::unistd::chown(file, uid, Some(gid))
            .map_err(|error| format!("Cannot change the owner of access log {}: {error}", file.display()))?;
    }
    Ok(())
}
