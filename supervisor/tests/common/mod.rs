//! Running servers for tests: the real binary on a free port, in a directory of its own, killed when the test ends.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod load;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long anything may take that is not bounded more tightly by the test.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Answers with its process id; some paths misbehave.
pub const APP: &str = r#"
use strict; use warnings; use Future::AsyncAwait; use Future::IO;
async sub app {
    my ($scope, $receive, $send) = @_;
    die "no lifespan\n" if $scope->{type} ne 'http';
    my $path = $scope->{path};
    await Future::IO->sleep($1) if $path =~ m{^/sleep/(\S+)};
    if ($path eq '/block') { block() }
    if ($path eq '/loop') { 1 while 1 }
    if ($path eq '/orphan') {
        defined(my $child = fork) or die "fork: $!";
        if (!$child) { exec 'sh', '-c', 'setsid sleep 0.3 & exit 0' or die }
        waitpid $child, 0;
    }
    await $send->({ type => 'http.response.start', status => 200, headers => [['content-type', 'text/plain']] });
    await $send->({ type => 'http.response.body', body => "$$" });
}
sub block { sleep 3600 }
\&app;
"#;

/// Fails lifespan start-up.
pub const FAILING_APP: &str = r#"
use strict; use warnings; use Future::AsyncAwait;
async sub app {
    my ($scope, $receive, $send) = @_;
    await $receive->();
    await $send->({ type => 'lifespan.startup.failed', message => 'no database' });
}
\&app;
"#;

/// A command with surroundings that do not depend on who runs the test.
pub fn command(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    for variable in ["PAGI_ENV", "PORT", "HOST", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET"] {
        command.env_remove(variable);
    }
    // Tests may run as root, in a directory of their own.
    command.env("PAGI_ALLOW_ROOT", "1");
    command.env("XDG_RUNTIME_DIR", directory).current_dir(directory).stdin(Stdio::null());
    command
}

pub fn server_command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = command(env!("CARGO_BIN_EXE_pagi-server"), directory);
    command.args(arguments);
    command
}

/// Runs a command that ends by itself.
pub fn run(command: &mut Command) -> (i32, String) {
    let output: Output = command.output().expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text.into_owned())
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

/// A running server.
pub struct Server {
    child: Child,
    log: Arc<Log>,
    pub directory: TempDir,
}

impl Server {
    /// Starts a server on a free port and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), arguments)
    }

    /// Starts one in a directory that was prepared for it.
    pub fn start_in(directory: TempDir, arguments: &[&str]) -> Self {
        let server = Self::spawn_in(directory, &[&["--port", "0"], arguments].concat());
        server.wait_for("listening on");
        server
    }

    /// Starts a server with exactly these arguments.
    pub fn spawn(arguments: &[&str]) -> Self {
        Self::spawn_in(tempfile::tempdir().expect("a directory"), arguments)
    }

    fn spawn_in(directory: TempDir, arguments: &[&str]) -> Self {
        Self::spawn_program(env!("CARGO_BIN_EXE_pagi-server"), directory, arguments)
    }

    /// Starts another program in place of the server's binary.
    pub fn spawn_program(program: &str, directory: TempDir, arguments: &[&str]) -> Self {
        let mut child = command(program, directory.path())
            .args(["-E", "none", "--access-log-format", "tiny"])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Its own, so that a test can do what a terminal does.
            .process_group(0)
            .spawn()
            .expect("the server starts");
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                writer.lines.lock().unwrap().push(line);
                writer.grown.notify_all();
            }
        });
        Self { child, log, directory }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Waits for a line that holds this text, and returns it.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_several(text, 1)
    }

    /// Waits until so many lines hold this text, and returns the last of them.
    pub fn wait_for_several(&self, text: &str, number: usize) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            let found: Vec<&String> = lines.iter().filter(|line| line.contains(text)).collect();
            if found.len() >= number {
                return found[number - 1].clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {number} lines with '{text}' in:\n{}", lines.join("\n"));
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    pub fn port(&self) -> u16 {
        let banner = self.wait_for("listening on");
        let (_, rest) = banner.split_once("http://127.0.0.1:").expect("a TCP address");
        rest.split('/').next().unwrap().parse().expect("a port")
    }

    pub fn get(&self, path: &str) -> Result<String, String> {
        get(self.port(), path)
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the server lives");
    }

    /// Waits for the end and returns the status: `None` if a signal ended it.
    pub fn wait(&mut self, patience: Duration) -> Option<i32> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "still running after {patience:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Processes below the server, with their titles.
    pub fn family(&self) -> Vec<Process> {
        family(self.pid().as_raw())
    }

    pub fn workers(&self) -> Vec<Process> {
        self.family().into_iter().filter(|process| process.title.contains(": worker ")).collect()
    }

    /// Starts `pagictl` against this server.
    pub fn pagictl(&self, arguments: &[&str]) -> (i32, String) {
        run(command(env!("CARGO_BIN_EXE_pagictl"), self.directory.path()).args(arguments))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The group: successors of an upgraded server are in it, too.
        let _ = nix::sys::signal::killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub state: char,
    pub title: String,
}

/// Children of a process, in order of their ids.
pub fn family(parent: i32) -> Vec<Process> {
    let mut found: Vec<Process> = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| process(pid).filter(|(_, above)| *above == parent).map(|(process, _)| process))
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

fn process(pid: i32) -> Option<(Process, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let title = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let title = String::from_utf8_lossy(&title).trim_end_matches('\0').replace('\0', " ");
    Some((Process { pid, state, title }, parent))
}

/// Whether a process exists and is not just waiting to be collected.
pub fn is_alive(pid: i32) -> bool {
    process(pid).is_some_and(|(process, _)| process.state != 'Z')
}

/// Waits until something is so.
pub fn eventually(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The body of a response, or why there is none.
pub fn get(port: u16, path: &str) -> Result<String, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    exchange(stream, path)
}

/// One request on a connection.
pub fn exchange(mut stream: impl Read + Write, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).map_err(|error| error.to_string())?;
    let response = String::from_utf8_lossy(&response).into_owned();
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(|| format!("cut off: {response:?}"))?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(response);
    }
    // A streamed response of one chunk, or a counted one.
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        let chunk = body.split("\r\n").nth(1).ok_or("no chunk")?;
        return Ok(chunk.to_owned());
    }
    Ok(body.to_owned())
}
