//! Chromium as a client: see `tests/browser/README.md`.

use std::path::PathBuf;
use std::process::Command;

/// Drives a browser through a scenario of `tests/browser/scenarios`, named without `.py`; panics when it fails.
#[track_caller]
pub fn browse(scenario: &str, url: &str, arguments: &[&str]) {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("browser/run");
    let mut command = Command::new(program);
    let output = command.arg(scenario).arg(url).args(arguments).output().expect("python3 is installed");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "scenario {scenario} fails:\n{}", String::from_utf8_lossy(&said));
}
