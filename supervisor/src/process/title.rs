//! The process title: what `ps` shows instead of the command line.
//!
//! The kernel shows the memory that held the arguments at start-up; overwriting it changes the title and nothing else.
//! The environment behind it is left alone, because Perl and libc keep pointers into it, so a title is cut to the
//! length of the original command line.

use std::sync::OnceLock;

/// Start and length of the memory that held the arguments.
static AREA: OnceLock<Option<(usize, usize)>> = OnceLock::new();

/// Sets the title, and the short name that `top` and `pgrep` use (15 bytes are kept).
pub fn set(title: &str, short: &std::ffi::CStr) {
    // Purely cosmetic: a failure is no reason to do anything else.
    let _ = nix::sys::prctl::set_name(short);
    let Some((start, length)) = *AREA.get_or_init(find_area) else { return };
    let shown = title.as_bytes();
    // The last byte stays zero: otherwise the kernel goes on reading into the environment.
    let shown = &shown[..shown.len().min(length.saturating_sub(1))];
    let area = start as *mut u8;
    // SAFETY: the kernel put the argument strings there, private and writable, for the life of the process; the copy
    // stays within them. The strings stay zero-terminated for whoever reads argv, and no reference to them is alive:
    // std and clap own copies of the arguments.
    unsafe {
        std::ptr::write_bytes(area, 0, length);
        std::ptr::copy_nonoverlapping(shown.as_ptr(), area, shown.len());
    }
}

/// Fields 48 and 49 of /proc/self/stat, see proc_pid_stat(5).
fn find_area() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses that may itself hold spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(48 - 3);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    (start != 0 && end > start).then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    #[test]
    fn area_holds_our_arguments() {
        let (_, length) = super::find_area().unwrap();
        let arguments: usize = std::env::args_os().map(|argument| argument.len() + 1).sum();
        assert_eq!(length, arguments);
    }
}
