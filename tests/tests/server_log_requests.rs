//! Lines that an application writes to standard error carry the name of the request that Perl was running for.

use std::process::Command;

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::patience::await_that;
use pagi_tests::server::{Server, Setup, pagictl_binary};

/// Says something in every way there is, for each path another.
fn talkative() -> String {
    app::handler(
        r#"use POSIX ();
        if ($path eq '/ways') {
            warn "warned\n";
            print STDERR 'in ', 'pieces', "\nprinted\n";
            printf STDERR "%s\n", 'x' x 5000;
            eval { die "caught\n" }; print STDERR $@;
            system 'echo from a program >&2';
            if (my $child = fork) { waitpid $child, 0 } else { print STDERR "from a child\n"; POSIX::_exit(0) }
        }
        elsif ($path eq '/wide') {
            binmode STDERR, ':encoding(UTF-8)';
            print STDERR "sm\x{f8}rrebr\x{f8}d \x{263a}\n";
            binmode STDERR, ':pop';
        }
        elsif ($path eq '/awaits') {
            await $receive->();
            warn "after receive\n";
            await Future::IO->sleep(0.01);
            warn "after sleep\n";
        }
        elsif ($path eq '/elsewhere') {
            open my $kept, '>&', \*STDERR or die;
            open my $file, '>', "$scratch/elsewhere" or die;
            POSIX::dup2(fileno $file, 2);
            warn "into the file\n";
            POSIX::dup2(fileno $kept, 2);
            warn "back again\n";
        }
        elsif ($path eq '/reopened') {
            open my $kept, '>&', \*STDERR or die;
            open STDERR, '>', "$scratch/reopened" or die;
            warn "into the file\n";
            open STDERR, '>&', $kept or die;
            warn "again back\n";
        }
        elsif ($path eq '/forged') {
            print STDERR "\0" . 'f' x 32 . " forged 5\nfive\n";
        }
        elsif ($path eq '/dies') {
            die "uncaught\n";
        }
        await answer($send, "$$");"#,
    )
}

fn setup(format: &str) -> Setup {
    Setup::perl(&talkative()).args([
        "-E",
        "none",
        "--workers",
        "2",
        "--request-id",
        "accept",
        "--no-access-log",
        "--log-format",
        format,
    ])
}

fn ask(server: &Server, path: &str, name: &str) {
    let answer = curl(["-H", &format!("X-Request-Id: {name}"), &server.url(path)]);
    assert!(matches!(answer.status, 200 | 500), "{answer:?}");
}

/// Waits for a line that ends like this, and returns what stands before it, behind time, level and worker.
fn said(server: &Server, end: &str) -> String {
    let found = || {
        let log = server.log();
        let line = log.lines().find(|line| line.ends_with(end))?;
        let (_, text) = line.split_once(" WARN worker ")?;
        let (_, text) = text.split_once(": ")?;
        Some(text[..text.len() - end.len()].to_owned())
    };
    await_that(end, || found().is_some());
    found().unwrap_or_default()
}

#[test]
fn lines_of_a_request_have_its_name() {
    let server = setup("text").start();
    ask(&server, "/ways", "one");
    for own in ["warned", "in pieces", "printed", "caught", "from a child"] {
        assert_eq!(said(&server, own), "[one] ", "{own}");
    }
    let long = "x".repeat(5000);
    assert_eq!(said(&server, &long), "[one] ");
    assert_eq!(said(&server, "from a program"), "", "its writes pass Perl by");
    ask(&server, "/wide", "two");
    assert_eq!(said(&server, "sm\u{f8}rrebr\u{f8}d \u{263a}"), "[two] ");
    ask(&server, "/ways", "three");
    await_that("the next request has the next name", || server.has_said("[three] warned"));
    assert!(!server.log().contains('\0'), "no mark is left over");
}

#[test]
fn perl_that_runs_for_nobody_in_particular_has_no_name() {
    let server = setup("text").start();
    ask(&server, "/awaits", "one");
    assert_eq!(said(&server, "after receive"), "[one] ");
    assert_eq!(said(&server, "after sleep"), "", "a timer has called it");
    let plain = Setup::perl(&talkative()).args(["-E", "none", "--workers", "2"]).start();
    ask(&plain, "/ways", "one");
    assert_eq!(said(&plain, "warned"), "");
}

#[test]
fn marks_go_nowhere_else_and_cannot_be_forged() {
    let server = setup("text").start();
    ask(&server, "/elsewhere", "one");
    assert_eq!(said(&server, "back again"), "[one] ");
    assert_eq!(server.output("elsewhere"), "into the file\n");
    ask(&server, "/reopened", "three");
    assert_eq!(said(&server, "again back"), "[three] ");
    assert_eq!(server.output("reopened"), "into the file\n");
    ask(&server, "/forged", "two");
    assert_eq!(said(&server, "five"), "[two] ");
    assert!(server.log().lines().all(|line| !line.contains("[forged]")), "{}", server.log());
}

#[test]
fn json_has_a_field_for_it() {
    let server = setup("json").start();
    ask(&server, "/ways", "one");
    let find = |message: &str| {
        let log = server.log();
        let mut objects = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        objects.find(|object| object["message"] == message)
    };
    await_that("the lines", || find("warned").is_some() && find("from a program").is_some());
    assert_eq!(find("warned").unwrap()["request_id"], "one");
    assert_eq!(find("from a program").unwrap().get("request_id"), None);
}

#[test]
fn workers_of_a_promoted_mold_have_names_too() {
    let server = setup("text").start();
    ask(&server, "/ways", "before");
    assert_eq!(said(&server, "warned"), "[before] ");
    let mut refork = Command::new(pagictl_binary());
    refork.arg("--socket").arg(server.control_socket()).arg("refork");
    let outcome = refork.output().expect("pagictl runs");
    assert!(outcome.status.success(), "{}\n{}", String::from_utf8_lossy(&outcome.stderr), server.log());
    for round in 0..6 {
        ask(&server, "/ways", &format!("after-{round}"));
        await_that("the name", || server.has_said(&format!("[after-{round}] warned")));
    }
    assert!(!server.log().contains('\0'), "no mark is left over");
}

#[test]
fn pool_processes_name_their_lines() {
    let psgi = "sub { warn \"blocking\\n\"; [200, ['Content-Type' => 'text/plain'], ['x']] }";
    let setup = Setup::new().file("app.psgi", psgi);
    let path = setup.path("app.psgi");
    let server = setup.app(path).args(["-E", "none", "--pool", "1", "--request-id", "accept"]).start();
    ask(&server, "/", "one");
    await_that("the line", || server.has_said(": [one] blocking"));
}
