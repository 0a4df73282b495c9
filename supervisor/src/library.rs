//! Where the shipped Perl library is.

use std::path::PathBuf;

/// Names the directory instead of having it looked for.
const VARIABLE: &str = "PAGI_PERL_LIB";
/// Where packages install it, seen from the directory of the binary.
const INSTALLED: &str = "../share/pagi/perl";
/// Where it is in a source tree.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../perl-runtime/lib");

/// Finds the directory to put into `@INC`: `$PAGI_PERL_LIB`, beside the installed binary, or in the source tree the
/// binary was built from.
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
