//! `--check`: is this configuration fit to serve? Everything a start would do is tried and undone: users and files are
//! looked up, addresses are bound, the application is loaded in a process that is thrown away.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};

use crate::address::{Address, Target};
use crate::config::place;
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

/// Where an option was said: what every message begins with.
fn place(settings: &Settings, key: &str) -> String {
    place::place(&settings.effective, key, 0)
}

/// The same for the option whose file a reason is about: of the files that it names, the first.
fn place_of_file<'a>(
    settings: &Settings,
    reason: &str,
    files: impl Iterator<Item = (&'a str, usize, PathBuf)>,
) -> String {
    let named = files.filter_map(|(key, value, path)| {
        let text = path.display().to_string();
        // One name may begin with another.
        Some((reason.find(&text)?, Reverse(text.len()), key, value))
    });
    named.min().map(|(_, _, key, value)| place::place(&settings.effective, key, value)).unwrap_or_default()
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
        ("log", settings.log.destination.file()),
    ];
    for (key, path) in written {
        if let Some(reason) = path.and_then(unwritable) {
            problems.push(place(settings, key) + &reason);
        }
    }
    if let Err(reason) = settings.clone().load_certificates() {
        problems.push(place_of_file(settings, &reason, certificates(settings)) + &reason);
    }
    if let Err(reason) = settings.offload().check() {
        problems.push(place_of_file(settings, &reason, directories(settings)) + &reason);
    }
    problems
}

/// The files of TLS, with the options that name them.
fn certificates(settings: &Settings) -> impl Iterator<Item = (&'static str, usize, PathBuf)> {
    let tls = settings.tls.as_ref().map(|tls| &tls.settings);
    tls.into_iter().flat_map(|tls| {
        let pairs = tls.pairs.iter().enumerate();
        let pairs = pairs.flat_map(|(n, pair)| [("ssl_cert", n, pair.cert.clone()), ("ssl_key", n, pair.key.clone())]);
        let lists = tls.crl_files.iter().enumerate().map(|(n, path)| ("ssl_crl_file", n, path.clone()));
        let directory = tls.cert_dir.iter().map(|path| ("ssl_cert_dir", 0, path.clone()));
        pairs.chain(lists).chain(directory).chain(tls.ca_file.iter().map(|path| ("ssl_ca_file", 0, path.clone())))
    })
}

/// Directories that the server itself serves files of.
fn directories(settings: &Settings) -> impl Iterator<Item = (&'static str, usize, PathBuf)> {
    let offload = settings.offload();
    let folders = offload.folders.into_iter().enumerate().map(|(n, folder)| ("static", n, folder.directory));
    let sent = offload.delegate.directories.into_iter().enumerate().map(|(n, path)| ("x_sendfile", n, path));
    let located = offload.delegate.locations.into_iter().enumerate();
    folders.chain(sent).chain(located.map(|(n, (_, path))| ("x_accel_redirect", n, path)))
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
    // With the number of each among the values of its option.
    let mut addresses = Vec::new();
    for (n, address) in settings.listen.iter().enumerate() {
        if address.is_passed() && inherited.passage().is_empty() {
            let passed = address.as_option();
            log::tell(&format!("Warning: {passed} is not checked: systemd passes it only when it starts the server"));
            continue;
        }
        match inherited.passage().resolve(std::slice::from_ref(address)) {
            Ok(found) => addresses.extend(found.into_iter().map(|address| (address, Some(n)))),
            Err(reason) => problems.push(place_of_address(settings, address, n, &reason) + &reason),
        }
    }
    addresses.extend(settings.service.admin_listen.iter().map(|address| (address.clone(), None)));
    for (address, n) in addresses {
        let place = |reason: &str| match n {
            Some(n) => place_of_address(settings, &address, n, reason),
            None => place(settings, "admin_listen"),
        };
        if let Target::Unix { access, .. } = &address.target
            && let Err(reason) = privileges::find_owner(access)
        {
            problems.push(place(&reason) + &reason);
            continue;
        }
        let Err(reason) = Sockets::open(std::slice::from_ref(&address), 1, 1, inherited) else { continue };
        // The server this configuration is for may be running.
        let served = served.get_or_insert_with(|| running(settings));
        if !served.contains(&address.to_string()) {
            problems.push(place(&reason) + &reason);
        }
    }
    problems
}

/// Where the address was said that is the nth, and that cannot be bound for a reason.
fn place_of_address(settings: &Settings, address: &Address, n: usize, reason: &str) -> String {
    let rank =
        |key: &str| settings.effective.iter().find(|option| option.key == key).map_or(0, |option| option.origin.rank());
    let listen = rank("listen");
    match &address.target {
        Target::Tcp { .. } if rank("host").max(rank("port")) > listen => {
            let is_about_port = reason.contains("Port ");
            place::strongest(&settings.effective, if is_about_port { &["port", "host"] } else { &["host", "port"] })
        }
        _ if rank("socket") > listen => place(settings, "socket"),
        _ => place::place(&settings.effective, "listen", n),
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
    let place = place_of_application(settings, "");
    match fork() {
        Ok(Side::Child) => leave(match load(settings) {
            Ok(()) => exit::STOPPED,
            Err(reason) => {
                log::tell(&(place_of_application(settings, &reason) + &reason));
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

/// Where the application was named that a reason is about.
fn place_of_application(settings: &Settings, reason: &str) -> String {
    let is_of = |path: &str| reason.strip_prefix("Mount ").is_some_and(|rest| rest.starts_with(&format!("{path}/: ")));
    let mounts = || settings.app.mounts.iter().enumerate().filter(|(_, mount)| is_of(&mount.path));
    // Hosts may share a path.
    let mount = mounts().find(|(_, mount)| reason.contains(&mount.app)).or_else(|| mounts().next());
    if let Some((n, _)) = mount {
        return place::place(&settings.effective, "mount", n);
    }
    let is_module = |spec: &String| {
        let name = spec.split('=').next().unwrap_or_default();
        reason.starts_with(&format!("Cannot load module {name}:"))
    };
    if let Some(n) = settings.app.modules.iter().position(is_module) {
        return place::place(&settings.effective, "modules", n);
    }
    let of_option = [("Cannot load loop backend ", "loop"), ("PAGI_FUTURE_XS is set ", "future_xs")];
    if let Some((_, key)) = of_option.iter().find(|(beginning, _)| reason.starts_with(beginning)) {
        return place(settings, key);
    }
    let app = settings.effective.iter().find(|option| option.key == "app");
    match (&settings.app.code, &settings.app.name) {
        (Some(_), _) => place(settings, "code"),
        (None, Some(name)) if app.is_some_and(|app| app.values.first() == Some(name)) => place(settings, "app"),
        (None, Some(_)) => "Command line: ".to_owned(),
        (None, None) => String::new(),
    }
}

fn load(settings: &Settings) -> Result<(), String> {
    let service = &settings.service;
    // Whom there is no such user or group has been told already.
    if let Ok(Some(identity)) = Identity::find(service.user.as_deref(), service.group.as_deref()) {
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
