//! `--check`: is this configuration fit to serve? Everything a start would do is tried and undone: users and files are
//! looked up, addresses are bound, the application is loaded in a process that is thrown away.

use std::path::Path;
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};

use crate::address::{Address, Target};
use crate::config::origin::Origin;
use crate::control::{client, path, service, status::Status};
use crate::inherited::Inherited;
use crate::privileges::Identity;
use crate::process::fork::{Side, fork, leave};
use crate::settings::Settings;
use crate::sockets::Sockets;
use crate::{exit, log, mold, privileges};

/// How long a server that runs already may take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries, reports on standard error, and returns the status to exit with.
#[must_use]
pub fn run(settings: &Settings, warnings: &[String], inherited: &mut Inherited) -> i32 {
    for warning in warnings {
        log::tell(&format!("Warning: {warning}"));
    }
    let mut problems = files(settings);
    problems.extend(ports(settings, inherited));
    for problem in &problems {
        log::tell(problem);
    }
    let loads = application(settings);
    if problems.is_empty() && loads {
        let source = settings.service.config.as_deref().map(|path| format!(" {}", path.display())).unwrap_or_default();
        log::tell(&format!("Configuration{source} is fine"));
        exit::STOPPED
    } else {
        exit::FAILED
    }
}

/// `FILE:LINE: ` when the file has the option's value.
fn place(settings: &Settings, key: &str) -> String {
    match settings.effective.iter().find(|option| option.key == key).map(|option| &option.origin) {
        Some(origin @ Origin::File { .. }) => format!("{origin}: "),
        Some(Origin::Environment { variable }) => format!("Environment variable {variable}: "),
        _ => String::new(),
    }
}

fn files(settings: &Settings) -> Vec<String> {
    let service = &settings.service;
    let mut problems = Vec::new();
    if let Err(reason) = privileges::check_root(settings) {
        let key = if reason.contains("group:") { "group" } else { "user" };
        problems.push(place(settings, key) + &reason);
    }
    if let Some(Err(reason)) = service.control_group.as_deref().map(privileges::find_group) {
        problems.push(place(settings, "control_group") + &reason);
    }
    let written = [
        ("pid", service.pid_file.as_deref()),
        ("control_socket", service.control_socket.as_deref()),
        ("access_log", settings.access_log.as_ref().and_then(|log| log.file.as_deref())),
    ];
    for (key, path) in written {
        if let Some(reason) = path.and_then(unwritable) {
            problems.push(place(settings, key) + &reason);
        }
    }
    if let Err(reason) = settings.clone().load_certificates() {
        problems.push(reason);
    }
    if let Err(reason) = settings.offload().check() {
        problems.push(place(settings, "static") + &reason);
    }
    problems
}

/// Why a file cannot be made or written, without making it.
fn unwritable(path: &Path) -> Option<String> {
    use nix::unistd::{AccessFlags, access};
    let directory = path.parent().unwrap_or(Path::new("/"));
    let tried = if path.exists() { path } else { directory };
    let error = access(tried, AccessFlags::W_OK).err()?;
    Some(format!("Cannot write {}: {}", path.display(), error.desc()))
}

fn ports(settings: &Settings, inherited: &mut Inherited) -> Vec<String> {
    let mut problems = Vec::new();
    let mut served: Option<Vec<String>> = None;
    let mut addresses = Vec::new();
    for address in &settings.listen {
        let key = listening_key(settings, address);
        if address.is_passed() && inherited.passage().is_empty() {
            let passed = address.as_option();
            log::tell(&format!("Warning: {passed} is not checked: systemd passes it only when it starts the server"));
            continue;
        }
        match inherited.passage().resolve(std::slice::from_ref(address)) {
            Ok(found) => addresses.extend(found.into_iter().map(|address| (address, key))),
            Err(reason) => problems.push(place(settings, key) + &reason),
        }
    }
    addresses.extend(settings.service.admin_listen.iter().map(|address| (address.clone(), "admin_listen")));
    for (address, key) in addresses {
        if let Target::Unix { access, .. } = &address.target
            && let Err(reason) = privileges::find_owner(access)
        {
            problems.push(place(settings, key) + &reason);
            continue;
        }
        let Err(reason) = Sockets::open(std::slice::from_ref(&address), 1, 1, inherited) else { continue };
        // The server this configuration is for may be running.
        let served = served.get_or_insert_with(|| running(settings));
        if !served.contains(&address.to_string()) {
            problems.push(place(settings, key) + &reason);
        }
    }
    problems
}

fn listening_key(settings: &Settings, address: &Address) -> &'static str {
    let rank =
        |key: &str| settings.effective.iter().find(|option| option.key == key).map_or(0, |option| option.origin.rank());
    match &address.target {
        Target::Unix { .. } if rank("socket") > rank("listen") => "socket",
        Target::Tcp { .. } if rank("host").max(rank("port")) > rank("listen") => "port",
        _ => "listen",
    }
}

/// Where the server that holds the control socket of this configuration listens.
fn running(settings: &Settings) -> Vec<String> {
    let socket = settings.service.control_socket.clone().unwrap_or_else(|| path::directory().join("control.sock"));
    let answer = client::ask(&socket, &hyper::Method::GET, service::STATUS_PATH, Some(PATIENCE));
    let status = answer.ok().and_then(|body| serde_json::from_slice::<Status>(&body).ok());
    status.map(|status| status.listening).unwrap_or_default()
}

/// Loads the application as a mold would. It tells what is wrong by itself.
fn application(settings: &Settings) -> bool {
    let place = place(settings, if settings.app.code.is_some() { "code" } else { "app" });
    match fork() {
        Ok(Side::Child) => leave(match load(settings) {
            Ok(()) => exit::STOPPED,
            Err(reason) => {
                log::tell(&(place + &reason));
                exit::FAILED
            }
        }),
        Ok(Side::Parent(pid)) => match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, exit::STOPPED)) => true,
            Ok(WaitStatus::Exited(_, exit::FAILED)) => false,
            Ok(WaitStatus::Exited(_, status)) => {
                log::tell(&format!("{place}The application ends with status {status} while it is loaded"));
                false
            }
            other => {
                log::tell(&format!("{place}Loading the application ended with {other:?}"));
                false
            }
        },
        Err(error) => {
            log::tell(&format!("Cannot try to load the application: {error}"));
            false
        }
    }
}

fn load(settings: &Settings) -> Result<(), String> {
    let service = &settings.service;
    if let Some(identity) = Identity::find(service.user.as_deref(), service.group.as_deref())? {
        identity.assume()?;
    }
    let (interpreter, application) = mold::load(settings)?;
    drop(application);
    // Applications clean up in END blocks, and an END block may tell that something is wrong.
    match interpreter.end() {
        exit::STOPPED => Ok(()),
        status => Err(format!("The application ends with status {status} after it was loaded")),
    }
}
