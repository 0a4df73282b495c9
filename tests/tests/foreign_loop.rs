//! `--loop NAME`: another event loop drives the worker (IOA-5, IOA-7), and everything works on it as on the native one.

use std::thread;
use std::time::Duration;

use pagi_tests::app;
use pagi_tests::load;
use pagi_tests::process;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

/// Loops that Debian has.
const LOOPS: [&str; 5] = ["EPoll", "Epoll", "Poll", "Select", "EV"];

fn get(server: &Server, path: &str) -> String {
    let response = load::get(server.address(), path).unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    response.text().to_owned()
}

#[test]
fn ioa_5_the_chosen_loop_turns_and_serves() {
    let text = app::handler(
        "use IO::Async::Loop;
        my $loop = IO::Async::Loop->new;
        await $loop->delay_future(after => 0.02);
        await Future::IO->sleep(0.02);
        my $later = $loop->new_future;
        $loop->later(sub { $later->done });
        await $later;
        await answer($send, join ' ', ref $loop, map { $_->isa('IO::Async::Loop::Epoll') ? 'epoll' : () } $loop);",
    );
    for (name, class) in [
        ("EPoll", "PAGI::Native::ForeignLoop::Epoll epoll"),
        ("Poll", "PAGI::Native::ForeignLoop::Poll"),
        ("Select", "PAGI::Native::ForeignLoop::Select"),
        ("EV", "PAGI::Native::IOAsyncLoop"),
        ("auto", "PAGI::Native::IOAsyncLoop"),
    ] {
        for workers in [0, 2] {
            let mut server = Setup::perl(&text).workers(workers).arg("--loop").arg(name).start();
            (0..3).for_each(|_| assert_eq!(get(&server, "/"), class, "{name}"));
            assert!(server.stop().success(), "{name}: {}", server.log());
        }
    }
}

#[test]
fn ioa_2_all_libraries_work_on_a_foreign_loop() {
    let text = app::handler(
        "use IO::Async::Loop; use Mojo::Promise; use AnyEvent;
        my $event = Future->new;
        my $timer = AnyEvent->timer(after => 0.02, cb => sub { $event->done('AnyEvent') });
        my @all = await Future->needs_all(
            Future::IO->sleep(0.02)->then_done('Future::IO'),
            IO::Async::Loop->new->delay_future(after => 0.02)->then_done('IO::Async'),
            (async sub { return await Mojo::Promise->timer(0.02, 'Mojo') })->(),
            $event,
        );
        my $child = fork // die;
        POSIX::_exit(5) if !$child;
        my $status = await Future::IO->waitpid($child);
        await answer($send, join ' ', @all, $status >> 8);",
    )
    .replace("use Future::IO;", "use Future::IO; use POSIX ();");
    for name in LOOPS {
        let server = Setup::perl(&text).arg("--loop").arg(name).start();
        (0..3).for_each(|_| assert_eq!(get(&server, "/"), "Future::IO IO::Async Mojo AnyEvent 5", "{name}"));
    }
}

#[test]
fn get_in_a_handler_serves_others_on_a_foreign_loop() {
    let text = app::handler(
        "use IO::Async::Loop;
        if ($path eq '/get') { note('waiting'); Future::IO->sleep(4)->get; note('over') }
        if ($path eq '/loop') { note('waiting'); IO::Async::Loop->new->delay_future(after => 4)->get; note('over') }
        if ($path eq '/ev') { note('waiting'); my $t = EV::timer(4, 0, sub { EV::break() }); EV::run(); note('over') }
        await answer($send, $path);",
    );
    for (name, path) in
        [("Epoll", "/get"), ("Epoll", "/loop"), ("Select", "/get"), ("Poll", "/loop"), ("EV", "/get"), ("EV", "/ev")]
    {
        let server = Setup::perl(&text).arg("--loop").arg(name).start();
        let mut waiting = Raw::connect(server.address());
        waiting.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        server.wait_for_text("notes", "waiting");
        (0..3).for_each(|_| assert_eq!(get(&server, "/meanwhile"), "/meanwhile", "{name} {path}"));
        assert!(!server.output("notes").contains("over"), "{name} {path}: others were served in the meantime");
        assert_eq!(waiting.response("GET").text(), path, "{name}");
    }
}

#[test]
fn timeouts_of_connections_are_kept_on_a_foreign_loop() {
    for name in ["Epoll", "EV"] {
        let server = Setup::perl(&app::handler("await answer($send, 'x');"))
            .args(["--loop", name, "--header-timeout", "1"])
            .start();
        let mut slow = Raw::connect(server.address());
        slow.send("GET / HT");
        slow.read_until_contains("408");
    }
}

#[test]
fn bind_6_a_foreign_loop_sleeps_while_nothing_happens() {
    for name in ["Epoll", "EV"] {
        let server = Setup::perl(&app::handler("await answer($send, 'x');")).arg("--loop").arg(name).start();
        assert_eq!(get(&server, "/"), "x");
        let used = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("it lives");
            let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
            fields[11].parse::<u64>().expect("user time") + fields[12].parse::<u64>().expect("system time")
        };
        thread::sleep(Duration::from_millis(500));
        let before = used();
        thread::sleep(Duration::from_secs(3));
        let spent = used() - before;
        assert!(spent <= 6, "{name}: {spent} hundredths of a second of processor time in 3 s");
    }
}

#[test]
fn ioa_7_bad_names_and_loops_that_are_not_installed_are_refused() {
    let bad = Setup::perl("sub {}").args(["--loop", "no/loop"]).run();
    assert_eq!(bad.code(), 2, "{bad:?}");
    bad.assert_says("Invalid loop_type 'no/loop'");
    for workers in [0, 2] {
        let missing = Setup::perl("sub {}").workers(workers).args(["--loop", "NoSuchLoop"]).run();
        assert_ne!(missing.code(), 0, "{missing:?}");
        missing.assert_says("Cannot load loop backend 'NoSuchLoop'");
        missing.assert_says("IO::Async::Loop::NoSuchLoop");
    }
}

/// libev makes its epoll set when EV is loaded, in the mold, and does not notice forks. A set that workers shared would tell
/// each of them of the others' descriptors, which libev looks up in a table of its own, without bounds.
#[test]
fn ioa_5_workers_share_no_epoll_set_of_ev() {
    let text = app::handler("use EV; await answer($send, 'x');");
    let server = Setup::perl(&text).workers(2).args(["--loop", "EV"]).start();
    let group = process::group(server.pid());
    let mold = group.iter().find(|process| process.title.starts_with("pagi-server: mold")).expect("there is a mold");
    let entries = std::fs::read_dir(format!("/proc/{}/fdinfo", mold.pid)).expect("the mold lives");
    let information: Vec<String> =
        entries.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect();
    // The mold turns no loop: whatever is watched by a set of its own was put there by a worker.
    let watched: Vec<&str> =
        information.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("tfd:")).collect();
    assert!(watched.is_empty(), "{watched:?}");
}
