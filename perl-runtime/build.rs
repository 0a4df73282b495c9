//! Compiles the shim against the libperl of the machine and links the binary so that XS modules find libperl in it.

use std::process::Command;

fn embed(what: &str) -> String {
    let output = Command::new("perl")
        .args(["-MExtUtils::Embed", "-e", what])
        .output()
        .unwrap_or_else(|error| panic!("cannot run perl ({error}); install perl and libperl-dev"));
    assert!(output.status.success(), "perl -MExtUtils::Embed -e {what} failed; install libperl-dev");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn main() {
    println!("cargo::rerun-if-changed=shim");
    let mut build = cc::Build::new();
    for flag in embed("ccopts").split_whitespace() {
        build.flag(flag);
    }
    // The Perl headers are full of what -Wextra dislikes.
    build
        .file("shim/await.c")
        .file("shim/bridge.c")
        .file("shim/signal.c")
        .file("shim/slow.c")
        .file("shim/stack.c")
        .file("shim/stderr.c")
        .warnings(false)
        .flag("-Wall")
        .flag("-Wno-unused-value")
        .compile("pagi_bridge");

    for flag in embed("ldopts").split_whitespace() {
        if let Some(library) = flag.strip_prefix("-l") {
            println!("cargo::rustc-link-lib=dylib={library}");
        } else if let Some(directory) = flag.strip_prefix("-L") {
            println!("cargo::rustc-link-search=native={directory}");
        }
    }
}
