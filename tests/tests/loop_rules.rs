//! Rules of event-loops.md that are about the contract rather than about one library: Futures handed out by the server,
//! sources of events, cancellation, and the turn of the loop.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use pagi_tests::app;
use pagi_tests::http::Response;
use pagi_tests::load;
use pagi_tests::patience::await_that;
use pagi_tests::process::Process;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

fn get(server: &Server, path: &str) -> Response {
    load::get(server.address(), path).unwrap_or_else(|error| panic!("{error}\n{}", server.log()))
}

#[track_caller]
fn expect(server: &Server, path: &str, text: &str) {
    assert_eq!(get(server, path).text(), text, "{}", server.log());
}

fn request(server: &Server, path: &str) -> Raw {
    let mut connection = Raw::connect(server.address());
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    connection
}

// The contract

#[test]
fn loop_1_loop_4_the_scope_names_no_loop_and_the_file_needs_none() {
    let server = Setup::perl(&app::handler("await answer($send, join ' ', sort keys %$scope);")).start();
    let keys = get(&server, "/").text().to_owned();
    assert!(!keys.contains("loop") && !keys.contains("reactor"), "{keys}");
}

/// Hides modules from the application and from the server, as if they were not installed.
fn without(modules: &str) -> Setup {
    let hide = format!(
        "package Hide; unshift @INC, sub {{ die qq{{$_[1] is hidden\\n}} if $_[1] =~ m{{\\A(?:{modules})[/.]}}; return }}; 1;"
    );
    let text = "use strict; use warnings; use Future; use Future::AsyncAwait;
        async sub app {
            my ($scope, $receive, $send) = @_;
            die qq{no lifespan\\n} if $scope->{type} ne 'http';
            await $receive->();
            await $send->({ type => 'http.response.start', status => 200 });
            await $send->({ type => 'http.response.body', body => 'served' });
        }
        \\&app;";
    let setup = Setup::perl(text).file("Hide.pm", hide);
    let options = format!("-I{} -MHide", setup.path("").display());
    setup.env("PERL5OPT", options)
}

#[test]
fn loop_3_fio_2_the_server_needs_no_loop_library() {
    for workers in [0, 2] {
        let server = without("IO/Async|Future/IO|Mojo|AnyEvent|EV").workers(workers).start();
        expect(&server, "/", "served");
    }
}

#[test]
fn fio_3_a_backend_that_is_chosen_already_stays() {
    let text = app::handler("await answer($send, $Future::IO::IMPL);");
    let setup = Setup::perl(&text)
        .file("Early.pm", "package Early; require Future::IO; $Future::IO::IMPL = 'Early'; sub sleep { } 1;");
    let options = format!("-I{} -MEarly", setup.path("").display());
    expect(&setup.env("PERL5OPT", options).start(), "/", "Early");
}

#[test]
fn loop_5_loop_6_lifespan_and_requests_share_one_loop_and_one_thread() {
    let text = app::perl(
        "our $started;
        sub thread { my ($status) = grep { /^Pid:/ } do { open my $file, '<', '/proc/thread-self/status' or die; <$file> };
            return $status =~ /(\\d+)/ ? $1 : 0 }
        my @threads;
        async sub lifespan ($scope, $receive, $send) {
            await $receive->();
            push @threads, thread();
            $started = Future->new;
            my $timer = Future::IO->sleep(0.3)->on_done(sub { push @threads, thread(); $started->done('from the lifespan') });
            await $send->({ type => 'lifespan.startup.complete' });
            await $receive->();
            await $timer;
            await $send->({ type => 'lifespan.shutdown.complete' });
        }
        async sub http ($scope, $receive, $send) {
            push @threads, thread();
            my $text = await $started->without_cancel;
            my %seen = map { $_ => 1 } @threads;
            await answer($send, $text . ' in ' . keys(%seen) . ' thread');
        }
        sub app ($scope, @rest) { return $scope->{type} eq 'lifespan' ? lifespan($scope, @rest) : http($scope, @rest) }",
    );
    for workers in [0, 2] {
        expect(&Setup::perl(&text).workers(workers).start(), "/", "from the lifespan in 1 thread");
    }
}

// Futures

#[test]
fn fut_1_every_combinator_takes_the_futures_of_receive_and_send() {
    let server = Setup::perl(&app::handler(
        "my @seen;
        push @seen, ref(my $first = $receive->()) ? 'object' : 'none';
        push @seen, $first->isa('Future') ? 'Future' : ref $first;
        my $event = await $first;
        push @seen, $event->{type};
        my $pending = $receive->();
        push @seen, $pending->without_cancel->is_ready ? 'ready' : 'pending';
        my $called = 0;
        $pending->on_ready(sub { $called++ });
        my $won = await Future->wait_any($pending->without_cancel, Future->done('won'));
        push @seen, $won;
        my $chained = $send->({ type => 'http.response.start', status => 200, headers => [] })->then(sub { Future->done('then') });
        push @seen, await $chained;
        my @all = await Future->needs_all(
            $send->({ type => 'http.response.body', body => 'a', more => 1 })->then_done('b'),
            $send->({ type => 'http.response.body', body => 'c', more => 1 })->then_done('d'));
        push @seen, @all;
        await $send->({ type => 'http.response.body', body => join ' ', @seen });",
    ))
    .start();
    expect(&server, "/", "acobject Future http.request pending won then b d");
}

#[test]
fn fut_2_futures_of_the_plain_kind_work_as_well() {
    let code = "await Future::IO->sleep(0.01);
        my $event = await $receive->();
        await answer($send, $event->{type});";
    for fast in ["0", "1"] {
        let server = Setup::perl(&app::handler(code)).env("PAGI_FAST_FUTURES", fast).start();
        expect(&server, "/", "http.request");
    }
}

#[test]
fn fut_5_a_hundred_thousand_sends_and_receives_need_no_deeper_stack() {
    let server = Setup::perl(&app::handler(
        "my $left = 100_000;
        my $done = Future->new;
        my $next;
        $next = sub {
            return $done->done if !$left--;
            return Future::IO->sleep(0)->on_done(sub { $next->() })->retain if $left % 100 == 0;
            $send->({ type => 'http.response.body', body => '', more => 1 })->on_done(sub { $next->() });
        };
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        no warnings 'recursion';
        $next->();
        await $done;
        await $send->({ type => 'http.response.body', body => 'finished' });",
    ))
    .start();
    expect(&server, "/", "finished");
}

#[test]
fn fut_6_src_5_cxl_1_what_is_pending_at_a_disconnect_resolves_and_the_handler_cleans_up() {
    let server = Setup::perl(&app::handler(
        "if ($path eq '/stream') {
            await $send->({ type => 'http.response.start', status => 200, headers => [] });
            await $receive->();
            my $gone = $receive->();
            my $ticks = 0;
            until ($gone->is_ready) {
                await $send->({ type => 'http.response.body', body => qq{tick\\n}, more => 1 });
                my $tick = Future::IO->sleep(0.01);
                await Future->wait_any($tick, $gone->without_cancel);
                $ticks++;
            }
            my $event = await $gone;
            await Future::IO->sleep(0.05);
            note(qq{cleaned up after $event->{type}}) if $ticks > 2;
            return;
        }
        await answer($send, 'fine');",
    ))
    .start();
    for _ in 0..5 {
        let mut stream = request(&server, "/stream");
        stream.read_until("three ticks", |bytes| bytes.windows(5).filter(|window| window == b"tick\n").count() >= 3);
        drop(stream);
    }
    await_that("five clean-ups", || {
        server.output("notes").lines().filter(|line| *line == "cleaned up after http.disconnect").count() == 5
    });
    expect(&server, "/", "fine");
}

#[test]
fn fut_7_fut_8_cancelled_receives_and_disconnect_futures_do_no_harm() {
    let server = Setup::perl(&app::handler(
        "my $head_only = $receive->();
        note($head_only->is_ready ? 'ready' : 'pending');
        $head_only->cancel;
        $scope->{'pagi.connection'}->disconnect_future->cancel for 1 .. 3;
        my $kept = $scope->{'pagi.connection'}->disconnect_future;
        my $event = await $receive->();
        await answer($send, ($event->{body} // '') . ($kept->is_ready ? ' gone' : ' there'));",
    ))
    .start();
    let mut client = Raw::connect(server.address());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n");
    server.wait_for_text("notes", "pending");
    client.send("body");
    assert_eq!(client.response("POST").text(), "body there");
}

#[test]
fn fut_9_a_settled_future_is_dropped_at_once() {
    let server = Setup::perl(&app::handler(
        "use Scalar::Util 'weaken';
        my $event = await $receive->();
        weaken(my $seen = $event);
        undef $event;
        my $held = 0;
        { package Probe; sub DESTROY { $held-- } }
        {
            my $future = $receive->();
            $held++;
            my $probe = bless [], 'Probe';
            $future->on_ready(sub { $probe });
            $future->cancel;
        }
        await answer($send, defined $seen ? 'event kept' : qq{freed, $held held});",
    ))
    .start();
    expect(&server, "/", "freed, 0 held");
}

#[test]
fn fut_10_a_flood_of_ready_work_leaves_others_their_turn() {
    let server = Setup::perl(&app::handler(
        "if ($path eq '/flood') {
            note('flooding');
            my $until = time + 3;
            while (time < $until) { await Future::IO->sleep(0) }
        }
        await answer($send, $path);",
    ))
    .start();
    let mut flood: Vec<Raw> = (0..4).map(|_| request(&server, "/flood")).collect();
    server.wait_for_text("notes", "flooding");
    let began = Instant::now();
    (0..20).for_each(|_| expect(&server, "/other", "/other"));
    let took = began.elapsed();
    for connection in &mut flood {
        assert_eq!(connection.response("GET").text(), "/flood");
    }
    assert!(took < Duration::from_millis(2900), "twenty requests took {took:?}: they waited for the flood's end");
}

// Not blocking

#[test]
fn blk_3_bytes_that_come_while_perl_is_busy_are_there_afterwards() {
    let server = Setup::perl(&app::handler(
        "if ($path eq '/busy') { note('busy'); my $until = time + 2; 1 while time < $until; }
        my $length = 0;
        while (1) { my $event = await $receive->(); $length += length $event->{body}; last if !$event->{more} }
        await answer($send, $length);",
    ))
    .start();
    let busy = request(&server, "/busy");
    server.wait_for_text("notes", "busy");
    let mut client = Raw::connect(server.address());
    client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n{}", "x".repeat(30_000)));
    assert_eq!(client.response("POST").text(), "30000");
    drop(busy);
}

// Sources of events

#[test]
fn src_7_middleware_folds_its_own_events_into_receive() {
    let text = app::handler(
        "my $end = 0;
        my ($ticks, $body) = (0, '');
        until ($end) {
            my $event = await $receive->();
            if ($event->{type} eq 'x.tick') { $ticks++; note('ticking') if $ticks == 5; next }
            $body .= $event->{body};
            $end = !$event->{more};
        }
        await answer($send, $ticks >= 5 ? $body : qq{only $ticks ticks});",
    )
    .replace(
        "\\&application;",
        "sub with_ticks ($app) {
            return sub ($scope, $receive, $send) {
                my $waiting;
                my $wrapped = async sub {
                    $waiting ||= $receive->();
                    my $tick = Future::IO->sleep(0.01)->then_done({ type => 'x.tick' });
                    my $event = await Future->wait_any($waiting->without_cancel, $tick);
                    undef $waiting if $event->{type} ne 'x.tick';
                    return $event;
                };
                return $app->($scope, $wrapped, $send);
            };
        }
        with_ticks(\\&application);",
    );
    let server = Setup::perl(&text).start();
    let mut client = Raw::connect(server.address());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf");
    server.wait_for_text("notes", "ticking");
    client.send("half");
    assert_eq!(client.response("POST").text(), "halfhalf");
}

#[test]
fn src_8_src_9_two_branches_joined_by_wait_any_survive_clients_that_leave_at_any_time() {
    let server = Setup::perl(&app::handler(
        "if ($path eq '/duplex') {
            await $send->({ type => 'http.response.start', status => 200, headers => [] });
            my $reading = (async sub {
                while (1) { my $event = await $receive->(); return if $event->{type} eq 'http.disconnect' }
            })->();
            my $writing = (async sub {
                while (1) {
                    await $send->({ type => 'http.response.body', body => 'x' x 1000, more => 1 });
                    await Future::IO->sleep(0.001);
                }
            })->();
            await Future->wait_any($reading, $writing);
            note('ended');
            return;
        }
        await answer($send, 'fine');",
    ))
    .start();
    for round in 0..30_u64 {
        let stream = request(&server, "/duplex");
        thread::sleep(Duration::from_millis(round % 7));
        if round % 2 == 0 { stream.reset() } else { drop(stream) }
    }
    await_that("thirty ends", || server.output("notes").lines().count() == 30);
    expect(&server, "/", "fine");
    let log = server.log();
    assert!(!log.contains("lost its returning future") && !log.contains("PAGI application error"), "{log}");
}

// Cancellation

#[test]
fn cxl_4_an_on_cancel_handler_may_use_the_server() {
    let mut server = Setup::perl(&app::handler(
        "note('called');
        my $future = Future->new;
        $future->on_cancel(sub {
            my $sent = eval { $send->({ type => 'http.response.start', status => 503, headers => [] }); 1 };
            my $got = eval { $receive->(); 1 };
            note('cancelled ' . ($sent && $got ? 'safely' : $@));
        });
        await $future;",
    ))
    .arg("--shutdown-timeout")
    .arg("0.3")
    .start();
    let _client = request(&server, "/");
    server.wait_for_text("notes", "called");
    assert!(server.stop().success(), "{}", server.log());
    assert!(server.output("notes").contains("cancelled safely"), "{}", server.output("notes"));
}

// The turn

#[test]
fn bind_1_bind_6_a_batch_of_requests_is_one_wake_up_or_a_few() {
    let server = Setup::perl(&app::handler("await answer($send, 'x');")).start();
    let mut client = Raw::connect(server.address());
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it lives");
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).expect("counted");
        line.rsplit(char::is_whitespace).next().and_then(|number| number.parse::<u64>().ok()).expect("a number")
    };
    let before = switches();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200));
    (0..200).for_each(|_| assert_eq!(client.response("GET").text(), "x"));
    let woken = switches() - before;
    // Also one for each heartbeat that passes meanwhile, and those of a busy machine.
    assert!(woken < 100, "{woken} wake-ups for 200 requests that came together");
}

#[test]
fn bind_2_deferred_calls_run_in_the_next_turn_after_descriptors_and_timers() {
    let server = Setup::perl(&app::handler(
        "use IO::Async::Loop;
        my $loop = IO::Async::Loop->new;
        my ($done, @order) = ($loop->new_future);
        pipe my $reader, my $writer or die;
        syswrite $writer, 'x';
        # All become due while this handler holds the loop, so one turn finds all of them.
        $loop->watch_io(handle => $reader, on_read_ready => sub {
            push @order, 'descriptor';
            $loop->unwatch_io(handle => $reader, on_read_ready => 1);
            $loop->later(sub { push @order, 'later of descriptor' });
        });
        $loop->watch_time(after => 0, code => sub { push @order, 'timer' });
        $loop->later(sub {
            push @order, 'deferred';
            $loop->later(sub { push @order, 'deferred again'; $loop->later(sub { $done->done }) });
        });
        await $done;
        await answer($send, join ', ', @order);",
    ))
    .start();
    expect(&server, "/", "descriptor, timer, deferred, later of descriptor, deferred again");
}

#[test]
fn bind_5_preloaded_or_not_the_loop_belongs_to_the_worker() {
    let text =
        app::handler("await Future::IO->sleep(0.01); await answer($send, $main::loaded == $$ ? 'here' : 'before');")
            .replace("\\&application;", "our $loaded = $$; \\&application;");
    expect(&Setup::perl(&text).workers(2).start(), "/", "before");
    expect(&Setup::perl(&text).workers(2).arg("--no-preload").start(), "/", "here");
}

#[test]
fn bind_7_what_is_left_at_the_end_is_freed_once_and_in_order() {
    let text = app::handler(
        "our @kept;
        my $timer = Future::IO->sleep(3600);
        push @kept, $timer, bless({ note => 'destroyed' }, 'Probe');
        await answer($send, 'kept');",
    )
    .replace("\\&application;", "sub Probe::DESTROY { main::note($_[0]{note}) } END { note('END') } \\&application;");
    for workers in [0, 2] {
        let mut server = Setup::perl(&text).workers(workers).start();
        expect(&server, "/", "kept");
        assert!(server.stop().success(), "{}", server.log());
        let notes = server.output("notes");
        assert_eq!(notes.matches("destroyed").count(), 1, "{notes}");
        let (end, destroyed) = (notes.find("END"), notes.find("destroyed"));
        assert!(end.is_some() && end < destroyed, "{notes}");
    }
}

#[test]
fn bind_8_timers_take_fractions_and_ignore_the_wall_clock() {
    // The wall clock that Perl sees jumps a day while the handler sleeps.
    let server = Setup::perl(&app::handler(
        "use Time::HiRes ();
        my $began = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC());
        my $sleep = Future::IO->sleep(0.25);
        no warnings 'redefine';
        my $time = \\&Time::HiRes::time;
        *Time::HiRes::time = sub { $time->() + 86_400 };
        await $sleep;
        *Time::HiRes::time = $time;
        my $took = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) - $began;
        await answer($send, $took >= 0.249 && $took < 10 ? 'in time' : $took);",
    ))
    .start();
    expect(&server, "/", "in time");
}

#[test]
fn bind_3_a_signal_that_an_adapter_watches_still_stops_the_server() {
    for workers in [0, 2] {
        let text = app::handler("await answer($send, 'fine');").replace(
            "\\&application;",
            "use AnyEvent; our $watch = AnyEvent->signal(signal => 'TERM', cb => sub { note('TERM was seen') }); \\&application;",
        );
        let mut server = Setup::perl(&text).workers(workers).start();
        expect(&server, "/", "fine");
        let pids: Vec<Process> = pagi_tests::process::group(server.pid());
        assert!(!pids.is_empty());
        server.signal(Signal::SIGTERM);
        assert!(server.wait_for_exit().success(), "{}", server.log());
    }
}

#[test]
fn cxl_2_a_handler_that_waits_for_ever_in_a_nested_turn_does_not_keep_the_server_from_stopping() {
    for workers in [0, 2] {
        let mut server = Setup::perl(&app::handler(
            "note('waiting');
            my $ok = eval { Future::IO->sleep(3600)->get; 1 };
            note($ok ? 'slept' : qq{gave up: $@});
            await answer($send, 'late');",
        ))
        .workers(workers)
        .args(["--shutdown-timeout", "0.5"])
        .start();
        let _client = request(&server, "/");
        server.wait_for_text("notes", "waiting");
        server.stop();
        let notes = server.output("notes");
        assert!(workers > 0 || notes.contains("gave up: the server is stopping"), "{notes}\n{}", server.log());
    }
}
