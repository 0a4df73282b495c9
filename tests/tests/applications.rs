//! Applications that misbehave: each has the outcome the rules give, the log says where, and nobody else notices.

use std::thread;
use std::time::Duration;

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::http::Response;
use pagi_tests::load;
use pagi_tests::patience::await_that;
use pagi_tests::process;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

/// An application that runs this code for `/bad` and is fine otherwise. A line of the code may be marked `# HERE`.
fn sometimes(code: &str) -> String {
    app::handler(&format!("if ($path eq '/bad') {{\n{code}\n}} else {{ await answer($send, \"fine $$\") }}"))
}

/// A connection on which a request was already answered.
fn bystander(server: &Server) -> Raw {
    let mut connection = Raw::connect(server.address());
    check_bystander(&mut connection, server);
    connection
}

fn check_bystander(connection: &mut Raw, server: &Server) {
    connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let response = connection.response("GET");
    assert!(response.text().starts_with("fine "), "{response:?}\n{}", server.log());
}

/// Asks for `/bad`, and returns what came until the server closed; before and after, a bystander is served.
fn ask(server: &Server) -> Vec<u8> {
    let mut other = bystander(server);
    let mut victim = Raw::connect(server.address());
    victim.send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n");
    victim.read_to_end();
    check_bystander(&mut other, server);
    check_bystander(&mut bystander(server), server);
    victim.received
}

fn parse(received: &[u8]) -> Response {
    let parsed = Response::parse(received, "GET").expect("well-formed");
    parsed.unwrap_or_else(|| panic!("no response in {:?}", received.escape_ascii().to_string())).0
}

/// `/bad` is answered 500 and the connection closed; the log has these texts in one line, and the line of `# HERE`.
fn gets_500(code: &str, logged: &[&str]) {
    let text = sometimes(code);
    let server = Setup::perl(&text).start();
    let response = parse(&ask(&server));
    assert_eq!((response.status, response.text()), (500, "Internal Server Error"), "{response:?}");
    assert!(response.complete);
    let mut wanted: Vec<String> = logged.iter().map(ToString::to_string).collect();
    if text.contains("# HERE") {
        wanted.push(format!("app.pl line {}", app::line_of(&text, "# HERE")));
    }
    assert_logged(&server, &wanted);
}

/// `/bad` begins an answer that breaks off visibly; the log has these texts in one line.
fn gets_truncated(code: &str, logged: &[&str]) {
    let text = sometimes(code);
    let server = Setup::perl(&text).start();
    let response = parse(&ask(&server));
    assert_eq!(response.status, 200);
    assert!(!response.complete, "{response:?}");
    let mut wanted: Vec<String> = logged.iter().map(ToString::to_string).collect();
    if text.contains("# HERE") {
        wanted.push(format!("app.pl line {}", app::line_of(&text, "# HERE")));
    }
    assert_logged(&server, &wanted);
}

fn assert_logged(server: &Server, wanted: &[String]) {
    let found = |line: &str| line.contains(" ERROR ") && wanted.iter().all(|text| line.contains(text));
    await_that(&format!("{wanted:?} in the log"), || server.log().lines().any(found));
}

const START: &str = "await $send->({ type => 'http.response.start', status => 200, headers => [] });\n";

// Exceptions

#[test]
fn resp_1_srv_10_dying_before_the_response() {
    gets_500("die 'no wine'; # HERE", &["PAGI application error: no wine at ", "path=/bad", "method=GET"]);
    gets_500("die qq{no wine\\n};", &["PAGI application error: no wine"]);
    gets_500("await Future::IO->sleep(0.01); die 'later'; # HERE", &["PAGI application error: later at "]);
    gets_500("my $x = undef; $x->method; # HERE", &["Can't call method \"method\" on an undefined value at "]);
    gets_500("await Future->fail('from below', http => 404);", &["PAGI application error: from below"]);
}

#[test]
fn app_8_a_plain_sub_that_dies() {
    let text = app::perl(
        "sub ($scope, $receive, $send) {
            die 'plain death' if $scope->{path} // '' eq '/bad'; # HERE
            die qq{declined\\n} if $scope->{type} ne 'http';
            answer($send, \"fine $$\");
        };",
    )
    .replace("$scope->{path} // '' eq '/bad'", "($scope->{path} // '') eq '/bad'");
    let server = Setup::perl(&text).start();
    assert_eq!(parse(&ask(&server)).status, 500);
    let line = app::line_of(&text, "# HERE");
    assert_logged(&server, &["PAGI application error: plain death at ".to_owned(), format!("app.pl line {line}")]);
}

#[test]
fn resp_5_resp_6_resp_7_dying_within_the_response() {
    let piece = "await $send->({ type => 'http.response.body', body => 'piece', more => 1 });\n";
    gets_truncated(&format!("{START}{piece} die 'too late'; # HERE"), &["(after response started): too late at "]);
    gets_truncated(&format!("{START} die 'too late'; # HERE"), &["(after response started): too late at "]);
    gets_truncated(&format!("{START}{piece} return;"), &["returned before its response was complete", "app.pl line "]);
}

#[test]
fn conn_20_dying_after_the_response() {
    let text = sometimes("await answer($send, 'whole'); die 'afterthought'; # HERE");
    let server = Setup::perl(&text).start();
    let mut other = bystander(&server);
    let answer = curl([server.url("/bad")]);
    assert_eq!((answer.exit, answer.status, answer.text()), (0, 200, "whole"));
    let line = app::line_of(&text, "# HERE");
    assert_logged(&server, &["afterthought at ".to_owned(), format!("app.pl line {line}")]);
    check_bystander(&mut other, &server);
}

#[test]
fn emb_3_dying_in_destructors_and_callbacks() {
    let text = sometimes(
        "package Bomb { sub new { bless {}, shift } sub DESTROY { die 'in the destructor' } }
        my $bomb = Bomb->new;
        $scope->{bomb} = Bomb->new;
        $scope->{'pagi.connection'}->on_complete(sub { die 'in the callback' });
        Future::IO->sleep(0.01)->on_done(sub { die 'in the timer' })->retain;
        await answer($send, \"fine $$\");
        await Future::IO->sleep(0.05);",
    );
    for workers in [0, 2] {
        let server = Setup::perl(&text).workers(workers).start();
        let mut other = bystander(&server);
        assert!(load::get(server.address(), "/bad").expect("an answer").text().starts_with("fine "));
        for message in ["in the destructor", "in the callback", "in the timer"] {
            server.wait_for_log(message);
        }
        check_bystander(&mut other, &server);
    }
}

// Return values

#[test]
fn app_9_what_is_not_a_future() {
    for value in ["undef", "''", "'done'", "42", "{}", "[]", "sub { }", "bless({}, 'Other')", "()"] {
        let text = app::perl(&format!(
            "sub returns {{ return {value} }}
            sub ($scope, $receive, $send) {{
                die qq{{declined\\n}} if $scope->{{type}} ne 'http';
                return returns() if $scope->{{path}} eq '/bad';
                answer($send, \"fine $$\");
            }};"
        ));
        let server = Setup::perl(&text).start();
        let response = parse(&ask(&server));
        assert_eq!(response.status, 500, "{value}: {response:?}");
        assert_logged(&server, &["Future".to_owned(), "app.pl line ".to_owned()]);
    }
}

#[test]
fn resp_1_returning_without_a_response() {
    gets_500("return;", &["PAGI application returned without starting a response", "app.pl line "]);
    gets_500("return { status => 200 };", &["PAGI application returned without starting a response"]);
}

#[test]
fn cxl_3_a_cancelled_future() {
    let text = app::perl(
        "sub ($scope, $receive, $send) {
            die qq{declined\\n} if $scope->{type} ne 'http';
            return answer($send, \"fine $$\") if $scope->{path} ne '/bad';
            my $future = Future->new;
            $future->cancel;
            return $future;
        };",
    );
    let server = Setup::perl(&text).start();
    assert_eq!(parse(&ask(&server)).status, 500);
}

// Events

#[test]
fn data_5_wide_characters_fail_the_send_and_nothing_else() {
    let wide = "await $send->({ type => 'http.response.body', body => qq{\\x{263a}} }); # HERE";
    gets_truncated(&format!("{START}{wide}"), &["(after response started): "]);
    // The application may still do better.
    let text = sometimes(&format!(
        "{START} my $ok = eval {{ {} 1 }};
        await $send->({{ type => 'http.response.body', body => $ok ? 'accepted' : 'refused' }});",
        wide.replace("# HERE", "")
    ));
    let server = Setup::perl(&text).start();
    let response = load::get(server.address(), "/bad").expect("an answer");
    assert_eq!((response.status, response.text()), (200, "refused"));
    check_bystander(&mut bystander(&server), &server);
}

#[test]
fn send_11_events_out_of_order() {
    let body = "await $send->({ type => 'http.response.body', body => 'x' });";
    gets_500(&format!("{body} # HERE"), &["PAGI application error: "]);
    gets_500("await $send->({ type => 'bogus' });", &["Unrecognized event type 'bogus' for http protocol"]);
    gets_500("await $send->('text');", &["PAGI application error: "]);
    gets_500("await $send->();", &["PAGI application error: "]);
    gets_truncated(&format!("{START}{START}"), &["(after response started): "]);
}

#[test]
fn an_application_that_never_answers() {
    let text = sometimes(
        "note('waits');
        $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
        await Future->new;",
    );
    let server = Setup::perl(&text).args(["--request-timeout", "0.5"]).start();
    let received = ask(&server);
    assert!(received.is_empty(), "{:?}", received.escape_ascii().to_string());
    server.wait_for_text("notes", "client_timeout");
    assert!(server.has_said("Request stall timeout (0.5s) - closing connection"), "{}", server.log());
    // Without that option it may wait; the client's leaving is noticed.
    let server = Setup::perl(&text).start();
    let mut victim = Raw::connect(server.address());
    victim.send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n");
    server.wait_for_text("notes", "waits");
    check_bystander(&mut bystander(&server), &server);
    drop(victim);
    server.wait_for_text("notes", "client_closed");
}

#[test]
fn globals_of_perl_do_not_leak_into_the_server() {
    let text = sometimes(
        "$/ = undef; $, = 'X'; $\\ = 'Y'; $\" = 'Z'; $; = 'W'; $_ = 'topic'; $@ = 'stale'; $! = 5; $? = 256;
        $SIG{__DIE__} = sub { note('die handler') };
        $SIG{__WARN__} = sub { note('warn handler') };
        @ARGV = (1 .. 9);
        chdir '/';
        await answer($send, \"fine $$\");",
    );
    let mut server = Setup::perl(&text).start();
    for _ in 0..3 {
        assert!(load::get(server.address(), "/bad").expect("an answer").text().starts_with("fine "));
        check_bystander(&mut bystander(&server), &server);
    }
    assert!(server.stop().success(), "{}", server.log());
}

// exit

#[test]
fn emb_3_exit_ends_a_server_without_workers_with_its_status() {
    for code in [
        "exit 7;",
        "await Future::IO->sleep(0.01); exit 7;",
        "eval { exit 7 }; await answer($send, 'survived');",
        "Future::IO->sleep(0.01)->on_done(sub { exit 7 }); await Future->new;",
        "my $guard = bless {}, 'Leaver'; sub Leaver::DESTROY { exit 7 } undef $guard; await answer($send, 'survived');",
    ] {
        let text = sometimes(code).replace(
            "use v5.36;",
            "use v5.36; END { note(\"END $?\") } my $object = bless {}, 'Thing'; sub Thing::DESTROY { note('DESTROY') }",
        );
        let mut server = Setup::perl(&text).start();
        let mut victim = Raw::connect(server.address());
        victim.send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n");
        victim.read_to_end();
        assert_eq!(server.wait_for_exit().code(), Some(7), "{code}: {}", server.log());
        let notes = server.output("notes");
        assert!(notes.contains("END 7"), "{code}: {notes}");
        assert!(notes.contains("DESTROY"), "{code}: {notes}");
    }
}

#[test]
fn emb_3_exit_ends_one_worker_and_it_is_replaced() {
    let text = sometimes("exit 3;").replace("use v5.36;", "use v5.36; END { note(\"END $$ $?\") if $? }");
    let server = Setup::perl(&text).workers(2).start();
    (1..=2).for_each(|number| server.wait_for_log(&format!("Worker {number} (")));
    for _ in 0..2 {
        let mut victim = Raw::connect(server.address());
        victim.send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n");
        victim.read_to_end();
        assert!(victim.received.is_empty(), "{}", victim.shown());
        assert!(load::get(server.address(), "/").expect("an answer").text().starts_with("fine "));
    }
    await_that("END blocks", || server.output("notes").matches("END ").count() == 2);
    assert!(server.output("notes").lines().all(|line| line.ends_with(" 3")), "{}", server.output("notes"));
}

// fork

#[test]
fn a_forked_child_that_exits_does_not_hurt_the_parent() {
    for child in ["exit 0", "require POSIX; POSIX::_exit(0)", "exec 'true'", "kill KILL => $$", "die 'in the child'"] {
        let text = sometimes(&format!(
            "my $pid = fork // die 'no fork';
            if (!$pid) {{ {child} }}
            await Future::IO->waitpid($pid);
            await answer($send, \"fine $$\");"
        ));
        for workers in [0, 2] {
            let mut server = Setup::perl(&text).workers(workers).start();
            let mut other = bystander(&server);
            for _ in 0..3 {
                let response = load::get(server.address(), "/bad").unwrap_or_else(|error| panic!("{child}: {error}"));
                assert_eq!(response.status, 200, "{child}: {}", server.log());
                check_bystander(&mut other, &server);
            }
            assert!(server.stop().success(), "{child}: {}", server.log());
            assert!(!server.has_said("fatal runtime error"), "{child}: {}", server.log());
        }
    }
}

#[test]
fn a_forked_child_that_returns_from_the_handler_does_not_answer() {
    let text = sometimes(
        "my $pid = fork // die 'no fork';
        if (!$pid) { await answer($send, 'from the child'); return }
        await Future::IO->waitpid($pid);
        note('child is gone');
        await answer($send, \"fine $$\");",
    );
    for workers in [0, 2] {
        let mut server = Setup::perl(&text).workers(workers).start();
        let mut other = bystander(&server);
        for _ in 0..3 {
            let response = load::get(server.address(), "/bad").expect("an answer");
            assert!(response.text().starts_with("fine "), "{response:?}");
            check_bystander(&mut other, &server);
        }
        assert_eq!(server.output("notes").lines().count(), 3);
        assert!(server.stop().success(), "{}", server.log());
        assert!(!server.has_processes());
        assert!(!server.has_said("fatal runtime error"), "{}", server.log());
    }
}

#[test]
fn a_forked_child_that_lives_on_does_not_keep_connections_open() {
    let text = sometimes(
        "my $pid = fork // die 'no fork';
        if (!$pid) { sleep 60; require POSIX; POSIX::_exit(0) }
        note($pid);
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        await $send->({ type => 'http.response.body', body => 'from the parent' });",
    );
    for workers in [0, 2] {
        let mut server = Setup::perl(&text).workers(workers).start();
        let mut client = Raw::connect(server.address());
        client.send("GET /bad HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        // Sees the end although the child still lives.
        client.read_to_end();
        assert_eq!(parse(&client.received).text(), "from the parent");
        check_bystander(&mut bystander(&server), &server);
        // The server can be stopped, and its port is free.
        let address = server.address();
        assert!(server.stop().success());
        assert!(load::get(address, "/").is_err(), "the child does not listen");
        let child = server.output("notes").trim().parse().expect("a process id");
        assert!(process::lives(nix::unistd::Pid::from_raw(child)));
    }
}

#[test]
fn bind_4_system_and_backticks_work_in_a_handler() {
    let text = sometimes(
        "my $status = system 'exit 3;';
        my $text = `echo hello; exit 5`;
        chomp $text;
        my $second = $? >> 8;
        open my $pipe, '-|', 'echo', 'piped' or die;
        chomp(my $piped = <$pipe>);
        close $pipe;
        my $ended = $?;
        await answer($send, join ' ', 'fine', $status >> 8, $text, $second, $piped, $ended);",
    );
    for workers in [0, 2] {
        let server = Setup::perl(&text).workers(workers).start();
        for _ in 0..3 {
            let response = load::get(server.address(), "/bad").expect("an answer");
            assert_eq!(response.text(), "fine 3 hello 5 piped 0");
        }
    }
}

// Blocking

#[test]
fn a_blocked_worker_leaves_its_queue_to_the_others() {
    let text = sometimes("note('blocked'); sleep 3; await answer($send, 'late');");
    let server = Setup::perl(&text).workers(2).start();
    (1..=2).for_each(|number| server.wait_for_log(&format!("Worker {number} (")));
    let address = server.address();
    let blocked = thread::spawn(move || load::get(address, "/bad"));
    server.wait_for_text("notes", "blocked");
    for _ in 0..20 {
        assert!(load::get(address, "/").expect("an answer").text().starts_with("fine "));
    }
    assert!(!blocked.is_finished(), "twenty requests were answered while one worker slept");
    assert_eq!(blocked.join().expect("no panic").expect("an answer").text(), "late");
}

#[test]
fn a_blocked_server_without_workers_answers_afterwards() {
    let server = Setup::perl(&sometimes("note('blocked'); sleep 1; await answer($send, 'late');")).start();
    let address = server.address();
    let blocked = thread::spawn(move || load::get(address, "/bad"));
    server.wait_for_text("notes", "blocked");
    let waiting: Vec<_> = (0..10).map(|_| thread::spawn(move || load::get(address, "/"))).collect();
    assert_eq!(blocked.join().expect("no panic").expect("an answer").text(), "late");
    for request in waiting {
        assert!(request.join().expect("no panic").expect("an answer").text().starts_with("fine "));
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_anything() {
    let text = sometimes(
        "await $send->({ type => 'http.response.start', status => 200, headers => [] });
        for my $piece (1 .. 200) { await $send->({ type => 'http.response.body', body => 'x' x 1000, more => 1 }) }
        await $send->({ type => 'http.response.body', body => '' });
        note('done');",
    );
    let server = Setup::perl(&text).start();
    let mut other = bystander(&server);
    for bytes in [0, 1, 100, 5000] {
        for reset in [false, true] {
            let mut victim = Raw::connect(server.address());
            victim.send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n");
            victim.skip(bytes);
            if reset {
                victim.reset();
            }
        }
    }
    let mut half = Raw::connect(server.address());
    half.send("POST /bad HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
    drop(half);
    thread::sleep(Duration::from_millis(100));
    check_bystander(&mut other, &server);
    // RESP-9: nobody is to blame.
    assert!(!server.has_said(" ERROR "), "{}", server.log());
}
