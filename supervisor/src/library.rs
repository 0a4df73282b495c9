//! Where the shipped Perl library is.

use std::path::PathBuf;

/// Names the directory instead of having it looked for.
const VARIABLE: &str = "PAGI_PERL_LIB";
/// Where packages install it, seen from the directory of the binary.
const INSTALLED: &str = "../share/pagi/perl";
/// Where it is in a source tree. A package is built with `PAGI_PACKAGED_LIB` set to the place it installs to: its binary
/// names no directory of the machine it was built on, and never reads code from there.
const SOURCE: &str = match option_env!("PAGI_PACKAGED_LIB") {
    Some(directory) => directory,
    None => concat!(env!("CARGO_MANIFEST_DIR"), "/../perl-runtime/lib"),
};

/// Finds the directory to put into `@INC`: `$PAGI_PERL_LIB`, beside the installed binary, or where the binary was built to
/// find it (the source tree, or the directory a package installs to).
///
/// # Errors
/// Says where it was looked for.
pub fn directory() -> Result<PathBuf, String> {
    if let Some(directory) = std::env::var_os(VARIABLE) {
        return Ok(PathBuf::from(directory));
    }
    let installed = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(INSTALLED)));
    let candidates: Vec<PathBuf> = installed.into_iter().chain([PathBuf::from(SOURCE)]).collect();
    candidates.iter().find(|candidate| candidate.is_dir()).cloned().ok_or_else(|| {
        let looked: Vec<String> = candidates.iter().map(|candidate| candidate.display().to_string()).collect();
        format!("Cannot find PAGI's Perl library in {}; set {VARIABLE} to its directory", looked.join(" or "))
    })
}
