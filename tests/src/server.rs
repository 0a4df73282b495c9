//! A `pagi-server` process: how it is started, watched, signalled and, whatever happens, ended.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::patience::{PATIENCE, poll, wait_until};

/// A server to be started: application, options, environment and a scratch directory.
#[derive(Debug)]
pub struct Setup {
    directory: TempDir,
    app: Option<OsString>,
    arguments: Vec<OsString>,
    trailing: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    working_directory: Option<PathBuf>,
    listens_elsewhere: bool,
    passed: Option<(Vec<OwnedFd>, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// A server with no application named yet.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("pagi-test-").tempdir().expect("a directory can be made");
        Self {
            directory,
            app: None,
            arguments: Vec::new(),
            trailing: Vec::new(),
            environment: Vec::new(),
            working_directory: None,
            listens_elsewhere: false,
            passed: None,
        }
    }

    /// A server of the application in this Perl text, written to `app.pl` in the scratch directory.
    pub fn perl(text: &str) -> Self {
        let setup = Self::new().file("app.pl", text);
        let path = setup.path("app.pl");
        setup.app(path)
    }

    /// Names the application: a file, a module or whatever the command line takes.
    #[must_use]
    pub fn app(mut self, app: impl AsRef<OsStr>) -> Self {
        self.app = Some(app.as_ref().to_owned());
        self
    }

    /// Adds an option before the application.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds options before the application.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Adds an argument after the application.
    #[must_use]
    pub fn app_arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.trailing.push(argument.as_ref().to_owned());
        self
    }

    /// Says how many workers there are.
    #[must_use]
    pub fn workers(self, number: u32) -> Self {
        self.arg("--workers").arg(number.to_string())
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Starts the server in this directory instead of the scratch directory.
    #[must_use]
    pub fn working_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.working_directory = Some(directory.into());
        self
    }

    /// Leaves out `--port 0`: the arguments say where to listen.
    #[must_use]
    pub fn listens_elsewhere(mut self) -> Self {
        self.listens_elsewhere = true;
        self
    }

    /// Passes up to two descriptors as systemd does: from number 3 on, under these names (`LISTEN_FDNAMES`).
    #[must_use]
    pub fn passing(mut self, descriptors: impl IntoIterator<Item = OwnedFd>, names: &str) -> Self {
        self.passed = Some((descriptors.into_iter().collect(), names.to_owned()));
        self
    }

    /// Writes a file of the scratch directory.
    #[must_use]
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory can be made");
        fs::write(path, text).expect("a file can be written");
        self
    }

    /// A path in the scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = match &self.passed {
            None => Command::new(server_binary()),
            Some((descriptors, names)) => handing_over(descriptors.len(), names),
        };
        for variable in INHERITED_SETTINGS {
            command.env_remove(variable);
        }
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PAGI_")) {
            command.env_remove(variable);
        }
        // Tests may run as root, in a directory of their own.
        command.env("PAGI_ALLOW_ROOT", "1");
        command
            .arg("--control-socket")
            .arg(self.path("control.sock"))
            .args(if self.listens_elsewhere { &[][..] } else { &["--port", "0"] })
            .args(&self.arguments)
            .args(&self.app)
            .args(&self.trailing)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.working_directory.as_deref().unwrap_or(self.directory.path()))
            .stdin(Stdio::null())
            .stdout(create(&self.path("stdout")))
            .stderr(create(&self.path("stderr")));
        for (index, descriptor) in self.passed.iter().flat_map(|(descriptors, _)| descriptors).enumerate() {
            let copy = descriptor.try_clone().expect("a descriptor can be copied");
            if index == 0 {
                command.stdin(copy)
            } else {
                command.stdout(copy)
            };
        }
        command
            // A group of its own is what can be killed as a whole.
            .process_group(0);
        command
    }

    /// Starts the server and waits for its banner.
    pub fn start(self) -> Server {
        let mut server = self.launch();
        wait_until(|| server.has_said("listening on") || server.ended().is_some());
        let exit = server.ended();
        assert!(exit.is_none(), "the server ended ({exit:?}) instead of listening:\n{}", server.log());
        server.address = server.addresses().first().copied();
        server
    }

    /// Starts the server and does not wait for anything.
    pub fn launch(self) -> Server {
        let mut command = self.command();
        let child = command.spawn().expect("the server binary can be started");
        let group = Pid::from_raw(child.id().try_into().expect("a process id is small"));
        Server { child, group, exit: None, setup: self, address: None }
    }

    /// Runs the command to its end, for what is not expected to serve.
    pub fn run(self) -> Outcome {
        let mut server = self.launch();
        let status = server.wait_for_exit();
        Outcome { status, stdout: server.output("stdout"), stderr: server.output("stderr") }
    }
}

/// A shell that finds descriptors as its standard input and output, moves them to where systemd puts them, and becomes
/// the server: `LISTEN_PID` is known only then.
fn handing_over(number: usize, names: &str) -> Command {
    assert!(number <= 2, "one as standard input, one as standard output");
    let script = format!(
        r#"exec 3<&0 4>&1 0</dev/null 1>/dev/null; export LISTEN_PID=$$ LISTEN_FDS={number} LISTEN_FDNAMES='{names}'; exec "$0" "$@""#
    );
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).arg(server_binary());
    command
}

/// What could change a server's behaviour and may be set where the tests run; besides everything that begins with
/// `PAGI_`.
const INHERITED_SETTINGS: [&str; 7] =
    ["PERL5OPT", "HOST", "PORT", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET", "IO_ASYNC_LOOP"];

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// The exit code; panics when a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    /// Panics unless standard error contains a text.
    #[track_caller]
    pub fn assert_says(&self, text: &str) {
        assert!(self.stderr.contains(text), "{text:?} is not in:\n{}", self.stderr);
    }
}

/// A running server. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Server {
    child: Child,
    group: Pid,
    exit: Option<ExitStatus>,
    setup: Setup,
    address: Option<SocketAddr>,
}

impl Server {
    /// The first TCP address in the banner.
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap_or_else(|| panic!("the banner names no TCP address:\n{}", self.log()))
    }

    /// The URL of a path on that address.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The process id of the command that was started.
    pub fn pid(&self) -> Pid {
        self.group
    }

    /// A path in the scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.setup.path(name)
    }

    /// The control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    /// Standard error so far: the server log, and access log lines unless they go elsewhere.
    pub fn log(&self) -> String {
        self.output("stderr")
    }

    /// A file of the scratch directory as text; empty while it does not exist.
    pub fn output(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// Whether the log contains a text.
    pub fn has_said(&self, text: &str) -> bool {
        self.log().contains(text)
    }

    /// Waits until the log contains a text.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        self.wait_for_text("stderr", text);
    }

    /// Waits until a file of the scratch directory contains a text.
    #[track_caller]
    pub fn wait_for_text(&self, name: &str, text: &str) {
        let found = poll(PATIENCE, || self.output(name).contains(text));
        assert!(found, "{text:?} does not appear in {name}:\n{}\nlog:\n{}", self.output(name), self.log());
    }

    /// Sends a signal to the process that was started: the master, or the server without workers.
    pub fn signal(&self, signal: Signal) {
        kill(self.group, signal).expect("the server is there to be signalled");
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().expect("a child can be waited for");
        }
        self.exit
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let ended = poll(PATIENCE, || self.ended().is_some());
        assert!(ended, "the server does not end:\n{}", self.log());
        self.exit.expect("just seen")
    }

    /// Asks it to stop, and waits for its end.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait_for_exit()
    }

    /// Whether any process of the server's group is left.
    pub fn has_processes(&self) -> bool {
        !crate::process::group(self.group).is_empty()
    }

    /// The TCP addresses of the banner, in its order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let log = self.log();
        let banner = log.lines().find(|line| line.contains("listening on")).unwrap_or_default();
        banner.split("://").skip(1).filter_map(|rest| rest.split('/').next()?.parse().ok()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when nobody is left, which is fine.
        let _ = killpg(self.group, Signal::SIGKILL);
        if self.exit.is_none() {
            let _ = self.child.wait();
        }
        poll(Duration::from_secs(5), || !self.has_processes());
        if std::thread::panicking() {
            eprintln!("--- log of the server\n{}---", self.log());
        }
    }
}

/// The `pagi-server` under test: `$PAGI_SERVER`, or the one built beside this test.
pub fn server_binary() -> PathBuf {
    binary("pagi-server", "PAGI_SERVER")
}

/// The `pagictl` beside it.
pub fn pagictl_binary() -> PathBuf {
    binary("pagictl", "PAGICTL")
}

fn binary(name: &str, variable: &str) -> PathBuf {
    let built = || {
        let test = std::env::current_exe().expect("a test knows its path");
        // target/PROFILE/deps/TEST
        test.ancestors().nth(2).expect("tests are two levels deep").join(name)
    };
    let path = std::env::var_os(variable).map_or_else(built, PathBuf::from);
    assert!(
        path.is_file(),
        "There is no {}; build it with `cargo build -p pagi-supervisor`, or name another one in ${variable}.",
        path.display()
    );
    path
}

fn create(path: &Path) -> File {
    // Appending: what is written by several processes must not overwrite itself.
    let mut options = File::options();
    options.create(true).append(true).open(path).expect("a file can be made in the scratch directory")
}
