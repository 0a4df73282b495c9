//! Other processes, as /proc shows them.

use std::fs;

use nix::unistd::Pid;

/// What is worth knowing about a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: Pid,
    /// Its parent.
    pub parent: Pid,
    /// Its process group.
    pub group: Pid,
    /// The title that `ps` shows.
    pub title: String,
}

impl Process {
    /// Looks a process up; `None` when it does not exist or is a zombie.
    pub fn find(pid: Pid) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold anything; state, parent and group follow.
        let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        if matches!(state, "Z" | "X") {
            return None;
        }
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let title = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
        Some(Self { pid, parent: Pid::from_raw(parent), group: Pid::from_raw(group), title })
    }

    /// Memory it occupies, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    }
}

/// All living processes.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Process::find(Pid::from_raw(pid))).collect()
}

/// The living processes of a group.
pub fn group(group: Pid) -> Vec<Process> {
    all().into_iter().filter(|process| process.group == group).collect()
}

/// Whether a process lives.
pub fn lives(pid: Pid) -> bool {
    Process::find(pid).is_some()
}
