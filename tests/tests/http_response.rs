//! Responses: bodies, files, trailers, HEAD, statuses without content, broken responses, and what the server adds
//! (protocol sections 8.2 to 8.7).

use pagi_tests::lab::{Lab, get, get_1_0, get_and_close, request};
use pagi_tests::raw::{End, Raw, contains};

#[test]
fn http_10_ext_5_ext_6_a_head_is_held_until_body_or_flush() {
    let lab = Lab::new(
        r#"route '/held' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'http.fullflush' });
            note('flush before start resolved');
            await start($send, 200, [ 'x', 'head' ]);
            note('started', $scope->{'pagi.connection'}->response_started ? 1 : 0);
            await Future::IO->sleep(0.2);
            await $send->({ type => 'http.fullflush' });
            note('flushed');
            await $receive->();
            await $receive->();
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/held"));
    raw.read_until_contains("x: head\r\n");
    raw.read_until_contains("\r\n\r\n");
    lab.assert_notes(&["flush before start resolved", "started 1", "flushed"]);
}

#[test]
fn http_11_conn_11_response_started_flips_with_the_start_event() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            my @flags = $connection->response_started;
            await outcome(start($send, 'bad'));
            push @flags, $connection->response_started;
            my $future = start($send, 200);
            push @flags, $connection->response_started;
            await $future;
            await body($send, join ' ', map { $_ ? 'yes' : 'no' } @flags);
        };"#,
    );
    assert_eq!(lab.get("/").text(), "no no yes");
}

#[test]
fn http_13_an_early_answer_goes_out_before_the_body_is_read() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 413);
            await body($send, 'too much; ', 1);
            my $content = await drain_body($receive);
            await body($send, length $content);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Content-Length: 5\r\n"));
    raw.read_until_contains("too much");
    raw.send("hello");
    assert_eq!(raw.response("POST").text(), "too much; 5");
}

#[test]
fn body_1_all_combinations_of_sources() {
    let lab = Lab::new(
        r#"open my $own, '<', $INC{'Lab.pm'} or die;
        my %source = (body => 'x', file => $INC{'Lab.pm'}, fh => $own);
        route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            my @results;
            for my $bits (3, 5, 6, 7) {
                my %event = map { $bits & $_->[0] ? ($_->[1] => $source{ $_->[1] }) : () } [ 1, 'body' ], [ 2, 'file' ], [ 4, 'fh' ];
                push @results, await outcome($send->({ type => 'http.response.body', %event, more => 1 }));
            }
            await body($send, join("\n", @results) . "\n", 1);
            await $send->({ type => 'http.response.body' });
        };"#,
    );
    let response = lab.get("/");
    for (line, given) in response.lines().iter().zip([2, 2, 2, 3]) {
        let expected = format!("failed: http.response.body requires exactly one of body/file/fh (got {given})");
        assert!(line.starts_with(&expected), "{line}");
    }
    assert_eq!(response.lines().len(), 4);
    assert!(response.complete);
}

#[test]
fn body_2_body_3_the_last_event_ends_the_response_while_the_application_goes_on() {
    let lab = Lab::new(
        r#"route '/inline' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            await body($send, 'done');
            await Future::IO->sleep(30);
        };
        route '/file' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            await $send->({ type => 'http.response.body', file => "$ENV{LAB_NOTES}.txt", more => 1 });
            await Future::IO->sleep(30);
        };"#,
    );
    std::fs::write(lab.server.path("notes.txt"), "a file").unwrap();
    let mut raw = lab.connect();
    raw.send(get("/inline"));
    assert_eq!(raw.response("GET").text(), "done");
    raw.send(get("/file"));
    assert_eq!(raw.response("GET").text(), "a file");
}

#[test]
fn body_4_flow_4_a_sparse_file_of_two_gigabytes_in_bounded_memory() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $file = "$ENV{LAB_NOTES}.sparse";
            await start($send, 200, [ 'content-length', -s $file ]);
            await $send->({ type => 'http.response.body', file => $file });
            note('sent');
        };"#,
    );
    let size = 2usize << 30;
    std::fs::File::create(lab.server.path("notes.sparse")).unwrap().set_len(size as u64).unwrap();
    let resident = || pagi_tests::process::Process::find(lab.server.pid()).expect("it lives").resident_kib();
    let before = resident();
    let mut raw = lab.connect();
    raw.send(get("/"));
    raw.read_until_contains("\r\n\r\n");
    let head = raw.received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    raw.received.drain(..head);
    let mut left = size;
    let mut most = 0;
    while left > 0 {
        let step = left.min(256 << 20);
        raw.skip(step);
        left -= step;
        most = most.max(resident());
    }
    assert!(most < before + 8192, "{before} KiB before, {most} KiB at most");
    lab.wait_for_note("sent");
    raw.send(get("/"));
    raw.read_until_contains("HTTP/1.1 200");
}

#[test]
fn body_5_body_6_body_7_ranges_of_files_and_handles() {
    let lab = Lab::new(
        r#"route '*' => async sub ($scope, $receive, $send) {
            my ($source, $offset, $length) = split /,/, $scope->{query_string}, -1;
            my $path = "$ENV{LAB_NOTES}.txt";
            open my $fh, '<', $path or die;
            my %event = (type => 'http.response.body', $source eq 'file' ? (file => $path) : (fh => $fh));
            $event{offset} = $offset if defined $offset && $offset ne '';
            $event{length} = $length if defined $length && $length ne '';
            $_ eq 'undef' and $_ = undef for grep { defined } @event{qw(offset length)};
            await start($send, 200);
            my $result = await outcome($send->(\%event));
            await body($send, $result =~ s/:.*//rs) if $result ne 'ok';
        };"#,
    );
    std::fs::write(lab.server.path("notes.txt"), "0123456789").unwrap();
    let mut raw = lab.connect();
    for source in ["file", "fh"] {
        for (range, expected) in [
            ("", "0123456789"),
            (",3", "3456789"),
            (",3,4", "3456"),
            (",,4", "0123"),
            (",0,0", ""),
            (",3,0", ""),
            (",9,5", "9"),
            (",10", ""),
            (",11", ""),
            (",99999,5", ""),
            (",undef,undef", "0123456789"),
            (",3.0", "failed"),
            (",-1", "failed"),
            (",x", "failed"),
            (",1.5", "failed"),
            (",,-1", "failed"),
            (",,x", "failed"),
            (",,1.5", "failed"),
        ] {
            raw.send(get(&format!("/?{source}{range}")));
            let response = raw.response("GET");
            assert_eq!((response.status, response.text()), (200, expected), "{source}{range}");
        }
    }
}

#[test]
fn body_8_body_10_body_16_emb_12_amb_14_files_that_cannot_be_sent() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            my @results;
            for my $file ('/nonexistent/file', '/', 'relative.txt', "/etc/host\0name", '', [], $ENV{LAB_NOTES} . '.secret') {
                push @results, await outcome($send->({ type => 'http.response.body', file => $file }));
            }
            await body($send, join("\n", map { s/\n/ /gr } @results), 0);
        };"#,
    );
    let response = lab.get("/");
    let lines = response.lines();
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("failed: ")), "{lines:#?}");
    assert!(lines[0].contains("/nonexistent/file") && lines[0].contains("No such file"), "{}", lines[0]);
    assert!(response.complete);
}

#[test]
fn amb_14_file_names_are_bytes_or_utf_8() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my ($directory) = $ENV{LAB_NOTES} =~ m{^(.*)/};
            my $name = { bytes => "latin\xe9", text => "caf\x{e9}\x{263a}", octets => "caf\xc3\xa9" }->{ $scope->{query_string} };
            await start($send, 200);
            await $send->({ type => 'http.response.body', file => "$directory/$name" });
        };"#,
    );
    use std::os::unix::ffi::OsStrExt;
    let directory = lab.server.path("notes").parent().unwrap().to_owned();
    let name = std::ffi::OsStr::from_bytes(b"latin\xe9");
    std::fs::write(directory.join(name), "bytes").unwrap();
    std::fs::write(directory.join("café☺"), "text").unwrap();
    std::fs::write(directory.join("café"), "octets").unwrap();
    for which in ["bytes", "text", "octets"] {
        assert_eq!(lab.get(&format!("/?{which}")).text(), which);
    }
}

#[test]
fn body_9_body_10_handles_that_cannot_be_read() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            open my $closed, '<', $INC{'Lab.pm'} or die;
            close $closed;
            open my $write_only, '>', "$ENV{LAB_NOTES}.out" or die;
            pipe my $pipe, my $writer or die;
            my %case = (closed => { fh => $closed }, 'write only' => { fh => $write_only }, 'seek on a pipe' => { fh => $pipe, offset => 5 },
                string => { fh => 'STDOUT of nothing' }, number => { fh => 42 }, hash => { fh => {} }, code => { fh => sub { } });
            my @results;
            for my $name (sort keys %case) {
                push @results, "$name: " . await outcome($send->({ type => 'http.response.body', %{ $case{$name} } }));
            }
            await body($send, join "\n", map { s/\n/ /gr } @results);
        };"#,
    );
    let response = lab.get("/");
    assert!(response.complete, "{response:?}");
    assert_eq!(response.lines().len(), 7);
    for line in response.lines() {
        assert!(line.contains(": failed: "), "{line}");
    }
}

#[test]
fn body_10_resp_5_a_handle_that_breaks_half_way_cuts_the_response() {
    let lab = Lab::new(
        r#"package Broken;
        sub TIEHANDLE { bless { reads => 0 }, shift }
        sub READ { my $self = shift; die "the disk is gone\n" if $self->{reads}++ > 2; $_[0] = 'x' x $_[1]; $_[1] }
        sub CLOSE { 1 }
        package main;
        use Symbol;
        route '/' => async sub ($scope, $receive, $send) {
            my $fh = Symbol::gensym();
            tie *$fh, 'Broken';
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
            $scope->{'pagi.connection'}->on_complete(sub { note('complete') });
            await start($send, 200);
            note((await outcome($send->({ type => 'http.response.body', fh => $fh }))) =~ /^(failed: the disk is gone)/);
        };"#,
    );
    let reply = lab.exchange(get("/"));
    assert!(!reply.response.complete);
    assert!(!reply.bytes.ends_with(b"0\r\n\r\n"));
    lab.wait_for_note("failed: the disk is gone");
    lab.wait_for_note("server_error");
    assert!(!lab.notes().contains(&"complete".to_owned()));
}

#[test]
fn body_12_more_and_less_than_the_declared_length() {
    let lab = Lab::new(
        r#"route '/more' => async sub ($scope, $receive, $send) {
            await start($send, 200, [ 'content-length', 5 ]);
            await body($send, 'abc', 1);
            note((await outcome(body($send, 'defg'))) =~ s/ at .*//rs);
            await body($send, 'de');
        };
        route '/less' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note("less $reason") });
            await start($send, 200, [ 'content-length', 5 ]);
            await body($send, 'abcd');
        };
        route '/file' => async sub ($scope, $receive, $send) {
            await start($send, 200, [ 'content-length', 5 ]);
            my $result = await outcome($send->({ type => 'http.response.body', file => $INC{'Lab.pm'} }));
            await body($send, substr $result, 0, 5);
        };
        route '/bad' => async sub ($scope, $receive, $send) {
            my @results;
            for my $value ('x', -1, '5, 5', '', '5.0', '+5', '99999999999999999999') {
                push @results, (await outcome(start($send, 200, [ 'content-length', $value ]))) =~ s/:.*//sr;
            }
            push @results, (await outcome(start($send, 200, [ 'content-length', 5 ], [ 'content-length', 6 ]))) =~ s/:.*//sr;
            await answer($send, 200, "@results");
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/more"));
    assert_eq!(raw.response("GET").text(), "abcde");
    lab.assert_notes(&["failed: http.response.body is 4 bytes, but only 2 are left of the declared content-length"]);
    raw.send(get("/file"));
    assert_eq!(raw.response("GET").text(), "faile");
    let less = lab.exchange(get("/less") + &get("/more"));
    assert_eq!((less.response.body.as_slice(), less.response.complete), (&b"abcd"[..], false));
    assert!(less.bytes.ends_with(b"abcd"));
    lab.wait_for_note("less server_error");
    assert_eq!(lab.get("/bad").text(), ["failed"; 8].join(" "));
}

#[test]
fn body_13_later_1_a_file_cannot_follow_inline_bytes() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            open my $fh, '<', $INC{'Lab.pm'} or die;
            await start($send, 200);
            await body($send, '', 1);
            await body($send, 'inline;', 1);
            my @results = await try_events($send, file => { type => 'http.response.body', file => $INC{'Lab.pm'} },
                fh => { type => 'http.response.body', fh => $fh });
            await body($send, "@results");
        };
        route '/after_nothing' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            await body($send, '', 1);
            await $send->({ type => 'http.response.body', file => $INC{'Lab.pm'}, length => 3 });
        };"#,
    );
    assert_eq!(lab.get("/").text(), "inline;file: failed fh: failed");
    assert_eq!(lab.get("/after_nothing").body.len(), 3);
}

#[test]
fn body_14_body_15_emb_11_a_zoo_of_handles() {
    let lab = Lab::new(
        r#"package Tied;
        sub TIEHANDLE { my ($class, @parts) = @_; bless [@parts], $class }
        sub READ { my $self = shift; my $part = shift @$self // ''; $_[0] = $part; length $part }
        sub CLOSE { 1 }
        package main;
        use Symbol; use IO::Handle; use IO::File;
        my $path = "$ENV{LAB_NOTES}.txt";
        sub opened ($mode) { open my $fh, $mode, $path or die "cannot open $path: $!"; return $fh }
        my %make = (
            'memory' => sub { open my $fh, '<', \'in memory' or die; $fh },
            'memory_positioned' => sub { open my $fh, '<', \'in memory' or die; seek $fh, 3, 0; $fh },
            'plain' => sub { opened('<') },
            'half_read' => sub { my $fh = opened('<'); my $line = <$fh>; $fh },
            'unbuffered' => sub { my $fh = opened('<:unix'); sysread $fh, my $b, 4; $fh },
            'crlf' => sub { opened('<:crlf') },
            'encoding' => sub { opened('<:encoding(UTF-16BE)') },
            'io_file' => sub { IO::File->new($path, 'r') },
            'pipe' => sub { open my $fh, '-|', 'printf piped' or die; $fh },
            'tied' => sub { my $fh = Symbol::gensym(); tie *$fh, 'Tied', 'ti', 'ed', ''; $fh },
            'glob' => sub { open GLOBBED, '<', $path or die; \*GLOBBED },
            'seeked' => sub { my $fh = opened('<'); seek $fh, 10, 0; $fh },
        );
        route '*' => async sub ($scope, $receive, $send) {
            my $name = substr $scope->{path}, 1;
            my ($offset, $length) = split /,/, $scope->{query_string};
            my $fh = $make{$name}->();
            await start($send, 200);
            my %range = (defined $offset && length $offset ? (offset => $offset) : (), defined $length ? (length => $length) : ());
            await $send->({ type => 'http.response.body', fh => $fh, %range });
            close $fh;
        };"#,
    );
    std::fs::write(lab.server.path("notes.txt"), "line one\r\nline two\r\n").unwrap();
    let mut raw = lab.connect();
    for (path, expected) in [
        ("/memory", "in memory"),
        ("/memory?3", "memory"),
        ("/memory?3,3", "mem"),
        ("/memory_positioned", "memory"),
        ("/memory_positioned?0", "in memory"),
        ("/plain", "line one\r\nline two\r\n"),
        ("/plain?5,3", "one"),
        ("/half_read", "line two\r\n"),
        ("/half_read?5,3", "one"),
        ("/unbuffered", " one\r\nline two\r\n"),
        ("/crlf", "line one\nline two\n"),
        ("/io_file", "line one\r\nline two\r\n"),
        ("/pipe", "piped"),
        ("/tied", "tied"),
        ("/glob", "line one\r\nline two\r\n"),
        ("/seeked", "line two\r\n"),
        ("/seeked?,4", "line"),
    ] {
        raw.send(get(path));
        assert_eq!(raw.response("GET").text(), expected, "{path}");
    }
    // A layer that yields characters above 0xFF yields no bytes: the send fails, nothing is made up.
    raw.send(get_and_close("/encoding"));
    raw.read_to_end();
    assert!(!raw.received.ends_with(b"0\r\n\r\n") || contains(&raw.received, b" 500 "), "{}", raw.shown());
}

#[test]
fn trlr_1_trlr_2_trlr_3_trailers_over_chunked() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_complete(sub { note('complete') });
            await $send->({ type => 'http.response.start', status => 200, trailers => 1 });
            await body($send, 'body');
            note('body sent', $scope->{'pagi.connection'}->response_complete);
            await Future::IO->sleep(0.2);
            await $send->({ type => 'http.response.trailers', headers => [ [ 'x-sum', '4' ], [ 'x-two', '' ] ] });
            note('after', $scope->{'pagi.connection'}->response_complete);
        };
        route '/promised' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'http.response.start', status => 200, trailers => 1 });
            await body($send, 'body');
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    raw.read_until_contains("4\r\nbody\r\n");
    lab.wait_for_note("body sent 0");
    assert!(raw.received.ends_with(b"4\r\nbody\r\n"), "{}", raw.shown());
    raw.read_until_contains("\r\nx-two");
    assert!(contains(&raw.received, b"4\r\nbody\r\n0\r\nx-sum: 4\r\nx-two: "), "{}", raw.shown());
    let response = raw.response("GET");
    assert_eq!(response.trailers, [("x-sum".to_owned(), b"4".to_vec()), ("x-two".to_owned(), Vec::new())]);
    lab.wait_for_note("complete");
    lab.wait_for_note("after 1");
    // Promised and never sent: incomplete (RESP-5).
    let broken = lab.exchange(get("/promised"));
    assert!(broken.bytes.ends_with(b"4\r\nbody\r\n"));
}

#[test]
fn trlr_4_trlr_6_trlr_8_trailers_need_chunked_framing() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @length = $scope->{query_string} ? [ 'content-length', 4 ] : ();
            $scope->{'pagi.connection'}->on_complete(sub { note('complete') });
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
            await $send->({ type => 'http.response.start', status => 200, trailers => 1, headers => [@length] });
            await body($send, 'body');
            note((await outcome($send->({ type => 'http.response.trailers', headers => [ [ 'x', 'y' ] ] }))) =~ s/:.*//sr);
        };"#,
    );
    let with_length = lab.exchange(get("/?length"));
    assert_eq!(with_length.response.body, b"body");
    assert!(!contains(&with_length.bytes, b"x: y"));
    lab.assert_notes(&["failed", "server_error"]);
    let old = lab.exchange(get_1_0("/", ""));
    assert!(!contains(&old.bytes, b"x: y"));
    pagi_tests::patience::await_that("notes on 1.0", || lab.notes().len() == 4);
    assert_eq!(lab.notes()[2..], ["failed", "server_error"]);
    let mut raw = lab.connect();
    raw.send(request("HEAD", "/?length", "") + &request("HEAD", "/", ""));
    raw.response("HEAD");
    raw.response("HEAD");
    pagi_tests::patience::await_that("notes of HEAD", || lab.notes().len() == 8);
    assert_eq!(lab.notes().iter().filter(|note| *note == "ok").count(), 2);
    assert_eq!(lab.notes().iter().filter(|note| *note == "complete").count(), 2);
}

#[test]
fn head_1_head_2_head_3_head_4_head_5_head_7_head_is_get_without_content() {
    let lab = Lab::new(
        r#"# A constant in a loop with await is undefined after the third time (Future::AsyncAwait 0.63).
        my $block = 'x' x 100_000;
        route '/' => async sub ($scope, $receive, $send) {
            my $connection = $scope->{'pagi.connection'};
            $connection->on_complete(sub { note($scope->{method}, 'complete', $connection->response_complete) });
            my @length = $scope->{query_string} ? [ 'content-length', 1_000_000 ] : ();
            my @r = await outcome(start($send, 200, [ 'x-method', $scope->{method} ], @length));
            my $left = 1_000_000;
            while ($left) {
                push @r, await outcome(body($send, $block, $left > 100_000));
                $left -= 100_000;
            }
            push @r, (await outcome(body($send, 'more'))) =~ s/:.*//sr;
            note($scope->{method}, @r);
        };
        route '/bad' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            my @r = await try_events($send,
                offset => { type => 'http.response.body', file => '/nonexistent', offset => -1 },
                wide => { type => 'http.response.body', body => "\x{263A}" },
                two => { type => 'http.response.body', body => 'x', file => '/x' },
                start => { type => 'http.response.start', status => 200 },
                body => { type => 'http.response.body', body => 'x' });
            note(@r);
        };"#,
    );
    for version in ["1.1", "1.0"] {
        for path in ["/?length", "/"] {
            let reply = lab.exchange(format!("HEAD {path} HTTP/{version}\r\nHost: lab\r\nConnection: close\r\n\r\n"));
            assert_eq!(reply.bytes, reply.response.head, "{path} {version}");
            assert_eq!(reply.response.header("x-method"), Some("HEAD"));
            assert_eq!(reply.response.header("content-length"), (path == "/?length").then_some("1000000"));
            assert_eq!(reply.response.header("transfer-encoding"), None);
        }
    }
    pagi_tests::patience::await_that("notes of four requests", || lab.notes().len() == 8);
    let before = lab.notes().len();
    let mut raw = lab.connect();
    raw.send(request("HEAD", "/?length", "") + &request("HEAD", "/", "") + &get("/?length"));
    raw.response("HEAD");
    raw.response("HEAD");
    assert_eq!(raw.response("GET").body.len(), 1_000_000);
    pagi_tests::patience::await_that("all notes", || lab.notes().len() == before + 6);
    let of = |method: &str| {
        let mut notes: Vec<String> =
            lab.notes()[before..].iter().filter_map(|note| note.strip_prefix(method).map(str::to_owned)).collect();
        notes.sort();
        notes.dedup();
        notes
    };
    assert_eq!(of("HEAD"), of("GET"));
    raw.send(request("HEAD", "/bad", ""));
    raw.response("HEAD");
    lab.wait_for_note("offset: failed wide: failed two: failed start: failed body: ok");
}

#[test]
fn head_6_files_and_handles_are_not_touched() {
    let lab = Lab::new(
        r#"route '/file' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            note(await outcome($send->({ type => 'http.response.body', file => '/nonexistent/file' })));
        };
        route '/fh' => async sub ($scope, $receive, $send) {
            open my $fh, '<', $INC{'Lab.pm'} or die;
            seek $fh, 5, 0;
            await start($send, 200);
            note(await outcome($send->({ type => 'http.response.body', fh => $fh, offset => 2 })), tell $fh);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(request("HEAD", "/file", "") + &request("HEAD", "/fh", ""));
    for _ in 0..2 {
        let response = raw.response("HEAD");
        assert_eq!((response.status, response.header("content-length")), (200, None));
    }
    lab.assert_notes(&["ok", "ok 5"]);
}

#[test]
fn stat_1_stat_2_stat_3_statuses_without_content() {
    let lab = Lab::new(
        r#"route '*' => async sub ($scope, $receive, $send) {
            my ($status, $length, $text) = split /,/, $scope->{query_string};
            await start($send, $status, $length ? [ 'content-length', $length ] : ());
            note(await outcome(body($send, $text // '')));
        };"#,
    );
    let mut raw = lab.connect();
    for (query, length) in [
        ("204", None),
        ("204,5", None),
        ("204,,hello", None),
        ("204,5,hello", None),
        ("304", None),
        ("304,5", Some("5")),
        ("304,,hello", None),
        ("304,5,hello", Some("5")),
        ("205", Some("0")),
        ("205,5,hello", Some("0")),
        ("205,,hello", Some("0")),
    ] {
        raw.send(get(&format!("/?{query}")) + &get("/?200,2,ok"));
        let response = raw.response("GET");
        assert_eq!(response.status.to_string(), query[..3], "{query}");
        assert_eq!(response.header("transfer-encoding"), None, "{query}");
        assert_eq!(response.header("content-length"), length, "{query}");
        assert_eq!(response.body, b"", "{query}");
        assert_eq!(raw.response("GET").text(), "ok", "{query}: the connection is out of step");
    }
    assert!(lab.notes().iter().all(|note| note == "ok"));
}

#[test]
fn resp_1_resp_2_conn_11_the_backstop_and_its_callbacks() {
    let lab = Lab::new(
        r#"my $prepare = sub ($scope) {
            my $connection = $scope->{'pagi.connection'};
            $connection->on_complete(sub { note('complete') });
            $connection->on_disconnect(sub ($reason) {
                note($reason, map { $_ ? 'yes' : 'no' } $connection->response_started, $connection->is_connected);
            });
        };
        route '/return' => async sub ($scope, $receive, $send) { $prepare->($scope); return };
        route '/die' => async sub ($scope, $receive, $send) { $prepare->($scope); die "declined\n" };
        route '/later' => async sub ($scope, $receive, $send) {
            $prepare->($scope);
            await Future::IO->sleep(0.01);
            die "declined later\n";
        };"#,
    );
    for path in ["/return", "/die", "/later"] {
        let before = lab.notes().len();
        let reply = lab.exchange(get(path) + &get("/return"));
        assert_eq!((reply.response.status, reply.response.header("connection")), (500, Some("close")));
        assert_eq!(reply.end, End::Eof);
        pagi_tests::patience::await_that("the callback runs", || lab.notes().len() > before);
        assert_eq!(lab.notes()[before..], ["server_error yes no"], "{path}");
    }
    assert!(lab.server.has_said("without starting a response"));
    assert!(lab.server.has_said("declined later"));
}

#[test]
fn resp_3_resp_9_nothing_is_made_up_or_logged_for_a_client_that_has_gone() {
    let lab = Lab::new(
        r#"route '*' => async sub ($scope, $receive, $send) {
            if ($scope->{query_string} =~ /started/) {
                await start($send, 200);
                await body($send, 'part', 1);
            }
            note('here');
            await $scope->{'pagi.connection'}->disconnect_future;
            note('gone', $scope->{'pagi.connection'}->disconnect_reason);
            die "too late\n" if $scope->{query_string} =~ /die/;
        };"#,
    );
    for query in ["return", "die", "started-return", "started-die"] {
        let before = lab.notes().len();
        let mut raw = lab.connect();
        raw.send(get(&format!("/?{query}")));
        pagi_tests::patience::await_that("the handler runs", || lab.notes().len() > before);
        if query.starts_with("started") {
            raw.read_until_contains("part");
        }
        drop(raw);
        pagi_tests::patience::await_that("the client is gone", || lab.notes().len() > before + 1);
        assert_eq!(lab.notes().pop().unwrap(), "gone client_closed");
    }
    assert!(!lab.server.has_said("ERROR"), "{}", lab.server.log());
}

#[test]
fn resp_5_resp_6_resp_7_resp_8_resp_10_amb_9_unfinished_responses_are_visibly_cut() {
    let lab = Lab::new(
        r#"route '*' => async sub ($scope, $receive, $send) {
            my ($length, $part, $end) = $scope->{query_string} =~ /^(\w+)-(\w+)-(\w+)$/;
            $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
            $scope->{'pagi.connection'}->on_complete(sub { note('complete') });
            await start($send, 299, $length eq 'length' ? [ 'content-length', 100 ] : ());
            await body($send, 'part', 1) if $part eq 'part';
            await Future::IO->sleep(0.01) if $end eq 'later';
            die "half way\n" if $end ne 'return';
        };"#,
    );
    for length in ["length", "chunked"] {
        for part in ["part", "nothing"] {
            for end in ["return", "die", "later"] {
                let path = format!("/?{length}-{part}-{end}");
                let before = lab.notes().len();
                let reply = lab.exchange(get(&path) + &get("/?chunked-part-return"));
                assert_eq!(reply.response.status, 299, "{path}");
                assert!(!reply.response.complete, "{path}");
                assert_eq!(reply.response.body, if part == "part" { &b"part"[..] } else { b"" }, "{path}");
                let content = &reply.bytes[reply.response.head.len()..];
                assert!(!content.ends_with(b"0\r\n\r\n"), "{path}");
                let heads = reply.bytes.windows(9).filter(|window| window == b"HTTP/1.1 ").count();
                assert_eq!(heads, 1, "{path}: a pipelined request was answered");
                pagi_tests::patience::await_that("the callback runs", || lab.notes().len() > before);
                assert_eq!(lab.notes()[before..], ["server_error"], "{path}");
                // A body that ends with the connection is only seen to be cut when the connection is reset.
                let mut old = lab.connect();
                old.send(get_1_0(&path, ""));
                let end = old.read_to_end();
                let told = length == "length" || end == End::Reset;
                assert!(told, "{path} on 1.0 looks complete: {}", old.shown());
                pagi_tests::patience::await_that("the callback runs", || lab.notes().len() > before + 1);
            }
        }
    }
    assert!(lab.server.has_said("before its response was complete"));
    assert!(lab.server.has_said("half way"));
}

#[test]
fn srv_1_srv_12_date_and_server_are_added_once() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) { await answer($send, 200, 'x') };
        route '/own' => async sub ($scope, $receive, $send) {
            await answer($send, 200, 'x', [ 'date', 'Tue, 15 Nov 1994 08:12:31 GMT' ], [ 'server', 'mine' ]);
        };"#,
    );
    for request in [get_and_close("/"), get_1_0("/", ""), request("HEAD", "/", "Connection: close\r\n")] {
        let response = lab.exchange(request).response;
        let date = response.header("date").expect("a date");
        let words: Vec<&str> = date.split(' ').collect();
        assert!(words.len() == 6 && words[0].ends_with(',') && words[5] == "GMT" && date.len() == 29, "{date}");
        assert!(response.header("server").expect("a name").starts_with("PAGI::Server/"));
    }
    let own = lab.get("/own");
    assert_eq!((own.header("date"), own.header("server")), (Some("Tue, 15 Nov 1994 08:12:31 GMT"), Some("mine")));
}

#[test]
fn srv_2_srv_3_srv_5_framing_and_keep_alive() {
    let lab = Lab::new(
        r#"route '/length' => async sub ($scope, $receive, $send) { await answer($send, 200, 'hello') };
        route '/unknown' => async sub ($scope, $receive, $send) { await start($send, 200); await body($send, 'hello') };"#,
    );
    // (request line and fields, transfer-encoding, content-length, connection, whether it stays open)
    for (path, version, fields, coding, length, connection, open) in [
        ("/length", "1.1", "", None, Some("5"), None, true),
        ("/unknown", "1.1", "", Some("chunked"), None, None, true),
        ("/length", "1.1", "Connection: close\r\n", None, Some("5"), Some("close"), false),
        ("/unknown", "1.1", "Connection: close\r\n", Some("chunked"), None, Some("close"), false),
        ("/length", "1.1", "Connection: keep-alive\r\n", None, Some("5"), None, true),
        ("/length", "1.0", "", None, Some("5"), Some("close"), false),
        ("/unknown", "1.0", "", None, None, Some("close"), false),
        ("/length", "1.0", "Connection: keep-alive\r\n", None, Some("5"), Some("keep-alive"), true),
        ("/unknown", "1.0", "Connection: keep-alive\r\n", None, None, Some("close"), false),
        ("/length", "1.0", "Connection: close\r\n", None, Some("5"), Some("close"), false),
    ] {
        let case = format!("{path} {version} {fields}");
        let head = format!("GET {path} HTTP/{version}\r\nHost: lab\r\n{fields}\r\n");
        let mut raw = lab.connect();
        raw.send(&head);
        let response = if open {
            let response = raw.response("GET");
            raw.send(&head);
            raw.response("GET");
            response
        } else {
            assert_eq!(raw.read_to_end(), End::Eof, "{case}");
            pagi_tests::http::Response::parse(&raw.received, "GET").unwrap().unwrap().0
        };
        assert_eq!(response.header("transfer-encoding"), coding, "{case}");
        assert_eq!(response.header("content-length"), length, "{case}");
        assert_eq!(response.header("connection"), connection, "{case}");
        assert_eq!(response.text(), "hello", "{case}");
        assert!(response.status_line.starts_with("HTTP/1.1 200 OK"), "{}", response.status_line);
    }
}

#[test]
fn srv_6_srv_7_srv_8_srv_9_srv_11_refusals_are_short_plain_texts() {
    let lab = Lab::new("route '*' => async sub { note('called') };");
    let long = "x".repeat(9000);
    for (status, bytes) in [
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (413, request("POST", "/", "Content-Length: 10000001\r\n")),
        (414, get(&format!("/{long}"))),
        (431, request("GET", "/", &format!("X: {long}\r\n"))),
        (501, request("POST", "/", "Transfer-Encoding: foo\r\n")),
        (501, request("CONNECT", "lab:80", "")),
        (505, "GET / HTTP/3.0\r\nHost: lab\r\n\r\n".to_owned()),
    ] {
        let reply = lab.exchange(&bytes);
        let response = reply.response;
        assert_eq!(response.status, status);
        assert_eq!(response.header("content-type"), Some("text/plain"), "{status}");
        assert_eq!(response.header("connection"), Some("close"), "{status}");
        assert!(response.header("date").is_some() && !response.body.is_empty() && response.body.len() < 100);
        assert!(response.complete, "{status}");
    }
    assert_eq!(lab.notes(), [""; 0]);
}

#[test]
fn amb_17_empty_body_events_write_nothing() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            for my $text ('', 'a', '', '', 'b', '') { await body($send, $text, 1) }
            await body($send, '');
        };"#,
    );
    let reply = lab.exchange(get_and_close("/"));
    assert!(reply.bytes.ends_with(b"\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n"), "{}", reply.bytes.escape_ascii());
}

#[test]
fn scope_5_ext_1_ext_2_ext_3_ext_4_ext_5_fullflush_only_when_advertised() {
    let handlers = r#"route '/' => async sub ($scope, $receive, $send) {
        my $extensions = $scope->{extensions};
        my $keys = join ',', map { "$_=" . ref $extensions->{$_} } sort keys %$extensions;
        my $result = await outcome($send->({ type => 'http.fullflush', zzz => 1 }));
        if ($scope->{type} eq 'sse') {
            await $send->({ type => 'sse.start' });
            return await $send->({ type => 'sse.send', data => "$keys " . ($result =~ s/ at .*//rs) });
        }
        await answer($send, 200, "$keys " . ($result =~ s/ at .*//rs));
    };"#;
    let with = Lab::new(handlers);
    assert_eq!(with.get("/").text(), "fullflush=HASH ok");
    assert_eq!(with.get_with("/", "Accept: text/event-stream\r\n").text(), "data: fullflush=HASH ok\n\n");
    let without = Lab::with(handlers, &["--no-fullflush"]);
    assert_eq!(without.get("/").text(), " failed: Extension not enabled: fullflush");
    assert_eq!(
        without.get_with("/", "Accept: text/event-stream\r\n").text(),
        "data:  failed: Extension not enabled: fullflush\n\n"
    );
}

#[test]
fn amb_6_fullflush_on_http_and_sse() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => 'x' });
            await $send->({ type => 'http.fullflush' });
            note('flushed');
            await $send->({ type => 'sse.close' });
            note((await outcome($send->({ type => 'http.fullflush' }))) =~ s/ at .*//rs);
        };"#,
    );
    assert_eq!(lab.get_with("/", "Accept: text/event-stream\r\n").text(), "data: x\n\n");
    lab.wait_for_note("flushed");
}

#[test]
fn http_7_recv_8_an_unread_body_is_never_a_request() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) { note("$scope->{method} $scope->{path}"); await answer($send, 404, 'no') };
        route '/evil' => async sub ($scope, $receive, $send) { note('evil') };"#,
    );
    let evil = get("/evil");
    // Small enough to be drained: the connection goes on after the body.
    let mut raw = lab.connect();
    raw.send(request("POST", "/", &format!("Content-Length: {}\r\n", evil.len())) + &evil + &get("/"));
    assert_eq!(raw.response("POST").text(), "no");
    assert_eq!(raw.response("GET").text(), "no");
    let mut raw = lab.connect();
    let chunked = format!("{:x}\r\n{evil}\r\n0\r\n\r\n", evil.len());
    raw.send(request("POST", "/", "Transfer-Encoding: chunked\r\n") + &chunked + &get("/"));
    assert_eq!(raw.response("POST").text(), "no");
    assert_eq!(raw.response("GET").text(), "no");
    // Too large to be drained, or late: answered, then served on or closed, never misread.
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Content-Length: 1000000\r\n"));
    assert_eq!(raw.response("POST").text(), "no");
    raw.offer(evil.repeat(1_000_000 / evil.len() + 1));
    let rest = raw.try_read_to_end();
    assert!(rest.is_ok() && !contains(&raw.received, b"200"), "{rest:?} {}", raw.shown());
    assert!(!lab.notes().contains(&"evil".to_owned()), "{:?}", lab.notes());
}

#[test]
fn http_6_100_continue_comes_with_the_first_read() {
    let lab = Lab::new(
        r#"route '/read' => async sub ($scope, $receive, $send) {
            note('not yet');
            await Future::IO->sleep(0.1);
            my $content = await drain_body($receive);
            await answer($send, 200, "read $content");
        };
        route '/refuse' => async sub ($scope, $receive, $send) { await answer($send, 413, 'no thanks') };
        route '/started' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            await body($send, 'begun ', 1);
            my $content = await drain_body($receive);
            await body($send, $content);
        };"#,
    );
    let expect = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut raw = lab.connect();
    raw.send(request("POST", "/read", expect));
    lab.wait_for_note("not yet");
    assert!(raw.received.is_empty());
    raw.read_until_contains("100 Continue\r\n\r\n");
    assert_eq!(raw.received, interim);
    raw.received.clear();
    raw.send("hello");
    assert_eq!(raw.response("POST").text(), "read hello");
    raw.send(get("/refuse"));
    assert_eq!(raw.response("GET").status, 413);
    // Not read: only the final status, and the connection ends because nobody knows whether a body follows.
    let refused = lab.exchange(request("POST", "/refuse", expect));
    assert_eq!(refused.response.status, 413);
    assert!(refused.bytes.starts_with(b"HTTP/1.1 413"));
    // After the response has begun there is no room for an interim one.
    let mut raw = lab.connect();
    raw.send(request("POST", "/started", expect));
    raw.read_until_contains("begun");
    raw.send("hello");
    assert_eq!(raw.response("POST").text(), "begun hello");
    // On 1.0, without a body, and with another expectation there is none.
    for head in [
        "POST /read HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        request("POST", "/read", "Connection: close\r\nExpect: 100-continue\r\nContent-Length: 0\r\n"),
        request("POST", "/read", "Connection: close\r\nExpect: other\r\nContent-Length: 5\r\n") + "hello",
    ] {
        let reply = lab.exchange(&head);
        assert!(reply.bytes.starts_with(b"HTTP/1.1 200"), "{head}: {}", reply.bytes.escape_ascii());
    }
    let chunked = request("POST", "/read", "expect: 100-CONTINUE\r\nTransfer-Encoding: chunked\r\n");
    let mut raw = lab.connect();
    raw.send(chunked);
    raw.read_until_contains("100 Continue\r\n\r\n");
    raw.send("5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(raw.response("POST").text(), "read hello");
}

#[test]
fn http_4_a_client_that_leaves_in_the_middle_of_a_body() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            while (1) {
                my $event = await $receive->();
                note($event->{type}, $event->{more});
                last if $event->{type} eq 'http.disconnect';
            }
            note($scope->{'pagi.connection'}->disconnect_reason);
        };"#,
    );
    for head in ["Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let before = lab.notes().len();
        let mut raw = lab.connect();
        raw.send(request("POST", "/", head) + "5\r\nhello\r\n");
        pagi_tests::patience::await_that("the first part is read", || lab.notes().len() > before);
        drop(raw);
        pagi_tests::patience::await_that("the end is noted", || lab.notes().last().unwrap() == "client_closed");
        let mut notes = lab.notes().split_off(before);
        assert_eq!(notes.split_off(notes.len() - 2), ["http.disconnect undef", "client_closed"]);
        assert!(notes.iter().all(|note| note == "http.request 1"), "{notes:?}");
    }
}

#[test]
fn amb_12_half_close_is_a_disconnect_unless_tolerated() {
    let handlers = r#"route '/' => async sub ($scope, $receive, $send) {
        $scope->{'pagi.connection'}->on_disconnect(sub ($reason) { note($reason) });
        await Future::IO->sleep(0.2);
        await answer($send, 200, 'answered');
    };"#;
    let strict = Lab::new(handlers);
    let mut raw = strict.connect();
    raw.send(get("/"));
    raw.half_close();
    strict.wait_for_note("client_closed");
    raw.read_to_end();
    assert_eq!(raw.received, b"");
    let tolerant = Lab::with(handlers, &["--tolerate-half-close"]);
    let mut raw = tolerant.connect();
    raw.send(get("/"));
    raw.half_close();
    assert_eq!(raw.response("GET").text(), "answered");
    assert_eq!(raw.read_to_end(), End::Eof);
    // Half-closed in the middle of a body: the rest can never come.
    let mut raw = tolerant.connect();
    raw.send(request("POST", "/", "Content-Length: 10\r\n") + "half");
    raw.half_close();
    tolerant.wait_for_note("client_closed");
}

#[test]
fn emb_3_destructors_and_odd_exits_do_no_harm() {
    let lab = Lab::new(
        r#"package Bomb { sub new { bless {}, shift } sub DESTROY { die "in a destructor\n" } }
        package main;
        route '/destructor' => async sub ($scope, $receive, $send) {
            { my $bomb = Bomb->new; }
            $scope->{bomb} = Bomb->new;
            await answer($send, 200, 'alive');
        };
        route '/next' => async sub ($scope, $receive, $send) {
            $scope->{'pagi.connection'}->on_complete(sub { die Bomb->new });
            await answer($send, 200, 'alive');
        };
        route '/local' => async sub ($scope, $receive, $send) {
            local $SIG{__DIE__} = sub { note('die handler') };
            eval { die "caught\n" };
            await answer($send, 200, 'alive');
        };"#,
    );
    for _ in 0..3 {
        for path in ["/destructor", "/next", "/local"] {
            assert_eq!(lab.get(path).text(), "alive", "{path}");
        }
    }
}

#[test]
fn send_13_pipelined_requests_are_served_in_order_app_2() {
    let lab = Lab::new(
        r#"route '*' => async sub ($scope, $receive, $send) {
            # The first is the slowest.
            await Future::IO->sleep(0.05) if $scope->{path} eq '/0';
            await answer($send, 200, $scope->{path});
        };"#,
    );
    let mut raw: Raw = lab.connect();
    raw.send((0..50).map(|number| get(&format!("/{number}"))).collect::<String>());
    for number in 0..50 {
        assert_eq!(raw.response("GET").text(), format!("/{number}"));
    }
}
