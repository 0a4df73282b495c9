//! How much memory a process uses.

/// Resident memory in bytes, pages shared with other processes included; `None` when the process is gone.
#[must_use]
pub fn resident(pid: i32) -> Option<u64> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The same of this process.
#[must_use]
pub fn own() -> Option<u64> {
    resident(nix::unistd::getpid().as_raw())
}

/// The line `VmRSS:     1234 kB` of proc_pid_status(5).
fn parse(status: &str) -> Option<u64> {
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    kilobytes.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(resident(own).unwrap() > 100_000 && super::own().is_some());
        assert_eq!(resident(-1), None);
        assert_eq!(parse("Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t1\n"), Some(1234 * 1024));
        assert_eq!(parse("Name:\tzombie\n"), None);
    }
}
