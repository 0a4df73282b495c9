//! A server with four workers, and the orders it gets.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pagi_tests::server::{Server, Setup, pagictl_binary};

pub const WORKERS: u32 = 4;

/// An application that answers at once, after 50 ms, or never; that keeps WebSockets and event streams open; and that loads for as long as a file says.
pub const APP: &str = r#"use strict; use warnings; use Future; use Future::AsyncAwait; use Future::IO;
my ($directory) = __FILE__ =~ m{\A(.*)/};
if (open my $boot, '<', "$directory/boot") { sleep(<$boot>) }
async sub app {
    my ($scope, $receive, $send) = @_;
    die "no lifespan\n" if $scope->{type} eq 'lifespan';
    if ($scope->{type} eq 'websocket') {
        await $receive->();
        await $send->({ type => 'websocket.accept' });
        while (1) { my $event = await $receive->(); return if $event->{type} eq 'websocket.disconnect' }
    }
    if ($scope->{type} eq 'sse') {
        await $send->({ type => 'sse.start', status => 200 });
        await $send->({ type => 'sse.send', data => 'hello' });
        while (1) { my $event = await $receive->(); return if $event->{type} eq 'sse.disconnect' }
    }
    my $path = $scope->{path};
    await Future::IO->sleep(0.05) if $path eq '/slow';
    stuck_in_sleep() if $path eq '/sleep';
    stuck_in_loop() if $path eq '/loop';
    await $send->({ type => 'http.response.start', status => 200,
        headers => [['content-type', 'text/plain'], ['content-length', 5]] });
    await $send->({ type => 'http.response.body', body => 'hello' });
}
sub stuck_in_sleep { sleep 3600 }
sub stuck_in_loop { 1 while 1 }
\&app;
"#;

pub struct Site(pub Server);

/// A worker as the status has it.
pub struct Worker {
    pub pid: Pid,
    pub connections: usize,
}

impl Site {
    pub fn start(options: &[&str]) -> Self {
        let workers = WORKERS.to_string();
        let common = ["-E", "none", "--no-access-log", "--workers", &workers];
        let site = Self(Setup::perl(APP).args(common).args(options).start());
        while site.ready().len() < WORKERS as usize {
            std::thread::sleep(Duration::from_millis(20));
        }
        site
    }

    /// Runs `pagictl`, and panics when it fails.
    pub fn control(&self, arguments: &[&str]) {
        let mut command = Command::new(pagictl_binary());
        command.arg("--socket").arg(self.0.control_socket()).args(arguments);
        let output = command.output().expect("pagictl can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pagictl {arguments:?}: {said}\n{}", self.0.log());
    }

    /// The workers that are ready.
    pub fn ready(&self) -> Vec<Worker> {
        let mut command = Command::new(pagictl_binary());
        let output = command.arg("--socket").arg(self.0.control_socket()).args(["status", "--json"]).output();
        let output = output.expect("pagictl can be started");
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let workers = status["workers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ready = workers.iter().filter(|worker| worker["state"] == "ready");
        let number = |worker: &serde_json::Value, key: &str| worker[key].as_i64();
        ready
            .filter_map(|worker| {
                let pid = Pid::from_raw(i32::try_from(number(worker, "pid")?).ok()?);
                Some(Worker { pid, connections: usize::try_from(number(worker, "connections")?).ok()? })
            })
            .collect()
    }
}

impl Worker {
    /// Sends it a signal; tells whether it was still there.
    pub fn signal(&self, signal: Signal) -> bool {
        kill(self.pid, signal).is_ok()
    }
}
