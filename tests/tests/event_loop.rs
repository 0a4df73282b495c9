//! Timers, descriptors, child processes and signals of applications, through Future::IO and IO::Async (event-loops.md).

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pagi_tests::app;
use pagi_tests::http::Response;
use pagi_tests::load;
use pagi_tests::patience::await_that;
use pagi_tests::process::Process;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

/// Starts a handler without workers and with two.
fn both(code: &str) -> [Server; 2] {
    [0, 2].map(|workers| Setup::perl(&app::handler(code)).workers(workers).start())
}

fn get(server: &Server, path: &str) -> Response {
    let response = load::get(server.address(), path).unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    assert_eq!(response.status, 200, "{}", server.log());
    response
}

#[track_caller]
fn expect(server: &Server, path: &str, text: &str) {
    assert_eq!(get(server, path).text(), text, "{}", server.log());
}

/// Sends this many requests at once and returns the answers.
fn get_all(server: &Server, path: &str, number: usize) -> Vec<String> {
    let requests: Vec<_> = (0..number)
        .map(|_| {
            let mut connection = Raw::connect(server.address());
            connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
            connection
        })
        .collect();
    requests.into_iter().map(|mut connection| connection.response("GET").text().to_owned()).collect()
}

// Future::IO

#[test]
fn fio_5_blk_1_fifty_handlers_sleep_at_the_same_time() {
    let server = Setup::perl(&app::handler(
        "state $active = 0;
        state $most = 0;
        $active++;
        $most = $active if $active > $most;
        await Future::IO->sleep(0.4);
        $active--;
        await answer($send, $most);",
    ))
    .start();
    let answers = get_all(&server, "/", 50);
    assert!(answers.iter().any(|most| most == "50"), "{answers:?}");
}

#[test]
fn fio_1_fio_2_fio_7_the_backend_is_in_place_before_the_file_is_compiled() {
    let text = app::handler("await Future::IO->sleep(0.01); await answer($send, \"$main::early $main::waited\");")
        .replace(
            "use v5.36;",
            "use v5.36; our ($early, $waited); BEGIN { require Future::IO; $early = $Future::IO::IMPL }",
        )
        .replace("\\&application;", "Future::IO->sleep(0.01)->get; $waited = 'waited'; \\&application;");
    for (workers, extra) in [(0, &[][..]), (2, &[]), (2, &["--no-preload"])] {
        let server = Setup::perl(&text).workers(workers).args(extra).start();
        expect(&server, "/", "PAGI::Native::FutureIO waited");
    }
}

#[test]
fn fio_4_pipes_are_read_and_written() {
    for server in both(
        "pipe my $reader, my $writer or die;
        my $reading = Future::IO->sysread($reader, 100);
        await Future::IO->sleep(0.01);
        await Future::IO->syswrite($writer, 'through a pipe');
        my $text = await $reading;
        close $writer;
        my $end = await Future::IO->sysread($reader, 100);
        await answer($send, $text . ' ' . (defined $end ? 'more' : 'end'));",
    ) {
        expect(&server, "/", "through a pipe end");
    }
}

#[test]
fn fio_4_a_megabyte_passes_a_socket_pair() {
    for server in both(
        "use Socket;
        socketpair my $one, my $two, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
        $_->blocking(0) for $one, $two;
        my $writing = Future::IO->syswrite_exactly($one, 'x' x 1_000_000);
        my $length = 0;
        while ($length < 1_000_000) { $length += length(await Future::IO->sysread($two, 65536)) }
        await $writing;
        await answer($send, $length);",
    ) {
        expect(&server, "/", "1000000");
    }
}

#[test]
fn fio_4_a_handler_connects_to_another_server() {
    let other = Setup::perl(&app::handler("await answer($send, 'the other one');")).start();
    let code = format!(
        "use IO::Socket;
        my $socket = IO::Socket->new;
        $socket->socket(AF_INET, SOCK_STREAM, 0) or die;
        $socket->blocking(0);
        await Future::IO->connect($socket, pack_sockaddr_in({}, inet_aton('127.0.0.1')));
        await Future::IO->syswrite_exactly($socket, qq{{GET / HTTP/1.0\\r\\n\\r\\n}});
        my $text = '';
        while (defined(my $piece = await Future::IO->sysread($socket, 4096))) {{ $text .= $piece }}
        await answer($send, $text =~ s/.*\\r\\n\\r\\n//sr);",
        other.address().port()
    );
    for server in both(&code) {
        expect(&server, "/", "the other one");
    }
}

#[test]
fn fio_4_bind_4_children_are_waited_for() {
    for server in both(
        "my @children;
        for my $status (3, 0, 7) {
            my $pid = fork // die 'no fork';
            if (!$pid) { exec 'sh', '-c', \"sleep 0.05; exit $status\" or die }
            push @children, Future::IO->waitpid($pid);
        }
        my @statuses = await Future->needs_all(@children);
        await answer($send, join ' ', map { $_ >> 8 } @statuses);",
    ) {
        expect(&server, "/", "3 0 7");
    }
}

#[test]
fn fio_6_cancelled_timers_and_reads_leave_nothing_behind() {
    let server = Setup::perl(&app::handler(
        "pipe my $reader, my $writer or die;
        my $fired = 0;
        for my $number (1 .. 10_000) {
            my $timer = Future::IO->sleep(0.05)->on_done(sub { $fired++ });
            $timer->cancel;
        }
        for my $number (1 .. 100) { Future::IO->sysread($reader, 1)->cancel }
        syswrite $writer, 'kept';
        my $text = await Future::IO->sysread($reader, 10);
        await Future::IO->sleep(0.1);
        await answer($send, \"$fired $text\");",
    ))
    .start();
    expect(&server, "/", "0 kept");
    let memory = || Process::find(server.pid()).expect("it lives").resident_kib();
    (0..3).for_each(|_| expect(&server, "/", "0 kept"));
    let before = memory();
    (0..5).for_each(|_| expect(&server, "/", "0 kept"));
    // 50,000 timers of a hundred bytes or more.
    assert!(memory() < before + 3_000, "{before} KiB before, {} KiB after", memory());
}

// Waiting inside a handler

#[test]
fn get_of_a_timer_inside_a_handler_lets_others_be_served() {
    for workers in [0, 2] {
        let server = Setup::perl(&app::handler(
            "if ($path eq '/get') { note('waiting'); Future::IO->sleep(1)->get; note('over'); }
            await answer($send, $path);",
        ))
        .workers(workers)
        .start();
        let mut waiting = Raw::connect(server.address());
        waiting.send("GET /get HTTP/1.1\r\nHost: x\r\n\r\n");
        server.wait_for_text("notes", "waiting");
        for _ in 0..5 {
            expect(&server, "/meanwhile", "/meanwhile");
        }
        assert!(!server.output("notes").contains("over"), "five requests were answered in the meantime");
        assert_eq!(waiting.response("GET").text(), "/get");
    }
}

#[test]
fn get_nested_in_callbacks_and_in_other_gets() {
    for server in both(
        "my $inner = Future::IO->sleep(0.02)->then(sub {
            my $value = Future::IO->sleep(0.02)->then_done('inner')->get;
            Future->done($value);
        });
        my $text = $inner->get;
        await Future::IO->sleep(0.01);
        await answer($send, $text . Future::IO->sleep(0.01)->then_done(' outer')->get);",
    ) {
        expect(&server, "/", "inner outer");
        expect(&server, "/", "inner outer");
    }
}

#[test]
fn sixty_four_handlers_that_each_get_a_timer_all_finish() {
    let server = Setup::perl(&app::handler(
        "state $number = 0;
        my $mine = ++$number;
        Future::IO->sleep(0.05 + 0.01 * ($mine % 7))->get;
        await answer($send, $mine);",
    ))
    .start();
    let mut answers: Vec<u32> = get_all(&server, "/", 64).iter().map(|text| text.parse().expect("a number")).collect();
    answers.sort_unstable();
    assert_eq!(answers, (1..=64).collect::<Vec<_>>());
    // And everything is as before.
    assert_eq!(get(&server, "/").text(), "65");
}

#[test]
fn fut_4_get_of_a_pending_receive_does_not_hang_the_server() {
    let server = Setup::perl(&app::handler(
        "if ($path eq '/get') {
            await $receive->();
            my $event = eval { $receive->()->get };
            note($event ? $event->{type} : \"refused: $@\");
        }
        await answer($send, 'fine');",
    ))
    .start();
    let mut waiting = Raw::connect(server.address());
    waiting.send("GET /get HTTP/1.1\r\nHost: x\r\n\r\n");
    thread::sleep(Duration::from_millis(100));
    expect(&server, "/", "fine");
    drop(waiting);
    await_that("an end", || !server.output("notes").is_empty());
    let notes = server.output("notes");
    assert!(notes.contains("http.disconnect") || notes.contains("refused: "), "{notes}");
    expect(&server, "/", "fine");
}

// IO::Async

#[test]
fn ioa_1_the_loop_in_a_handler_is_the_one_that_turns() {
    for server in both(
        "require IO::Async::Loop;
        require IO::Async::Timer::Countdown;
        my $loop = IO::Async::Loop->new;
        await $loop->delay_future(after => 0.02);
        my $expired = $loop->new_future;
        my $timer = IO::Async::Timer::Countdown->new(delay => 0.02, on_expire => sub { $expired->done('expired') });
        $loop->add($timer);
        $timer->start;
        my $text = await $expired;
        $loop->remove($timer);
        my $later = $loop->new_future;
        $loop->later(sub { $later->done('later') });
        await answer($send, join ' ', ref $loop, $text, await $later);",
    ) {
        expect(&server, "/", "PAGI::Native::IOAsyncLoop expired later");
    }
}

#[test]
fn ioa_1_a_loop_made_at_file_scope_works_in_workers() {
    let text = app::handler("await $main::loop->delay_future(after => 0.02); await answer($send, $main::ticks > 0 ? 1 : 0);")
        .replace(
            "\\&application;",
            "use IO::Async::Loop; use IO::Async::Timer::Periodic;
             our $loop = IO::Async::Loop->new; our $ticks = 0;
             my $timer = IO::Async::Timer::Periodic->new(interval => 0.01, first_interval => 0, on_tick => sub { $ticks++ });
             $timer->start; $loop->add($timer);
             \\&application;",
        );
    for (workers, extra) in [(0, &[][..]), (2, &[]), (2, &["--no-preload"])] {
        let server = Setup::perl(&text).workers(workers).args(extra).start();
        await_that("ticks", || get(&server, "/").text() == "1");
    }
}

#[test]
fn ioa_1_streams_and_processes() {
    for server in both(
        "require IO::Async::Loop;
        require IO::Async::Stream;
        require IO::Async::Process;
        my $loop = IO::Async::Loop->new;
        pipe my $reader, my $writer or die;
        my $lines = $loop->new_future;
        my $stream = IO::Async::Stream->new(read_handle => $reader, on_read => sub ($self, $buffer, $eof) {
            $lines->done($1) if $$buffer =~ s/\\A(.*)\\n//;
            return 0;
        });
        $loop->add($stream);
        syswrite $writer, qq{a line\\n};
        my $line = await $lines;
        $loop->remove($stream);
        my ($status, $output) = await $loop->run_process(command => [ 'sh', '-c', 'echo out; exit 4' ],
            capture => [ 'exitcode', 'stdout' ]);
        chomp $output;
        await answer($send, join ' ', $line, $status >> 8, $output);",
    ) {
        expect(&server, "/", "a line 4 out");
        expect(&server, "/", "a line 4 out");
    }
}

#[test]
fn ioa_1_a_function_in_a_child_process() {
    for mut server in both(
        "require IO::Async::Loop;
        require IO::Async::Function;
        state $function = do {
            my $new = IO::Async::Function->new(code => sub { return $$, $_[0] * 2 }, max_workers => 1);
            IO::Async::Loop->new->add($new);
            $new;
        };
        my ($pid, $result) = await $function->call(args => [ 21 ]);
        await answer($send, $result . ($pid == $$ ? ' here' : ' elsewhere'));",
    ) {
        for _ in 0..3 {
            expect(&server, "/", "42 elsewhere");
        }
        assert!(server.stop().success(), "{}", server.log());
    }
}

#[test]
fn ioa_1_net_async_http_asks_another_server() {
    let other =
        Setup::perl(&app::handler("await Future::IO->sleep(0.05); await answer($send, qq{you asked $path});")).start();
    for server in both(&format!(
        "require IO::Async::Loop;
        require Net::Async::HTTP;
        my $http = Net::Async::HTTP->new(max_connections_per_host => 0);
        IO::Async::Loop->new->add($http);
        my @responses = await Future->needs_all(map {{ $http->GET(\"{}$_\") }} 1 .. 5);
        IO::Async::Loop->new->remove($http);
        await answer($send, join ';', map {{ $_->content }} @responses);",
        other.url("/page")
    )) {
        expect(&server, "/", "you asked /page1;you asked /page2;you asked /page3;you asked /page4;you asked /page5");
    }
}

#[test]
fn fut_3_futures_of_all_origins_mix() {
    for server in both(
        "require IO::Async::Loop;
        my $loop = IO::Async::Loop->new;
        await $receive->();
        my @won;
        for my $round (1 .. 3) {
            push @won, await Future->wait_any($receive->(), $loop->delay_future(after => 0.01)->then_done('loop'));
            push @won, await Future->wait_any($loop->delay_future(after => 0.01)->then_done('loop'), $receive->());
            push @won, await Future->wait_any($receive->(), Future::IO->sleep(0.01)->then_done('io'));
            push @won, await Future->needs_any(Future::IO->sleep(0.01)->then_done('io'), $receive->());
        }
        await answer($send, join ' ', @won);",
    ) {
        expect(&server, "/", &["loop loop io io"; 3].join(" "));
    }
}

#[test]
fn loop_2_an_application_of_plain_then_chains() {
    let text = "use strict; use warnings; use Future; use Future::IO;
        sub {
            my ($scope, $receive, $send) = @_;
            return Future->fail('no lifespan') if $scope->{type} ne 'http';
            return Future::IO->sleep(0.01)
                ->then(sub { $receive->() })
                ->then(sub { $send->({ type => 'http.response.start', status => 200, headers => [] }) })
                ->then(sub { $send->({ type => 'http.response.body', body => 'chained' }) });
        };";
    for workers in [0, 2] {
        expect(&Setup::perl(text).workers(workers).start(), "/", "chained");
    }
}

// Sources of events

#[test]
fn src_6_recv_7_a_receive_that_lost_a_thousand_races_loses_nothing() {
    let server = Setup::perl(&app::handler(
        "my ($rounds, $body) = (0, '');
        while (1) {
            my $event = await Future->wait_any($receive->(), Future::IO->sleep(0)->then_done(undef));
            if (!defined $event) { $rounds++; note('enough') if $rounds == 1000; next }
            $body .= $event->{body};
            last if !$event->{more};
        }
        await answer($send, $body);",
    ))
    .start();
    let mut client = Raw::connect(server.address());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
    server.wait_for_text("notes", "enough");
    client.send("once ");
    thread::sleep(Duration::from_millis(50));
    client.send("and no");
    assert_eq!(client.response("POST").text(), "once and no");
}

#[test]
fn src_4_a_request_waits_for_an_event_of_another_request() {
    let server = Setup::perl(&app::handler(
        "state @waiting;
        if ($path eq '/next') {
            my $future = Future->new;
            push @waiting, $future;
            note('waits');
            return await answer($send, await $future);
        }
        $_->done('published') for splice @waiting;
        await answer($send, 'ok');",
    ))
    .start();
    let mut listeners: Vec<Raw> = (0..3).map(|_| Raw::connect(server.address())).collect();
    for listener in &mut listeners {
        listener.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    await_that("three wait", || server.output("notes").lines().count() == 3);
    expect(&server, "/publish", "ok");
    for mut listener in listeners {
        assert_eq!(listener.response("GET").text(), "published");
    }
}

// Signals

#[test]
fn bind_3_signal_handlers_of_the_application_run_while_it_is_idle() {
    let text = app::handler("await answer($send, $$);").replace(
        "\\&application;",
        "$SIG{USR1} = sub { note(\"USR1 in $$\") };
         $SIG{ALRM} = sub { note('ALRM') };
         \\&application;",
    );
    for workers in [0, 2] {
        let server = Setup::perl(&text).workers(workers).start();
        let pid: i32 = get(&server, "/").text().parse().expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGUSR1).expect("it lives");
        server.wait_for_text("notes", &format!("USR1 in {pid}"));
        kill(Pid::from_raw(pid), Signal::SIGALRM).expect("it lives");
        server.wait_for_text("notes", "ALRM");
        get(&server, "/");
    }
}

#[test]
fn bind_3_a_signal_handler_that_dies_is_reported() {
    let text = app::handler("await answer($send, $$);")
        .replace("\\&application;", "$SIG{WINCH} = sub { die 'in a signal handler' }; \\&application;");
    for workers in [0, 2] {
        let server = Setup::perl(&text).workers(workers).start();
        let pid: i32 = get(&server, "/").text().parse().expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGWINCH).expect("it lives");
        server.wait_for_log("in a signal handler");
        assert!(Process::find(Pid::from_raw(pid)).is_some());
        get(&server, "/");
    }
}

#[test]
fn bind_3_alarm_interrupts_a_blocking_call_in_a_handler() {
    for server in both(
        "my $text = eval {
            local $SIG{ALRM} = sub { die qq{alarm\\n} };
            alarm 1;
            select undef, undef, undef, 60;
            'slept';
        } // $@;
        chomp $text;
        await answer($send, $text);",
    ) {
        expect(&server, "/", "alarm");
    }
}

/// The middle one of five durations.
fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..5).map(|_| measure()).collect();
    all.sort_unstable();
    all[2]
}

/// A loop that noticed only when it wakes up anyway would take a second.
const SOON: Duration = Duration::from_millis(600);

#[test]
fn fio_4_a_child_is_noticed_when_it_ends() {
    for workers in [0, 2] {
        let code = "my $pid = fork // die 'no fork';
            if (!$pid) { exec 'true' }
            await Future::IO->waitpid($pid);
            await answer($send, 'over');";
        let server = Setup::perl(&app::handler(code)).workers(workers).start();
        let taken = median(|| {
            let started = Instant::now();
            get(&server, "/");
            started.elapsed()
        });
        assert!(taken < SOON, "{taken:?}");
    }
}

#[test]
fn bind_3_signal_handlers_run_promptly() {
    let text = app::handler("await answer($send, $$);")
        .replace("\\&application;", "$SIG{USR1} = sub { note('USR1') }; \\&application;");
    for workers in [0, 2] {
        let server = Setup::perl(&text).workers(workers).start();
        let pid: i32 = get(&server, "/").text().parse().expect("a process id");
        let mut sent = 0;
        let taken = median(|| {
            let started = Instant::now();
            kill(Pid::from_raw(pid), Signal::SIGUSR1).expect("it lives");
            sent += 1;
            await_that("the handler ran", || server.output("notes").lines().count() == sent);
            started.elapsed()
        });
        assert!(taken < SOON, "{taken:?}");
    }
}

// Rest

#[test]
fn bind_6_waiting_costs_no_processor_time() {
    let server = Setup::perl(&app::handler(
        "if ($path eq '/park') { await $receive->(); await $receive->(); return }
        await answer($send, 'fine');",
    ))
    .start();
    let parked: Vec<Raw> = (0..100)
        .map(|_| {
            let mut connection = Raw::connect(server.address());
            connection.send("GET /park HTTP/1.1\r\nHost: x\r\n\r\n");
            connection
        })
        .collect();
    expect(&server, "/", "fine");
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("it lives");
        let fields: Vec<&str> = stat[stat.rfind(')').expect("a name") + 2..].split(' ').collect();
        fields[11].parse::<u64>().expect("user") + fields[12].parse::<u64>().expect("system")
    };
    let before = ticks();
    thread::sleep(Duration::from_secs(2));
    // A hundredth of a second each.
    assert!(ticks() - before <= 10, "{} ticks in two idle seconds", ticks() - before);
    drop(parked);
    expect(&server, "/", "fine");
}

/// Children end at any moment, also while another coroutine is being suspended.
#[test]
fn fut_5_children_that_end_under_load_disturb_no_coroutine() {
    let text = app::handler(
        "my $pid = fork // die 'no fork';
        if (!$pid) { require POSIX; POSIX::_exit(0) }
        await Future::IO->waitpid($pid);
        await answer($send, 'waited');",
    );
    let server = Setup::perl(&text).start();
    let address = server.address();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || (0..40).map(|_| load::get(address, "/").map(|r| r.status)).collect::<Vec<_>>())
        })
        .collect();
    for client in clients {
        for status in client.join().expect("a client") {
            assert_eq!(status, Ok(200), "{}", server.log());
        }
    }
}

#[test]
fn bind_2_a_deferred_call_that_waits_does_not_hold_up_those_behind_it() {
    for server in both(
        "require IO::Async::Loop;
        my $loop = IO::Async::Loop->new;
        my ($first, $second) = ($loop->new_future, $loop->new_future);
        my @order;
        $loop->later(sub { push @order, 'first'; $second->get; push @order, 'first again'; $first->done });
        $loop->later(sub { push @order, 'second'; $loop->later(sub { push @order, 'third'; $second->done }) });
        await $first;
        await answer($send, join ', ', @order);",
    ) {
        expect(&server, "/", "first, second, third, first again");
    }
}
