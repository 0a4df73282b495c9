//! What options become. Defaults, accepted and refused forms are asked of the binary itself, in `tests/tests/options/`.

use std::path::Path;

use pagi_perl_runtime::AppSource;
use pagi_server_core::Config;

use super::reading::check;
use super::*;
use crate::cli;
use crate::log::Level;

mod effects;
mod layers;

const HERE: &str = "/srv/here";

fn run(arguments: &[&str]) -> Result<Checked, String> {
    run_in(&[], arguments)
}

/// The same with these environment variables.
fn run_in(environment: &[(&str, &str)], arguments: &[&str]) -> Result<Checked, String> {
    let all = ["pagi-server"].iter().chain(arguments).map(OsString::from);
    let find = |name: &str| environment.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
    let find = |name: &str| find(name).or_else(|| (name == "PAGI_ENV").then(|| "none".to_owned()));
    let parsed = cli::parse(all, &find).map_err(|answer| answer.text)?;
    check(parsed, PathBuf::from(HERE), "production")
}

fn settings(arguments: &[&str]) -> Settings {
    run(arguments).unwrap_or_else(|message| panic!("{arguments:?}: {message}")).settings
}

fn mistake(arguments: &[&str]) -> String {
    match run(arguments) {
        Ok(_) => panic!("{arguments:?} was accepted"),
        Err(message) => message,
    }
}

#[test]
fn defaults_are_those_of_the_reference() {
    let settings = settings(&[]);
    assert_eq!(settings.listen, [Address::tcp("127.0.0.1", 5000)]);
    assert_eq!((settings.queues, settings.backlog), (1, 2048));
    let processes = &settings.processes;
    assert_eq!((processes.workers, processes.no_preload, processes.max_requests), (0, false, 0));
    assert_eq!(processes.heartbeat_timeout, Duration::from_secs(50));
    assert_eq!(processes.shutdown_timeout, Duration::from_secs(30));
    assert_eq!((settings.lifespan, settings.startup_timeout), (Lifespan::Auto, Duration::from_secs(30)));
    assert_eq!((settings.log.level, settings.quiet), (Level::Info, false));
    assert_eq!(settings.access_log, Some(AccessLogSettings { format: "clf".to_owned(), file: None, one_of: 1 }));
    assert!(settings.app.default_middleware && !settings.has_workers());
    assert_eq!(settings.app_spec().source, AppSource::Default);
}

/// The defaults of the command line stand beside the options and those of the core beside its fields: they agree.
#[test]
fn defaults_agree_with_the_core() {
    assert_eq!(format!("{:?}", settings(&[]).http_config()), format!("{:?}", Config::default()));
}

type Check = fn(&Settings) -> bool;

/// Every option, and what it changes.
const EFFECTS: &[(&[&str], Check)] = {
    &[
        (&["-w", "4"], |s| s.processes.workers == 4 && s.has_workers() && s.queues == 4),
        (&["--workers=1"], |s| !s.has_workers() && s.queues == 1),
        (&["-w", "4", "--queues", "2"], |s| s.queues == 2),
        (&["-w", "4", "--reuseport"], |s| s.queues == 4),
        (&["--http2"], |s| s.http_config().http2.cleartext),
        (&["--http2", "--no-http2"], |s| !s.http_config().http2.cleartext && !s.http_config().http2.over_tls),
        (&["--h2-max-concurrent-streams", "7"], |s| s.http_config().http2.max_concurrent_streams == 7),
        (&["--h2-initial-window-size", "7"], |s| s.http_config().http2.initial_window_size == 7),
        (&["--h2-connection-window-size", "70000"], |s| s.http_config().http2.connection_window_size == 70_000),
        (&["--h2-max-frame-size", "20000"], |s| s.http_config().http2.max_frame_size == 20_000),
        (&["--h2-max-header-list-size", "7"], |s| s.http_config().http2.max_header_list_size == 7),
        (&["--h2-enable-connect-protocol", "off"], |s| !s.http_config().http2.enable_connect_protocol),
        (&["--h2-rst-rate-limit", "7/3"], |s| {
            let limit = s.http_config().http2.rst_rate_limit;
            (limit.burst, limit.per_second) == (7, 3)
        }),
        (&["--h2-control-rate-limit", "7/0"], |s| s.http_config().http2.control_rate_limit.per_second == 0),
        (&["--h2-max-stream-errors", "7"], |s| s.http_config().http2.max_stream_errors == 7),
        (&["--h2-max-requests", "0"], |s| s.http_config().http2.max_requests == 0),
        (&["-o", "0.0.0.0", "-p", "0"], |s| s.listen[0].to_string() == "http://0.0.0.0:0/"),
        (&["-o", "::1", "-p=8080"], |s| s.listen[0].to_string() == "http://[::1]:8080/"),
        (&["-o", "[::1]"], |s| s.listen[0].to_string() == "http://[::1]:5000/"),
        (&["--socket", "a.sock"], |s| s.listen[0].to_string() == "unix:/srv/here/a.sock"),
        (&["--socket", "/a", "--socket-mode", "0660"], |s| {
            s.listen == [Address::unix("/a").with_default_mode(Some(0o660))]
        }),
        (&["--listen", "h:1", "--listen", "./b", "--socket-mode", "0666"], |s| {
            s.listen[1] == Address::unix("/srv/here/./b").with_default_mode(Some(0o666)) && s.listen.len() == 2
        }),
        (&["--listen", "unix:b,mode=0660", "--listen", "c", "--socket-mode", "0666"], |s| {
            let modes = [Some(0o660), Some(0o666)];
            s.listen.iter().zip(["b", "c"]).zip(modes).all(|((address, name), mode)| {
                *address == Address::unix(format!("/srv/here/{name}")).with_default_mode(mode)
            })
        }),
        (&["--listen", "unix:@web", "--listen", "fd:api,ssl", "--disable-tls"], |s| {
            s.listen.iter().map(ToString::to_string).eq(["unix:@web", "fd:api"])
        }),
        (&["-b", "7"], |s| s.backlog == 7),
        (&["--listener-backlog", "7"], |s| s.backlog == 7),
        (&["--max-connections", "9"], |s| s.http_config().max_connections == 9),
        (&["--max-requests", "10"], |s| s.processes.max_requests == 10),
        (&["--max-body-size", "0"], |s| s.http_config().max_body_size == 0),
        (&["--max-header-size", "100"], |s| s.http_config().max_header_size == 100),
        (&["--max-header-count", "5"], |s| s.http_config().max_header_count == 5),
        (&["--timeout", "0"], |s| s.http_config().idle_timeout.is_none()),
        (&["--timeout", "2.5"], |s| s.http_config().idle_timeout == Some(Duration::from_millis(2500))),
        (&["--header-timeout", "3"], |s| s.http_config().header_timeout == Some(Duration::from_secs(3))),
        (&["--request-timeout", "3"], |s| s.http_config().request_timeout == Some(Duration::from_secs(3))),
        (&["--write-timeout", "0"], |s| s.http_config().write_timeout.is_none()),
        (&["--write-high-watermark", "20000"], |s| s.http_config().write_high_watermark == 20_000),
        (&["--write-low-watermark", "0"], |s| s.http_config().write_low_watermark == 0),
        (&["--tolerate-half-close"], |s| s.http_config().tolerate_half_close),
        (&["--max-ws-frame-size", "9"], |s| s.http_config().max_ws_frame_size == 9),
        (&["--max-ws-message-size", "9"], |s| s.http_config().max_ws_message_size == 9),
        (&["--max-ws-send-size", "9"], |s| s.http_config().max_ws_send_size == 9),
        (&["--max-receive-queue", "9"], |s| s.http_config().max_receive_queue == 9),
        (&["--ws-idle-timeout", "9"], |s| s.http_config().ws_idle_timeout == Some(Duration::from_secs(9))),
        (&["--sse-idle-timeout", "9"], |s| s.http_config().sse_idle_timeout == Some(Duration::from_secs(9))),
        (&["--ws-compression", "off"], |s| !s.http_config().ws_compression.enabled),
        (&["--ws-compression-level", "9"], |s| s.http_config().ws_compression.level == 9),
        (&["--ws-compression-min-size", "9"], |s| s.http_config().ws_compression.min_size == 9),
        (&["--no-fullflush"], |s| !s.http_config().fullflush),
        (&["--root-path", "/app"], |s| s.http_config().root_path == "/app"),
        (&["--heartbeat-timeout", "0"], |s| s.processes.heartbeat_timeout.is_zero()),
        (&["--shutdown-timeout", "5"], |s| s.processes.shutdown_timeout == Duration::from_secs(5)),
        (&["--no-preload"], |s| s.processes.no_preload),
        (&["--reload"], |s| s.processes.reload && s.has_workers()),
        (&["-E", "development"], |s| s.app_spec().shows_errors && !s.has_workers()),
        (&["-E", "development", "--open"], |s| s.app.open),
        (&["-E", "production", "--open"], |s| !s.app.open),
        (&["-E", "production", "--reload"], |s| !s.app_spec().shows_errors),
        (&["--lifespan=on"], |s| s.lifespan == Lifespan::On),
        (&["--lifespan-startup-timeout", "0"], |s| optional(s.startup_timeout).is_none()),
        (&["--log-level", "warn"], |s| s.log.level == Level::Warn),
        (&["-q"], |s| s.log.level == Level::Error && s.app_spec().quiet),
        (&["--access-log", "a.log"], |s| {
            s.access_log.as_ref().and_then(|log| log.file.clone()) == Some("/srv/here/a.log".into())
        }),
        (&["--access-log", "a.log", "--no-access-log"], |s| s.access_log.is_none()),
        (&["--access-log-format", "tiny"], |s| s.access_log.as_ref().is_some_and(|log| log.format == "tiny")),
        (&["-E", "production"], |s| s.access_log.is_none() && s.app.mode == "production"),
        (&["-E", "production", "--access-log", "/l"], |s| s.access_log.is_some()),
        (&["--no-default-middleware"], |s| !s.app_spec().default_middleware),
        (&["--no-default-middleware", "--default-middleware"], |s| s.app_spec().default_middleware),
        (&["-D"], |s| s.service.daemonize),
        (&["--pid", "p"], |s| s.service.pid_file == Some("/srv/here/p".into())),
        (&["--user", "u", "--group", "g"], |s| {
            s.service.user.as_deref() == Some("u") && s.service.group.as_deref() == Some("g")
        }),
        (&["--control-socket", "c"], |s| s.service.control_socket == Some("/srv/here/c".into())),
        (&["--control-socket", "unix:c"], |s| s.service.control_socket == Some("/srv/here/c".into())),
        (&["--admin-listen", "unix:@a"], |s| s.service.admin_listen == Some(Address::unnamed("a"))),
        (&["--control-group", "adm"], |s| s.service.control_group.as_deref() == Some("adm")),
        (&["-Ilib", "-I", "x", "--lib", "y"], |s| s.app.include.len() == 3 && s.app.include[0] == Path::new("lib")),
        (&["-MFoo=a,b", "-M", "Bar"], |s| s.app.modules == ["Foo=a,b", "Bar"]),
        (&["-e", "-1"], |s| s.app_spec().source == AppSource::Code("-1".to_owned())),
        (&["-esub {}", "app.pl"], |s| s.app_spec().source == AppSource::Code("sub {}".to_owned())),
        (&["app.pl"], |s| s.app_spec().source == AppSource::Named("app.pl".to_owned())),
        (&["--app", "a.pl", "k=v"], |s| {
            s.app_spec().source == AppSource::Named("a.pl".to_owned()) && s.app.arguments == ["k=v"]
        }),
        (&["My::App", "root=/a=b", "-q", "x=1"], |s| s.app.arguments == ["root=/a=b", "x=1"] && s.quiet),
        (&["-p", "1", "--port", "2"], |s| s.listen[0].to_string().ends_with(":2/")),
    ]
};

#[test]
fn every_option_has_its_effect() {
    for (arguments, check) in EFFECTS {
        let settings = settings(arguments);
        assert!(check(&settings), "{arguments:?} gave {settings:?}");
    }
}

/// An option without a row in the tables is an option without a test.
#[test]
fn no_option_is_forgotten() {
    let tables = EFFECTS.iter().chain(effects::EFFECTS);
    let named = |spelling: &str, short: Option<char>| {
        tables.clone().flat_map(|(arguments, _)| arguments.iter()).any(|argument| {
            argument.split('=').next() == Some(spelling)
                || short.is_some_and(|short| argument.starts_with(&format!("-{short}")) && !argument.starts_with("--"))
        })
    };
    let command = <cli::CommandLine as clap::CommandFactory>::command();
    let forgotten: Vec<String> = command
        .get_arguments()
        // Those of --config, --check, --help and --version are told apart by what they print.
        .filter(|argument| !["config", "check", "help", "version"].contains(&argument.get_id().as_str()))
        // Whose values need certificates: tests/tests/tls/ starts servers with them.
        .filter(|argument| argument.get_help_heading() != Some("TLS"))
        .filter_map(|argument| Some((format!("--{}", argument.get_long()?), argument.get_short())))
        .filter(|(long, short)| !named(long, *short))
        .map(|(long, _)| long)
        .collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

#[test]
fn warnings() {
    let warnings = |arguments: &[&str]| run(arguments).unwrap().warnings;
    let has = |arguments: &[&str], expected: &str| {
        let warnings = warnings(arguments);
        assert!(warnings.iter().any(|warning| warning == expected), "{arguments:?}: {warnings:?}");
    };
    has(&["app.pl", "stray", "k=v"], "Ignoring argument without '=': stray");
    has(&["k=v"], "Ignoring arguments because no application is named: k=v");
    has(&["--listen", "h:1", "--port", "1"], "--host and --port are ignored because --listen or --socket is given");
    has(
        &["-E", "production"],
        "max_connections is left at its default of 1000 in production; set --max-connections to what a worker bears",
    );
    let quiet = warnings(&["-E", "production", "--max-connections", "5", "app.pl", "k=v"]);
    assert!(quiet.is_empty(), "{quiet:?}");
}

#[test]
fn mode_follows_the_terminal() {
    let mode = |arguments: &[&str], terminal| {
        let arguments = std::iter::once("pagi-server").chain(arguments.iter().copied()).map(OsString::from);
        let parsed = cli::parse(arguments, &|_| None);
        let default = if terminal { "development" } else { "production" };
        check(parsed.unwrap(), PathBuf::from(HERE), default).unwrap().settings.app.mode
    };
    // An empty word counts as none, whatever the surroundings of this test say.
    assert_eq!(mode(&["--env", ""], true), "development");
    assert_eq!(mode(&["--env", ""], false), "production");
    assert_eq!(mode(&["-E", "staging"], true), "staging");
}

#[test]
fn settings_survive_the_way_to_another_process() {
    let before = settings(&["-w", "3", "--listen", "[::1]:0", "--timeout", "0.25", "-MX", "a.pl", "k=v"]);
    let json = serde_json::to_string(&before).unwrap();
    let after: Settings = serde_json::from_str(&json).unwrap();
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
}

#[test]
fn help_is_complete() {
    let answer = cli::parse(["pagi-server", "--help"].map(OsString::from), &|_| None).unwrap_err();
    assert_eq!(answer.status, 0);
    for piece in
        ["Application:", "Listening:", "Processes:", "Logs:", "Service:", "Exit status:", "--heartbeat-timeout"]
    {
        assert!(answer.text.contains(piece), "{piece} is missing");
    }
    let version = cli::parse(["pagi-server", "-v"].map(OsString::from), &|_| None).unwrap_err();
    let expected = format!("pagi-server (PAGI 0.002007, PAGI::Server {})", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.text, version.status), (expected, 0));
}

#[test]
fn the_request_limit_varies_within_the_jitter() {
    let limits = |arguments: &[&str]| -> Vec<u64> {
        let arguments = ["pagi-server", "-E", "none"].iter().chain(arguments).map(Into::into);
        let settings = read(arguments).unwrap().settings;
        (0..50).map(|_| settings.request_limit()).collect()
    };
    assert!(limits(&["--max-requests-jitter", "10"]).iter().all(|&limit| limit == 0), "no limit, no jitter");
    assert!(limits(&["--max-requests", "100"]).iter().all(|&limit| limit == 100));
    let varied = limits(&["--max-requests", "100", "--max-requests-jitter", "10"]);
    assert!(varied.iter().all(|limit| (100..=110).contains(limit)), "{varied:?}");
    assert!(varied.iter().any(|limit| *limit != varied[0]), "{varied:?}");
}
