//! From the command line, the environment and the configuration file to settings that are checked.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::{AppSettings, Checked, DEVELOPMENT, PRODUCTION, ServiceSettings, Settings, application, listening, logs};
use crate::address::Address;
use crate::cli::{self, ServiceOptions};
use crate::log::{Level, LogSettings};
use crate::tls;
use crate::usage::Answer;

/// Reads a command line, the program's name first.
///
/// # Errors
/// What to print instead of serving.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Checked, Answer> {
    let directory = std::env::current_dir()
        .map_err(|error| Answer::mistake(format!("Cannot find out the current directory: {error}")))?;
    let default_mode = if std::io::stdin().is_terminal() { DEVELOPMENT } else { PRODUCTION };
    let environment = |name: &str| std::env::var(name).ok();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = cli::parse(arguments.iter().cloned(), &environment)?;
    let mut checked = check(parsed, directory, default_mode).map_err(Answer::mistake)?;
    checked.settings.command_line = arguments;
    Ok(checked)
}

/// Reads everything again in a server that runs: the command line and the environment are as they were, the
/// configuration file may be another.
///
/// # Errors
/// What is wrong, one line for each mistake.
pub fn read_again(current: &Settings) -> Result<Checked, Answer> {
    let environment = |name: &str| std::env::var(name).ok();
    let mut arguments = current.command_line.clone();
    // A relative path means what it meant at the start.
    if let Some(config) = &current.service.config {
        arguments.splice(1..1, ["--config".into(), config.clone().into()]);
        let later = arguments.split_off(3);
        arguments.extend(without_config(later));
    }
    // Whether a terminal was there at the start cannot be found out any more.
    let parsed = cli::parse(arguments, &environment)?;
    let mut checked = check(parsed, current.app.directory.clone(), &current.app.mode).map_err(Answer::mistake)?;
    checked.settings.command_line.clone_from(&current.command_line);
    Ok(checked)
}

/// The arguments without `--config FILE` and `--config=FILE`.
fn without_config(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => drop(arguments.next()),
            Some(text) if text.starts_with("--config=") => {}
            _ => kept.push(argument),
        }
    }
    kept
}

pub(super) fn check(parsed: cli::Parsed, directory: PathBuf, default_mode: &str) -> Result<Checked, String> {
    let mut warnings = Vec::new();
    let mode = parsed.options.app.env.clone().filter(|mode| !mode.is_empty());
    let mode = mode.unwrap_or_else(|| default_mode.to_owned());
    let (mut listen, listen_given) = listening::addresses(&parsed, &directory, &mut warnings)?;
    let default_middleware = match parsed.rank("default_middleware").cmp(&parsed.rank("no_default_middleware")) {
        Ordering::Greater => parsed.options.app.default_middleware,
        Ordering::Equal | Ordering::Less => !parsed.options.app.no_default_middleware,
    };
    let tls = tls::check(&parsed.options.tls, !parsed.options.http2.no_http2, &mut listen, &directory, &mut warnings)?;
    if listen.iter().any(Address::proxy) && parsed.options.proxies.trusted_proxies.is_empty() {
        return Err("An address with ,proxy needs --trusted-proxies, which says whom to believe".to_owned());
    }
    // Whoever said the one and the other: without the mold nobody knows what to watch.
    if parsed.options.processes.reload && parsed.options.processes.no_preload {
        return Err(
            "--reload cannot be used with --no-preload: it loads the application once for all workers".to_owned()
        );
    }
    let http = &parsed.options.http;
    if http.write_low_watermark >= http.write_high_watermark {
        return Err(format!(
            "--write-low-watermark ({}) must be below --write-high-watermark ({})",
            http.write_low_watermark, http.write_high_watermark
        ));
    }
    if mode == PRODUCTION && parsed.rank("max_connections") == 0 {
        warnings.push(format!(
            "max_connections is left at its default of {} in production; set --max-connections to what a worker bears",
            http.max_connections
        ));
    }
    let access_log = logs::access_log(&parsed, &mode, &directory);
    if access_log.as_ref().is_some_and(|log| log.file.is_none()) && std::io::stderr().is_terminal() {
        warnings
            .push("The access log is a terminal, which is slow; use --access-log FILE or --no-access-log".to_owned());
    }
    let named = application::named(&parsed, &mut warnings);
    let production_given = parsed.rank("env") > 0 && mode == PRODUCTION;
    let cli::Parsed { options, effective, .. } = parsed;
    let check_only = options.check;
    let default_queues = usize::try_from(options.processes.workers).unwrap_or(1).max(1);
    let settings = Settings {
        app: AppSettings {
            code: named.code,
            name: named.name,
            arguments: named.arguments,
            mounts: options.app.mounts,
            include: options.app.include,
            modules: options.app.modules,
            open: options.app.open && mode == DEVELOPMENT,
            mode,
            default_middleware,
            future_xs: options.app.future_xs,
            directory: directory.clone(),
        },
        listen,
        listen_given,
        queues: options.listen.queues.map_or(default_queues, usize::from),
        backlog: options.listen.listener_backlog,
        tls,
        processes: options.processes,
        pool: options.pool,
        event_loop: options.event_loop,
        http: options.http,
        http2: options.http2,
        proxies: options.proxies,
        offload: options.offload,
        store: options.store,
        root_path: options.app.root_path,
        lifespan: options.app.lifespan,
        startup_timeout: options.app.lifespan_startup_timeout,
        access_log,
        log: LogSettings {
            level: if options.logs.quiet { Level::Error } else { options.logs.log_level },
            format: options.logs.log_format,
            destination: options.logs.log.anchored(&directory),
        },
        quiet: options.logs.quiet,
        service: service(options.service, &directory),
        effective,
        production_given,
        command_line: Vec::new(),
    };
    Ok(Checked { settings, warnings, check_only })
}

fn service(options: ServiceOptions, directory: &Path) -> ServiceSettings {
    let anchor = |path: Option<PathBuf>| path.map(|path| directory.join(path));
    ServiceSettings {
        daemonize: options.daemonize,
        pid_file: anchor(options.pid),
        user: options.user,
        group: options.group,
        allow_root: options.allow_root,
        control_socket: anchor(options.control_socket),
        control_group: options.control_group,
        admin_listen: options.admin_listen.map(|address| address.anchored(directory)),
        config: anchor(options.config),
    }
}
