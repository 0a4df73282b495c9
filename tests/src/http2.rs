//! Python's `h2` as a client: scripts that use `tests/python/h2lab.py`.

use std::path::PathBuf;
use std::process::Command;

use crate::lab::Lab;

/// Runs a script against a lab and returns what it prints; panics when it fails.
#[track_caller]
pub fn python(lab: &Lab, script: &str) -> String {
    let library = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python");
    // The one that has the Debian packages, whatever else is installed.
    let mut command = Command::new("/usr/bin/python3");
    if lab.server.has_said("listening on https://") {
        command.env("TLS", "1");
    }
    let output = command
        .arg("-B")
        .arg("-c")
        .arg(format!("from h2lab import *\n{}", dedent(script)))
        .env("PYTHONPATH", library)
        .env("PORT", lab.address().port().to_string())
        .env("NOTES", lab.server.path("notes"))
        .output()
        .expect("python3 is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the script fails:\n{said}\nscript:\n{script}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Scripts are indented as the test around them is; Python wants them flush.
fn dedent(text: &str) -> String {
    let blank = |line: &str| line.trim().is_empty();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let common = text.lines().filter(|line| !blank(line)).map(indent).min().unwrap_or(0);
    let lines: Vec<&str> = text.lines().map(|line| if blank(line) { "" } else { &line[common..] }).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::dedent;

    #[test]
    fn scripts_are_moved_to_the_margin() {
        assert_eq!(dedent("\n    if x:\n\n        y\n    z\n"), "\nif x:\n\n    y\nz");
    }
}
