//! Child processes of every kind that handlers make, while the server is under load: no request fails, nothing leaks, no
//! child answers a client or disturbs its parent's loop (BIND-4).

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::unistd::Pid;
use pagi_tests::app;
use pagi_tests::load;
use pagi_tests::patience::{PATIENCE, await_that, poll};
use pagi_tests::process;
use pagi_tests::server::{Server, Setup};

/// Ways to run something in a child process. Each ends with $text set to 'ok' when the child did as it should.
const WAYS: [(&str, &str); 12] = [
    ("system", "$text = system('sh', '-c', 'exit 3') == 3 << 8 ? 'ok' : qq{status $?};"),
    ("backticks", "$text = `echo ok`; chomp $text;"),
    ("pipe-open", "open my $child, '-|', 'echo ok' or die; $text = readline $child; chomp $text; close $child;"),
    (
        "pipe-open-fork",
        "my $pid = open(my $child, '-|') // die;
        if (!$pid) { print 'ok'; exit 0 }
        $text = readline $child; close $child;",
    ),
    (
        "fork-exit",
        "my $pid = fork // die;
        if (!$pid) { exit 7 }
        my $status = await Future::IO->waitpid($pid);
        $text = $status == 7 << 8 ? 'ok' : $status;",
    ),
    (
        "fork-return",
        // The child comes back from the handler as if it were the parent: it must not answer.
        "my $pid = fork // die;
        if (!$pid) { await answer($send, 'from the child'); return }
        my $status = await Future::IO->waitpid($pid);
        $text = 'ok';",
    ),
    (
        "fork-loop",
        // The child uses a loop of its own: none of the parent's timers and watches may run in it.
        "my ($here, $foreign) = ($$, 0);
        my $timer = AnyEvent->timer(after => 0, interval => 0.002, cb => sub { $foreign++ if $$ != $here });
        my $pid = fork // die;
        if (!$pid) { Future::IO->sleep(0.03)->get; POSIX::_exit($foreign ? 1 : 9) }
        my $status = await Future::IO->waitpid($pid);
        $text = $status == 9 << 8 ? 'ok' : $status;",
    ),
    (
        "fork-exec",
        "my $pid = fork // die;
        if (!$pid) { exec 'sh', '-c', 'exit 4' or die }
        my $status = await Future::IO->waitpid($pid);
        $text = $status == 4 << 8 ? 'ok' : $status;",
    ),
    (
        "io-async-process",
        "my ($status, $output) = await IO::Async::Loop->new->run_process(command => [ 'sh', '-c', 'echo ok; exit 4' ],
            capture => [ 'exitcode', 'stdout' ]);
        chomp $output;
        $text = $status == 4 << 8 ? $output : $status;",
    ),
    (
        "fork-manager",
        "my $manager = Parallel::ForkManager->new(2);
        my $ended = 0;
        $manager->run_on_finish(sub { $ended += $_[1] });
        for my $status (1 .. 3) { $manager->start and next; $manager->finish($status) }
        $manager->wait_all_children;
        $text = $ended == 6 ? 'ok' : $ended;",
    ),
    ("mojo-subprocess", "$text = await Mojo::IOLoop->subprocess->run_p(sub { 'ok' });"),
    (
        "anyevent-child",
        "my $ended = Future->new;
        my $pid = fork // die;
        if (!$pid) { POSIX::_exit(8) }
        my $watcher = AnyEvent->child(pid => $pid, cb => sub { $ended->done($_[1] >> 8) });
        my $status = await $ended;
        $text = $status == 8 ? 'ok' : $status;",
    ),
];

fn application() -> String {
    let branches: Vec<String> =
        WAYS.iter().map(|(name, code)| format!("if ($path eq '/{name}') {{ {code} }}")).collect();
    app::handler(&format!(
        "my $text = 'served';
        {}
        await answer($send, $text);",
        branches.join("\nels")
    ))
    .replace(
        "\\&application;",
        "use POSIX ();
        use IO::Async::Loop; use IO::Async::Process;
        use Parallel::ForkManager; use Mojo::IOLoop; use AnyEvent;
        \\&application;",
    )
}

fn descriptors(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").count()
}

/// Runs one way many times while other requests are served; none may fail.
fn under_load(server: &Server, way: &str) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let others: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut served = 0;
                    while !done.load(Ordering::Relaxed) {
                        let response =
                            load::get(server.address(), "/others").unwrap_or_else(|error| panic!("{way}: {error}"));
                        assert_eq!(response.text(), "served", "{way}");
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        let forking: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let response = load::get(server.address(), &format!("/{way}"))
                            .unwrap_or_else(|error| panic!("{way}: {error}\n{}", server.log()));
                        assert_eq!(response.text(), "ok", "{way}\n{}", server.log());
                    }
                })
            })
            .collect();
        let results: Vec<_> = forking.into_iter().map(|thread| thread.join()).collect();
        done.store(true, Ordering::Relaxed);
        for result in results {
            result.expect("no request fails");
        }
        let served: usize = others.into_iter().map(|thread| thread.join().expect("no request fails")).sum();
        assert!(served > 0, "{way}: nobody else was served");
    });
}

#[test]
fn bind_4_children_of_every_kind_under_load() {
    for workers in [0, 2] {
        let server = Setup::perl(&application()).workers(workers).start();
        let pids = || -> Vec<Pid> {
            let all: Vec<_> = process::group(server.pid());
            all.iter().map(|process| process.pid).collect()
        };
        // Libraries open what they keep (a signal pipe, say) on first use.
        for (way, _) in WAYS {
            for _ in 0..2 * workers.max(1) {
                assert_eq!(load::get(server.address(), &format!("/{way}")).expect("an answer").text(), "ok", "{way}");
            }
        }
        let before: Vec<(Pid, usize)> = pids().into_iter().map(|pid| (pid, descriptors(pid))).collect();
        for (way, _) in WAYS {
            under_load(&server, way);
        }
        await_that("only the server's own processes", || pids().len() == before.len());
        for (pid, count) in before {
            let settled = poll(PATIENCE, || descriptors(pid) <= count + 1);
            assert!(settled, "process {pid} had {count} descriptors and has {}", descriptors(pid));
        }
        let log = server.log();
        assert!(!log.contains("uncaught exception"), "{log}");
    }
}
