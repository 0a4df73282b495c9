//! The `pagi-server` command from its first line to its exit status.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::address::Address;
use crate::admin::Admin;
use crate::bundle::{self, Inheritance, Role};
use crate::control::Question;
use crate::handover::{Candidacy, Predecessor, Scaled};
use crate::inherited::Inherited;
use crate::origin::Origin;
use crate::pid_file::PidFile;
use crate::privileges::Identity;
use crate::readiness::Readiness;
use crate::settings::{self, Settings};
use crate::sockets::Sockets;
use crate::{
    banner, browser, check, control, daemon, exit, init, log, master, mold, privileges, signals, single, tls, worker,
};

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
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Before anything forks: the variables name this process.
    let mut inherited = Inherited::take();
    let failed = |error: std::io::Error| {
        log::tell(&format!("Error starting server: {error}"));
        exit::FAILED
    };
    let (candidacy, estate) = match Predecessor::find() {
        Ok(Some(mut predecessor)) => {
            let passage = std::mem::take(&mut predecessor.passage);
            inherited.expect_same_server(&predecessor.files, &predecessor.kept, passage);
            let Some(channel) = predecessor.channel.take() else { return exit::USAGE };
            (Some(Rc::new(Candidacy::new(channel))), predecessor)
        }
        Ok(None) => (None, Predecessor::default()),
        Err(error) => return failed(error),
    };
    let origin = match Origin::capture(arguments.clone()) {
        Ok(origin) => origin,
        Err(error) => return failed(error),
    };
    match settings::read(arguments) {
        Ok(settings::Checked { settings, warnings, check_only: true }) => {
            check::run(&settings, &warnings, &mut inherited)
        }
        Ok(settings::Checked { settings, warnings, .. }) => {
            if !settings.has_workers()
                && let Err(error) = init::stand_apart()
            {
                return failed(error);
            }
            run_server(settings, &warnings, inherited, Lineage { origin, candidacy, scaled: estate.workers }, estate)
        }
        Err(answer) => {
            if let Some(candidacy) = candidacy {
                candidacy.fail(&answer.text);
            }
            answer.print()
        }
    }
}

/// Where this server comes from.
pub struct Lineage {
    /// How it was started, and how its successor is.
    pub origin: Origin,
    /// The server it is to replace.
    pub candidacy: Option<Rc<Candidacy>>,
    /// Workers that server was scaled to.
    pub scaled: Option<Scaled>,
}

impl Lineage {
    /// Says why the server cannot start: to the user, and to the server it was to replace.
    pub fn fail(&self, message: &str) {
        log::tell(message);
        if let Some(candidacy) = &self.candidacy {
            candidacy.fail(message);
        }
    }
}

/// A process that the master has started.
fn run_process(inheritance: Inheritance) -> i32 {
    if let Err(error) = log::start(&inheritance.settings.log) {
        log::tell(&error);
        return exit::FAILED;
    }
    if let Err(error) = signals::install_management() {
        tracing::error!("Cannot handle signals: {error}");
        return exit::FAILED;
    }
    match inheritance.role.clone() {
        Role::Mold { generation } => mold::run(inheritance, generation),
        Role::Worker(order) => worker::run_unloaded(inheritance, order),
    }
}

fn run_server(
    mut settings: Settings,
    warnings: &[String],
    inherited: Inherited,
    lineage: Lineage,
    mut estate: Predecessor,
) -> i32 {
    if !settings.listen_given && !inherited.addresses().is_empty() {
        settings.listen = inherited.addresses();
    }
    let resolved = inherited.passage().resolve(&settings.listen).map(|listen| {
        settings.listen = listen;
        tls::assign(&mut settings.listen, settings.tls.is_some());
    });
    // A successor is where its predecessor was, in the background if need be.
    let to_background = settings.service.daemonize && lineage.candidacy.is_none();
    let caller = match to_background.then(daemon::detach).transpose() {
        Ok(caller) => caller,
        Err(error) => {
            log::tell(&format!("Error starting server: Cannot go to the background: {error}"));
            return exit::FAILED;
        }
    };
    if let Err(error) = log::start(&settings.log) {
        lineage.fail(&error);
        return exit::FAILED;
    }
    if let Err(error) = signals::install_management() {
        lineage.fail(&format!("Error starting server: Cannot handle signals: {error}"));
        return exit::FAILED;
    }
    match privileges::check_root(&settings) {
        Ok(Some(warning)) => tracing::warn!("{warning}"),
        Ok(None) => {}
        Err(message) => {
            lineage.fail(&message);
            return exit::FAILED;
        }
    }
    for warning in warnings.iter().chain(&inherited.warnings) {
        tracing::warn!("{warning}");
    }
    if let Err(message) = resolved {
        lineage.fail(&message);
        return exit::FAILED;
    }
    // Keys too are read with the rights the command was started with.
    let offload = settings.offload().check();
    let loaded = offload.and_then(|()| settings.load_certificates());
    if let (Some(tls), Some(tickets)) = (&mut settings.tls, estate.tickets.take()) {
        tls.continue_with(tickets);
    }
    let prepared = loaded.and_then(|()| prepare(&settings, inherited, estate));
    let (sockets, management) = match prepared {
        Ok(prepared) => prepared,
        Err(message) => {
            lineage.fail(&message);
            return exit::FAILED;
        }
    };
    let addresses: Vec<&Address> = sockets.addresses().collect();
    // The page that a predecessor has opened is still open.
    let opens = settings.app.open && lineage.candidacy.is_none() && std::io::stdin().is_terminal();
    let page = if opens { addresses.iter().find_map(|address| browser::page(address)) } else { None };
    let readiness = Readiness { banner: banner::compose(&settings, &addresses, &sockets.shape()), caller, page };
    if settings.has_workers() {
        master::run(settings, sockets, management, readiness, lineage)
    } else {
        single::run(&settings, sockets, management, readiness, lineage)
    }
}

/// How a running server is asked, told and found.
pub struct Management {
    /// For `pagictl`.
    pub control: Option<control::Socket>,
    /// For monitoring.
    pub admin: Option<Admin>,
    /// For whoever wants to send signals.
    pub pid_file: Option<PidFile>,
}

impl Management {
    /// Makes what was inherited our own.
    pub fn claim(&mut self) {
        if let Some(pid_file) = &mut self.pid_file {
            pid_file.claim();
        }
        if let Some(control) = &mut self.control {
            control.claim();
        }
        if let Some(admin) = &mut self.admin {
            admin.claim();
        }
    }

    /// Leaves the files it has kept to a server that has inherited everything, and answers nobody any more.
    pub fn release(&mut self, kept: &[PathBuf]) {
        if let Some(pid_file) =
            self.pid_file.as_mut().filter(|pid_file| kept.iter().any(|path| path == pid_file.path()))
        {
            pid_file.release();
        }
        if let Some(control) = &mut self.control {
            control.release(kept);
        }
        if let Some(admin) = &mut self.admin {
            admin.release(kept);
        }
    }

    /// Files that are continued or have been made.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let pid_file = self.pid_file.iter().map(PidFile::path);
        let control = self.control.iter().map(control::Socket::path);
        let admin = self.admin.iter().flat_map(|admin| admin.sockets().files());
        pid_file.chain(control).map(Path::to_owned).chain(admin).collect()
    }

    /// Answers questions from now on; inside a tokio `LocalSet`.
    ///
    /// # Errors
    /// When a socket cannot be watched.
    pub fn start(&mut self, ask: impl Fn(Question) + Clone + 'static) -> std::io::Result<()> {
        if let Some(control) = &mut self.control {
            control.start(ask.clone())?;
        }
        if let Some(admin) = &mut self.admin {
            admin.start(ask)?;
        }
        Ok(())
    }
}

/// Acquires everything that has to exist before the application is loaded, with the rights the command was started
/// with.
fn prepare(
    settings: &Settings,
    mut inherited: Inherited,
    estate: Predecessor,
) -> Result<(Sockets, Management), String> {
    let service = &settings.service;
    let identity = Identity::find(service.user.as_deref(), service.group.as_deref())?;
    let pid_file = match (service.pid_file.as_deref(), estate.pid_file) {
        (Some(path), Some((file, known))) if path == known => Some(PidFile::inherit(file, path)?),
        (path, _) => path.map(PidFile::create).transpose()?,
    };
    let mut sockets = Sockets::open(&settings.listen, settings.queues, settings.backlog, &mut inherited)?;
    sockets.abandon(inherited.close_rest());
    // Workers open the log for themselves; this says early what would go wrong there, and creates the file.
    drop(settings.open_access_log(None)?);
    let asked = service.control_socket.as_deref();
    let inherited_control = estate.control.and_then(|control| control::Socket::inherit(asked, control));
    let mut control = match inherited_control {
        Some(control) => Some(control),
        None => control::Socket::open(asked)?,
    };
    if let (Some(control), Some(name)) = (&mut control, &service.control_group) {
        control.open_to(&privileges::find_group(name)?)?;
    }
    let mut left = Inherited::left_by_server(&estate.admin, &estate.files);
    let admin = Admin::open(service.admin_listen.as_ref(), &mut left)?;
    // Nobody keeps those of monitoring.
    let _ = left.close_rest();
    let management = Management { control, admin, pid_file };
    if let Some(identity) = identity {
        hand_over(&identity, settings, &sockets, &management)?;
        identity.assume()?;
    }
    Ok((sockets, management))
}

/// Gives what was made as root to the user the server will run as.
fn hand_over(
    identity: &Identity,
    settings: &Settings,
    sockets: &Sockets,
    management: &Management,
) -> Result<(), String> {
    let Identity { uid, gid, .. } = *identity;
    sockets.give_files_to(uid, gid)?;
    if let Some(pid_file) = &management.pid_file {
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
