//! What blocks the loop is named in the log, and nested turns are bounded (event-loops.md section 3, BLK rules).

use std::thread;
use std::time::Duration;

use pagi_tests::app;
use pagi_tests::load;
use pagi_tests::patience::await_that;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

fn get(server: &Server, path: &str) -> String {
    let response = load::get(server.address(), path).unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    response.text().to_owned()
}

/// The warnings about slow handlers.
fn warnings(server: &Server) -> Vec<String> {
    server.log().lines().filter(|line| line.contains("Slow handler: ")).map(str::to_owned).collect()
}

#[test]
fn blk_1_what_blocks_in_a_handler_is_logged_with_file_and_line() {
    let text = app::handler(
        // Two statements in each block: Perl keeps no line of its own for a block of one.
        "use Time::HiRes ();
        my $text = 'none';
        if ($path eq '/select') {
            select undef, undef, undef, 0.4; # select
            $text = 'select';
        }
        elsif ($path eq '/xsub') {
            Time::HiRes::sleep(0.4); # xsub
            $text = 'xsub';
        }
        elsif ($path eq '/many') {
            for my $round (1 .. 40) { select undef, undef, undef, 0.01 } # many
            $text = 'many';
        }
        elsif ($path eq '/system') {
            system 'sleep 0.4'; # system
            $text = 'system';
        }
        elsif ($path eq '/resumed') {
            await Future::IO->sleep(0.01);
            Time::HiRes::usleep(400_000); # resumed
        }
        await answer($send, 'done');",
    );
    for workers in [0, 2] {
        let server = Setup::perl(&text).workers(workers).start();
        for place in ["select", "xsub", "many", "system", "resumed"] {
            assert_eq!(get(&server, &format!("/{place}")), "done");
            let wanted = format!("app.pl line {}", app::line_of(&text, &format!("# {place}")));
            await_that(&wanted, || warnings(&server).iter().any(|line| line.contains(&wanted)));
        }
        let log = server.log();
        assert!(log.contains("Slow handler: GET /select held the event loop for 4"), "{log}");
    }
}

#[test]
fn blk_1_a_busy_handler_is_logged_with_the_line_it_was_at() {
    let text = app::handler(
        "if ($path eq '/busy') {
            my $until = times() + 0.6;
            my $number = 0;
            while (times() < $until) { $number++ for 1 .. 1000 } # busy
        }
        await answer($send, 'done');",
    );
    let server = Setup::perl(&text).start();
    assert_eq!(get(&server, "/busy"), "done");
    let wanted = format!("app.pl line {}", app::line_of(&text, "# busy"));
    await_that(&wanted, || warnings(&server).iter().any(|line| line.contains(&wanted)));
}

#[test]
fn blk_1_a_place_is_named_once_and_the_threshold_is_an_option() {
    let code = "if ($path eq '/slow') { select undef, undef, undef, 0.3 }
        await answer($send, 'done');";
    let text = app::handler(code);
    let counts = [("0.1", 1), ("30", 0), ("0", 0)].map(|(threshold, expected)| {
        let server = Setup::perl(&text).arg("--slow-handler").arg(threshold).start();
        (0..3).for_each(|_| assert_eq!(get(&server, "/slow"), "done"));
        get(&server, "/");
        (threshold, warnings(&server).len(), expected)
    });
    for (threshold, counted, expected) in counts {
        assert_eq!(counted, expected, "--slow-handler {threshold}");
    }
}

#[test]
fn blk_1_awaiting_and_nested_waiting_are_not_slow() {
    let server = Setup::perl(&app::handler(
        "await Future::IO->sleep(0.4);
        Future::IO->sleep(0.4)->get if $path eq '/get';
        await answer($send, 'done');",
    ))
    .arg("--slow-handler")
    .arg("0.3")
    .start();
    for path in ["/", "/get"] {
        assert_eq!(get(&server, path), "done");
    }
    assert_eq!(warnings(&server), Vec::<String>::new());
}

#[test]
fn blk_1_callbacks_of_the_loop_are_named_too() {
    let text = app::handler(
        "Future::IO->sleep(0.01)->on_done(sub {
            select undef, undef, undef, 0.4; # callback
        })->retain;
        await answer($send, 'done');",
    );
    let server = Setup::perl(&text).start();
    assert_eq!(get(&server, "/"), "done");
    let wanted = format!("app.pl line {}", app::line_of(&text, "# callback"));
    await_that(&wanted, || warnings(&server).iter().any(|line| line.contains(&wanted)));
}

#[test]
fn handlers_that_wait_inside_each_other_without_bound_are_refused() {
    // Each is resumed inside the other's wait, so every one of them nests.
    let server = Setup::perl(&app::handler(
        "state $waiting = 0;
        $waiting++;
        await Future::IO->sleep(0.01) until $waiting >= 260;
        my $ok = eval { Future::IO->sleep(1)->get; 1 };
        await answer($send, $ok ? 'waited' : \"refused: $@\");",
    ))
    .start();
    let connections: Vec<Raw> = (0..260)
        .map(|_| {
            let mut connection = Raw::connect(server.address());
            connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            connection
        })
        .collect();
    let answers: Vec<String> =
        connections.into_iter().map(|mut connection| connection.response("GET").text().to_owned()).collect();
    let refused: Vec<&String> = answers.iter().filter(|answer| answer.starts_with("refused: ")).collect();
    assert!(answers.iter().any(|answer| answer == "waited"), "{answers:?}");
    assert!(!refused.is_empty(), "260 nested turns were allowed");
    assert!(refused[0].contains("await instead of blocking"), "{}", refused[0]);
}

#[test]
fn sixty_four_suspended_handlers_that_each_get_a_timer_all_finish() {
    let server = Setup::perl(&app::handler(
        "state $waiting = 0;
        $waiting++;
        await Future::IO->sleep(0.01) until $waiting >= 64;
        Future::IO->sleep(0.1)->get;
        await answer($send, 'waited');",
    ))
    .start();
    let connections: Vec<Raw> = (0..64)
        .map(|_| {
            let mut connection = Raw::connect(server.address());
            connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            connection
        })
        .collect();
    for mut connection in connections {
        assert_eq!(connection.response("GET").text(), "waited", "{}", server.log());
    }
}

#[test]
fn bind_6_ten_thousand_timers_and_a_thousand_watches_cost_nothing_while_they_wait() {
    let server = Setup::perl(&app::handler(
        "state @kept;
        if (!@kept) {
            use AnyEvent;
            push @kept, map { Future::IO->sleep(3600 + $_) } 1 .. 10_000;
            for my $number (1 .. 500) {
                pipe my $reader, my $writer or die qq{pipe: $!};
                push @kept, $writer, Future::IO->sysread($reader, 1), AnyEvent->io(fh => $reader, poll => 'r', cb => sub { });
            }
        }
        await answer($send, scalar @kept);",
    ))
    .start();
    assert_eq!(get(&server, "/"), "11500");
    // In clock ticks of a hundredth of a second: user and system time.
    let used = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("it lives");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a name in parentheses").split_whitespace().collect();
        fields[11].parse::<u64>().expect("user time") + fields[12].parse::<u64>().expect("system time")
    };
    thread::sleep(Duration::from_millis(500));
    let before = used();
    thread::sleep(Duration::from_secs(4));
    let spent = used() - before;
    assert!(spent <= 4, "{spent} hundredths of a second of processor time in 4 s of waiting");
    assert_eq!(get(&server, "/"), "11500");
}
