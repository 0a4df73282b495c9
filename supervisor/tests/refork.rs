//! A worker that has served becomes the mold: later workers share what it has in memory.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::load::Load;
use common::{PATIENCE, Server, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Fills a cache of 24 MB when asked to, and notes its lifespan events.
const APP: &str = r#"
use strict; use warnings; use Future::AsyncAwait; use Future::IO;
my $cache = '';
my $random = rand;
sub note { open my $notes, '>>', 'notes' or die; syswrite $notes, "$_[0]\n" }
sub fill { $cache .= 'x' x 1000 for 1 .. 24_000 }
async sub app {
    my ($scope, $receive, $send) = @_;
    if ($scope->{type} eq 'lifespan') {
        while (1) {
            my $event = await $receive->();
            note("$$ $event->{type}");
            my ($kind) = $event->{type} =~ /(\w+)$/;
            await $send->({ type => "lifespan.$kind.complete" });
            return if $kind eq 'shutdown';
        }
    }
    my $path = $scope->{path};
    if ($path eq '/fill' && !length $cache) { fill() }
    if ($path eq '/block') { sleep 3600 }
    await Future::IO->sleep($path =~ m{^/sleep/(\S+)} ? $1 : 0.005);
    my $body = $path eq '/random' ? "answer $$ " . rand : "answer $$ " . length $cache;
    await $send->({ type => 'http.response.start', status => 200,
        headers => [['content-type', 'text/plain'], ['content-length', length $body]] });
    await $send->({ type => 'http.response.body', body => $body });
}
\&app;
"#;

fn start(arguments: &[&str]) -> Server {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("app.pl"), APP).unwrap();
    let server = Server::start_in(directory, &[arguments, &["./app.pl"]].concat());
    let workers = arguments.iter().skip_while(|word| **word != "-w").nth(1).unwrap().parse().unwrap();
    server.wait_for_several("is ready", workers);
    server
}

/// Asks until so many different workers have answered, and returns what they said last.
fn ask_all(server: &Server, path: &str, workers: usize) -> Vec<String> {
    let mut answers = std::collections::BTreeMap::new();
    eventually("every worker answers", PATIENCE, || {
        let answer = server.get(path).unwrap();
        let mut words = answer.split(' ').skip(1);
        answers.insert(words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        answers.len() >= workers
    });
    answers.into_values().collect()
}

/// Memory in KiB that a process does not share with any other.
fn private_kib(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let value = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    value("Private_Dirty:") + value("Private_Clean:")
}

fn notes(server: &Server) -> String {
    std::fs::read_to_string(server.directory.path().join("notes")).unwrap()
}

fn has_only(server: &Server, workers: usize, generation: u32) -> bool {
    let family = server.family();
    family.len() == workers + 1 && family.iter().all(|process| process.title.ends_with(&format!("gen {generation}")))
}

fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn later_workers_share_the_memory_of_the_one_that_served() {
    let server = start(&["-w", "3"]);
    ask_all(&server, "/fill", 3);
    let separate = server.workers().iter().map(|worker| private_kib(worker.pid)).min().unwrap();
    assert!(separate > 24_000_000 / 1024, "each worker has a cache of its own: {separate} KiB");
    let (code, text) = server.pagictl(&["refork"]);
    assert_eq!((code, text.as_str()), (0, "Generation 2 serves\n"), "{}", server.log());
    eventually("only the new generation is left", PATIENCE, || has_only(&server, 3, 2));
    assert!(ask_all(&server, "/", 3).iter().all(|length| length == "24000000"), "the cache is there");
    let shared = server.workers().iter().map(|worker| private_kib(worker.pid)).max().unwrap();
    assert!(shared < separate / 3, "{shared} KiB instead of {separate} KiB are a worker's own");
    let random: BTreeSet<String> = ask_all(&server, "/random", 3).into_iter().collect();
    assert_eq!(random.len(), 3, "random numbers differ between workers");
}

#[test]
fn reforks_under_load_lose_nothing_and_can_be_repeated() {
    let server = start(&["-w", "3"]);
    let load = Load::start(server.port(), 6);
    load.wait_for_more(100);
    let count = |server: &Server| {
        let worker = server.workers().into_iter().find(|worker| worker.title.contains("worker 1 "));
        worker.map_or(0, |worker| descriptors(worker.pid))
    };
    let mut open = Vec::new();
    for round in 2..7 {
        let (code, text) = server.pagictl(&["refork"]);
        assert_eq!((code, text), (0, format!("Generation {round} serves\n")), "{}", server.log());
        load.wait_for_more(50);
        eventually("only the new generation is left", PATIENCE, || has_only(&server, 3, round));
        open.push(count(&server));
    }
    assert_eq!(server.pagictl(&["scale", "5"]).0, 0);
    assert_eq!(server.pagictl(&["restart"]).0, 0);
    assert_eq!(server.pagictl(&["reload"]), (0, "Generation 7 serves\n".to_owned()));
    let tally = load.finish();
    assert_eq!(tally.failed(), 0, "{tally:?}\n{}", server.log());
    assert!(tally.answered.load(Ordering::SeqCst) > 300);
    eventually("only the new generation is left", PATIENCE, || has_only(&server, 5, 7));
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    // Connections come and go, but nothing piles up.
    assert!(open.iter().max().unwrap() - open.iter().min().unwrap() < 12, "descriptors of a worker: {open:?}");
}

#[test]
fn lifespan_runs_in_full_before_and_after() {
    let mut server = start(&["-w", "2"]);
    assert_eq!(server.pagictl(&["refork"]).0, 0);
    eventually("only the new generation is left", PATIENCE, || has_only(&server, 2, 2));
    let family = server.family();
    let mold = family.iter().find(|process| process.title.contains("mold")).unwrap().pid;
    let events = notes(&server);
    let of =
        |pid: i32| -> Vec<&str> { events.lines().filter_map(|line| line.strip_prefix(&format!("{pid} "))).collect() };
    assert_eq!(of(mold), ["lifespan.startup", "lifespan.shutdown"], "the mold has served and has finished");
    for worker in server.workers() {
        assert_eq!(of(worker.pid), ["lifespan.startup"]);
    }
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait(PATIENCE), Some(0));
    let events = notes(&server);
    let count = |event: &str| events.lines().filter(|line| line.ends_with(event)).count();
    assert_eq!(count("lifespan.startup"), count("lifespan.shutdown"), "{events}");
}

#[test]
fn a_worker_is_reforked_by_itself_once_it_is_warm() {
    let server = start(&["-w", "2", "--refork-after", "40"]);
    let load = Load::start(server.port(), 4);
    server.wait_for("Generation 2 serves");
    load.wait_for_more(100);
    assert_eq!(server.pagictl(&["reload"]), (0, "Generation 3 serves\n".to_owned()), "once for each copy of the code");
    server.wait_for("Generation 4 serves");
    load.wait_for_more(100);
    assert_eq!(load.finish().failed(), 0, "{}", server.log());
    eventually("only the last generation is left", PATIENCE, || has_only(&server, 2, 4));
}

#[test]
fn what_cannot_become_a_mold_changes_nothing() {
    let server = start(&["-w", "2"]);
    let port = server.port();
    // It is told to become the mold, and does not finish in time.
    let slow = std::thread::spawn(move || common::get(port, "/sleep/2"));
    eventually("the slow request is under way", PATIENCE, || {
        server.pagictl(&["status", "--json"]).1.contains("\"active\": 1")
    });
    let busy = {
        let text = server.pagictl(&["status", "--json"]).1;
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        let workers = status["workers"].as_array().unwrap().clone();
        workers.iter().find(|worker| worker["active"] == 1).unwrap()["pid"].as_i64().unwrap()
    };
    let busy = i32::try_from(busy).unwrap();
    std::thread::scope(|scope| {
        let refork = scope.spawn(|| server.pagictl(&["refork"]));
        server.wait_for("finishes ");
        // Whichever was chosen: all of the first generation that drain are killed.
        let draining = server.wait_for("becomes the mold of generation 2");
        let num = draining.split("Worker ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let title = format!("worker {num} gen 1");
        for worker in server.workers().iter().filter(|worker| worker.title.ends_with(&title)) {
            let _ = kill(Pid::from_raw(worker.pid), Signal::SIGSTOP);
            let _ = kill(Pid::from_raw(worker.pid), Signal::SIGKILL);
        }
        let (code, text) = refork.join().unwrap();
        if code == 0 {
            // It had become the mold already, and another was started in its place.
            assert_eq!(text, "Generation 2 serves\n");
        } else {
            assert!(text.starts_with("Refork failed, the previous code serves on: "), "{text}");
        }
    });
    let _ = slow.join();
    eventually("two workers serve", PATIENCE, || server.workers().len() == 2);
    assert!(common::get(port, "/").is_ok());
    eventually("the busy worker is gone or serves", Duration::from_secs(10), || {
        !common::is_alive(busy) || server.workers().iter().any(|worker| worker.pid == busy)
    });
    let (code, text) = server.pagictl(&["refork"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn threads_of_the_application_are_a_reason_not_to() {
    let directory = tempfile::tempdir().unwrap();
    let threads = "use threads; my $started; ";
    let app = APP.replace(
        "if ($path eq '/fill'",
        "threads->create(sub { sleep 3600 })->detach unless $started++; if ($path eq '/fill'",
    );
    std::fs::write(directory.path().join("app.pl"), threads.to_owned() + &app).unwrap();
    let server = Server::start_in(directory, &["-w", "2", "./app.pl"]);
    server.wait_for_several("is ready", 2);
    ask_all(&server, "/", 2);
    let (code, text) = server.pagictl(&["refork"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("the application has started threads (1 beside its own)"), "{text}");
    eventually("generation 1 serves on", PATIENCE, || has_only(&server, 2, 1));
    server.get("/").unwrap();
}

#[test]
fn servers_without_a_mold_say_why_not() {
    let server = start(&["-w", "2", "--no-preload"]);
    let (code, text) = server.pagictl(&["refork"]);
    assert_eq!((code, text.contains("--no-preload")), (1, true), "{text}");
    let single = Server::start(&["-e", common::APP]);
    let (code, text) = single.pagictl(&["refork"]);
    assert_eq!((code, text.contains("start it with --workers 2 or more")), (1, true), "{text}");
}
