//! What a scope holds: versions, keys, addresses, paths, and how an application is called (protocol sections 1 to 4, 7).

use pagi_tests::http::Response;
use pagi_tests::lab::{Lab, get, get_1_0, get_and_close, request};
use pagi_tests::raw::Raw;

/// Answers with one line for each key of the scope: name, kind of the value, value.
const DUMP: &str = r#"
sub show ($value) {
    return 'undef' unless defined $value;
    return '[' . join(',', map { show($_) } @$value) . ']' if ref $value eq 'ARRAY';
    return '{' . join(',', map { "$_=" . show($value->{$_}) } sort keys %$value) . '}' if ref $value eq 'HASH';
    return ref $value if ref $value;
    return $value;
}
sub dump_scope ($scope) {
    return join '', map { "$_ " . kind_of($scope->{$_}) . ' ' . show($scope->{$_}) . "\n" } sort keys %$scope;
}
route '*' => async sub ($scope, $receive, $send) {
    my $text = dump_scope($scope);
    utf8::encode($text);
    if ($scope->{type} eq 'sse') {
        await $send->({ type => 'sse.http.response.start', status => 200 });
        return await $send->({ type => 'sse.http.response.body', body => $text });
    }
    await answer($send, 200, $text);
};
"#;

fn line<'a>(response: &'a Response, key: &str) -> Option<&'a str> {
    response.lines().into_iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
}

#[test]
fn ver_1_ver_2_ver_3_ver_4_ver_5_ver_6_versions_of_http_and_sse() {
    let lab = Lab::new(&format!(
        "{DUMP}
        route '/kinds' => async sub ($scope, $receive, $send) {{
            await answer($send, 200, join ' ', map {{ $_, kind_of($scope->{{pagi}}{{$_}}) }} sort keys %{{ $scope->{{pagi}} }});
        }};"
    ));
    let expected = Some("HASH {spec_version=0.4,version=0.5}");
    assert_eq!(line(&lab.get("/"), "pagi"), expected);
    assert_eq!(line(&lab.get_with("/", "Accept: text/event-stream\r\n"), "pagi"), expected);
    assert_eq!(lab.get("/kinds").text(), "spec_version str version str");
}

#[test]
fn ver_7_no_features_and_timeout_is_an_unknown_field() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await $send->({ type => 'http.response.start', status => 200, timeout => 1 });
            await $send->({ type => 'http.response.body', timeout => 1,
                body => exists $scope->{'pagi.features'} || exists $scope->{pagi}{features} ? 'there' : 'absent' });
        };"#,
    );
    assert_eq!(lab.get("/").text(), "absent");
}

#[test]
fn scope_2_scope_6_scope_7_scope_11_scope_13_ext_4_every_key_of_http_and_sse() {
    let lab = Lab::new(DUMP);
    let mut keys = Vec::new();
    for (kind, headers) in [("http", ""), ("sse", "Accept: text/event-stream\r\n")] {
        for method in ["GET", "POST", "OPTIONS", "HEAD", "BREW"] {
            for version in ["1.0", "1.1"] {
                if method == "HEAD" {
                    continue;
                }
                let mut raw = lab.connect();
                let port = raw.local_port();
                raw.send(format!(
                    "{method} /caf%C3%A9?q=%20 HTTP/{version}\r\nHost: h\r\nConnection: close\r\n{headers}\r\n"
                ));
                raw.read_to_end();
                let (response, _) = Response::parse(&raw.received, "GET").unwrap().unwrap();
                let server = lab.address().port();
                for (key, expected) in [
                    ("type", format!("str {kind}")),
                    ("http_version", format!("str {version}")),
                    ("method", format!("str {method}")),
                    ("scheme", "str http".to_owned()),
                    ("path", "str /café".to_owned()),
                    ("raw_path", "str /caf%C3%A9".to_owned()),
                    ("query_string", "str q=%20".to_owned()),
                    ("root_path", "str ".to_owned()),
                    ("client", format!("ARRAY [127.0.0.1,{port}]")),
                    ("server", format!("ARRAY [127.0.0.1,{server}]")),
                    ("state", "HASH {}".to_owned()),
                    ("extensions", "HASH {fullflush={}}".to_owned()),
                ] {
                    assert_eq!(line(&response, key), Some(expected.as_str()), "{key} of {kind} {method} {version}");
                }
                keys = response.lines().iter().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect();
                assert_eq!(keys.contains(&"pagi.connection".to_owned()), kind == "http", "{kind} {method}");
            }
        }
    }
    let known = "client extensions headers http_version method pagi pagi.transport path query_string raw_path root_path \
                 scheme server state type";
    assert_eq!(keys.join(" "), known);
}

#[test]
fn scope_7_data_3_ports_are_integers_and_headers_are_pairs_hdr_3() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $event = await $receive->();
            my @pairs = grep { ref $_ ne 'ARRAY' || @$_ != 2 } @{ $scope->{headers} };
            await answer($send, 200, join ' ', map({ kind_of($_) } $scope->{client}[1], $scope->{server}[1], $event->{more}),
                scalar @pairs);
        };"#,
    );
    assert_eq!(lab.get("/").text(), "int int int 0");
}

#[test]
fn scope_6_scope_7_unix_socket_has_no_client() {
    let setup = Lab::setup(DUMP);
    let socket = setup.path("app.sock");
    let server = setup.listens_elsewhere().arg("--socket").arg(&socket).start();
    let answer =
        pagi_tests::curl::curl(["--unix-socket".as_ref(), socket.as_os_str(), std::ffi::OsStr::new("http://h/")]);
    assert_eq!(answer.status, 200, "{}", server.log());
    assert!(!answer.text().contains("client "), "{}", answer.text());
    assert!(answer.text().contains(&format!("server ARRAY [{},undef]\n", socket.display())), "{}", answer.text());
}

#[test]
fn scope_7_ipv6_listener() {
    let server = Lab::setup(DUMP).listens_elsewhere().args(["--listen", "[::1]:0"]).start();
    let mut raw = Raw::connect(server.address());
    let port = raw.local_port();
    raw.send(get_and_close("/"));
    let response = raw.response("GET");
    assert_eq!(line(&response, "client"), Some(format!("ARRAY [::1,{port}]").as_str()));
    assert_eq!(line(&response, "server"), Some(format!("ARRAY [::1,{}]", server.address().port()).as_str()));
}

#[test]
fn scope_1_scope_14_scope_8_a_scope_is_the_applications_own() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $clean = !exists $scope->{mine} && !exists $scope->{state}{mine} && !exists $scope->{pagi}{mine}
                && !exists $scope->{extensions}{mine} && !exists $scope->{extensions}{fullflush}{mine}
                && @{ $scope->{client} } == 2 && @{ $scope->{server} } == 2
                && !grep { $_->[0] eq 'mine' || $_->[1] eq 'changed' } @{ $scope->{headers} };
            $scope->{mine} = 1;
            $scope->{state}{mine} = 1;
            $scope->{pagi}{mine} = 1;
            $scope->{extensions}{mine} = {};
            $scope->{extensions}{fullflush}{mine} = 1;
            push @{ $scope->{headers} }, [ mine => 1 ];
            $_->[1] = 'changed' for @{ $scope->{headers} };
            push @{ $scope->{client} }, 1;
            push @{ $scope->{server} }, 1;
            delete $scope->{type};
            await answer($send, 200, $clean ? 'clean' : 'dirty');
        };"#,
    );
    let mut raw = lab.connect();
    for _ in 0..3 {
        raw.send(get("/"));
        assert_eq!(raw.response("GET").text(), "clean");
    }
}

#[test]
fn scope_3_scope_8_state_is_a_shallow_copy_of_the_lifespan_state() {
    let setup = pagi_tests::server::Setup::perl(
        r#"use strict; use warnings; use Future::AsyncAwait;
        async sub app {
            my ($scope, $receive, $send) = @_;
            if ($scope->{type} eq 'lifespan') {
                await $receive->();
                $scope->{state}{shared} = { address => 0 };
                $scope->{state}{shared}{address} = "$scope->{state}{shared}";
                await $send->({ type => 'lifespan.startup.complete' });
                await $receive->();
                return await $send->({ type => 'lifespan.shutdown.complete' });
            }
            my $same = "$scope->{state}{shared}" eq $scope->{state}{shared}{address};
            my $count = ++$scope->{state}{shared}{count};
            my $own = exists $scope->{state}{own} ? 'leaked' : 'private';
            $scope->{state}{own} = 1;
            await $send->({ type => 'http.response.start', status => 200 });
            await $send->({ type => 'http.response.body', body => "$same $count $own" });
        }
        \&app;"#,
    );
    let server = setup.start();
    let mut raw = Raw::connect(server.address());
    for count in 1..4 {
        raw.send(get("/"));
        assert_eq!(raw.response("GET").text(), format!("1 {count} private"));
    }
}

#[test]
fn scope_4_emb_5_conn_25_scopes_are_freed() {
    let lab = Lab::new(
        r#"use Scalar::Util 'weaken';
        my @seen;
        my @loops;
        sub watch ($scope) { push @seen, $scope; weaken $seen[-1]; }
        route '/plain' => async sub ($scope, $receive, $send) { watch($scope); await answer($send, 200, 'x') };
        route '/capture' => async sub ($scope, $receive, $send) {
            watch($scope);
            $scope->{'pagi.connection'}->on_complete(sub { $scope->{done}++ });
            $scope->{'pagi.connection'}->on_disconnect(sub { $scope->{gone}++; @$scope{qw(r s)} = ($receive, $send) });
            $scope->{'pagi.transport'}->on_drain(sub { $scope->{drained}++ });
            $receive->()->on_ready(sub { $scope->{ready}++ });
            await answer($send, 200, 'x');
        };
        route '/die' => async sub ($scope, $receive, $send) {
            watch($scope);
            $scope->{'pagi.connection'}->on_disconnect(sub { $scope->{gone}++ });
            die "on purpose\n";
        };
        route '/wait' => async sub ($scope, $receive, $send) {
            watch($scope);
            $scope->{'pagi.connection'}->on_disconnect(sub { $scope->{gone}++ });
            note('waiting');
            await $receive->();
            await $receive->();
            note('left');
        };
        route '/stream' => async sub ($scope, $receive, $send) {
            watch($scope);
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.keepalive', interval => 10 });
            await $send->({ type => 'sse.close' });
        };
        route '/alive' => async sub ($scope, $receive, $send) {
            await answer($send, 200, scalar(@seen) . ' ' . grep { defined } @seen);
        };"#,
    );
    for _ in 0..3 {
        lab.get("/plain");
        lab.get("/capture");
        lab.get("/die");
        lab.get_with("/stream", "Accept: text/event-stream\r\n");
    }
    let mut raw = lab.connect();
    raw.send(get("/wait"));
    lab.wait_for_note("waiting");
    drop(raw);
    lab.wait_for_note("left");
    pagi_tests::patience::await_that("all scopes are freed", || lab.get("/alive").text() == "13 0");
}

#[test]
fn scope_9_scope_10_mid_1_mid_2_ten_wrappers_share_the_handles() {
    let lab = Lab::new(
        r#"my $inner = async sub ($scope, $receive, $send) {
            my $event = await $receive->();
            $scope->{'pagi.connection'}->on_complete(sub { note('complete') });
            await answer($send, 200, "depth $scope->{depth} $event->{body} "
                . ($scope->{'pagi.connection'} == $scope->{outermost} ? 'same' : 'other'));
        };
        sub wrap ($app) {
            return async sub ($scope, $receive, $send) {
                my %clone = (%$scope, depth => ($scope->{depth} // 0) + 1);
                $clone{outermost} //= $scope->{'pagi.connection'};
                # What is written here is never read back by the server.
                @clone{qw(method http_version path)} = ('HEAD', '1.0', '/elsewhere');
                @$scope{qw(method http_version)} = ('HEAD', '1.0');
                await $app->(
                    \%clone,
                    async sub { return await $receive->() },
                    async sub ($event) {
                        $event = { %$event, headers => [ @{ $event->{headers} // [] }, [ 'x-wrap' => $clone{depth} ] ] };
                        await $send->($event);
                    });
                note("$clone{depth} saw the start") if $scope->{'pagi.connection'}->response_started;
            };
        }
        $inner = wrap($inner) for 1 .. 10;
        route '/' => $inner;"#,
    );
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Content-Length: 5\r\n") + "hello" + &get_and_close("/"));
    let response = raw.response("POST");
    assert_eq!(response.text(), "depth 10 hello same");
    assert_eq!(response.header_all("x-wrap"), ["10", "9", "8", "7", "6", "5", "4", "3", "2", "1"]);
    assert_eq!(raw.response("GET").text(), "depth 10  same");
    lab.wait_for_note("1 saw the start");
    lab.wait_for_note("complete");
}

#[test]
fn mid_1_emb_16_an_exception_object_passes_through_wrappers_unchanged() {
    let lab = Lab::new(
        r#"package Oops { sub new { bless { code => 409 }, shift } }
        my $app = async sub ($scope, $receive, $send) { await Future::IO->sleep(0.01); die Oops->new };
        for (1 .. 3) {
            my $inner = $app;
            $app = async sub ($scope, $receive, $send) { await $inner->($scope, $receive, $send) };
        }
        route '/' => async sub ($scope, $receive, $send) {
            my $done = eval { await $app->($scope, $receive, $send); 1 };
            my $error = $@;
            await answer($send, ref $error eq 'Oops' ? $error->{code} : 500, 'caught');
        };"#,
    );
    assert_eq!(lab.get("/").status, 409);
}

#[test]
fn mid_3_send_8_amb_10_late_calls_are_harmless() {
    let lab = Lab::new(
        r#"my ($old_receive, $old_send, $old_scope);
        route '/first' => async sub ($scope, $receive, $send) {
            ($old_receive, $old_send, $old_scope) = ($receive, $send, $scope);
            await answer($send, 200, 'first');
        };
        route '/second' => async sub ($scope, $receive, $send) {
            my $event = await $old_receive->();
            my $sent = await outcome($old_send->({ type => 'http.response.body', body => 'late' }));
            my $bogus = await outcome($old_send->('bogus'));
            await answer($send, 200, "$event->{type} " . join ' ', map { s/:.*//sr } $sent, $bogus);
        };"#,
    );
    // Once its connection is closed nothing of a request is out of sequence any more (AMB-10).
    let mut raw = lab.connect();
    raw.send(get_and_close("/first"));
    raw.read_to_end();
    drop(raw);
    // The server may need a moment to notice.
    let silent = pagi_tests::patience::poll(std::time::Duration::from_secs(5), || {
        lab.get("/second").text() == "http.disconnect ok ok"
    });
    assert!(silent, "{}", lab.get("/second").text());
}

#[test]
fn path_1_path_2_path_3_path_4_path_7_path_9_path_10_table() {
    let lab = Lab::new(
        r#"route '*' => async sub ($scope, $receive, $send) {
            my $path = join ' ', map { sprintf '%x', ord } split //, $scope->{path};
            my $text = "$path|$scope->{raw_path}|$scope->{query_string}";
            if ($scope->{type} eq 'sse') {
                await $send->({ type => 'sse.http.response.start', status => 200 });
                return await $send->({ type => 'sse.http.response.body', body => $text });
            }
            await answer($send, 200, $text);
        };"#,
    );
    for (target, characters, raw_path, query) in [
        ("/a%2Fb?x", "/a/b", "/a%2Fb", "x"),
        ("/users/%E4%B8%AD%E6%96%87", "/users/中文", "/users/%E4%B8%AD%E6%96%87", ""),
        ("/users/%FF%FE", "/users/\u{ff}\u{fe}", "/users/%FF%FE", ""),
        ("/%C0%80", "/\u{c0}\u{80}", "/%C0%80", ""),
        ("/%ED%A0%80", "/\u{ed}\u{a0}\u{80}", "/%ED%A0%80", ""),
        ("/%F4%90%80%80", "/\u{f4}\u{90}\u{80}\u{80}", "/%F4%90%80%80", ""),
        ("/%F0%9F%90%AA", "/🐪", "/%F0%9F%90%AA", ""),
        ("/x", "/x", "/x", ""),
        ("/x?", "/x", "/x", ""),
        ("/x?a=%zz&b=?", "/x", "/x", "a=%zz&b=?"),
        ("/a+b", "/a+b", "/a+b", ""),
        ("/a%2Bb%20c", "/a+b c", "/a%2Bb%20c", ""),
        ("/a%00b", "/a\0b", "/a%00b", ""),
        ("//x", "//x", "//x", ""),
        ("/../x/./y", "/../x/./y", "/../x/./y", ""),
        ("/%zz", "/%zz", "/%zz", ""),
        ("/%", "/%", "/%", ""),
        ("/%4", "/%4", "/%4", ""),
        ("/%3F%23?%3F", "/?#", "/%3F%23", "%3F"),
        ("/%2541", "/%41", "/%2541", ""),
        ("/caf%e9", "/caf\u{e9}", "/caf%e9", ""),
    ] {
        let codes: Vec<String> = characters.chars().map(|char| format!("{:x}", u32::from(char))).collect();
        let expected = format!("{}|{raw_path}|{query}", codes.join(" "));
        assert_eq!(lab.get(target).text(), expected, "{target}");
        assert_eq!(lab.get_with(target, "Accept: text/event-stream\r\n").text(), expected, "{target} as sse");
        assert_eq!(lab.exchange(get_1_0(target, "")).response.text(), expected, "{target} on 1.0");
    }
}

#[test]
fn path_5_path_6_root_path() {
    let lab = Lab::with(DUMP, &["--root-path", "/app"]);
    for (target, path) in [("/app/x", "/x"), ("/app", "/"), ("/app/", "/"), ("/application", "/application")] {
        let response = lab.get(target);
        assert_eq!(line(&response, "root_path"), Some("str /app"));
        assert_eq!(line(&response, "path"), Some(format!("str {path}").as_str()), "{target}");
        assert_eq!(line(&response, "raw_path"), Some(format!("str {target}").as_str()));
    }
}

#[test]
fn path_8_absolute_and_asterisk_forms() {
    let lab = Lab::new(DUMP);
    let absolute = lab.exchange("GET http://h:81/p%20q?x HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n").response;
    assert_eq!(line(&absolute, "path"), Some("str /p q"));
    assert_eq!(line(&absolute, "raw_path"), Some("str /p%20q"));
    assert_eq!(line(&absolute, "query_string"), Some("str x"));
    let asterisk = lab.exchange("OPTIONS * HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n").response;
    assert_eq!((line(&asterisk, "path"), line(&asterisk, "raw_path")), (Some("str *"), Some("str *")));
}

#[test]
fn app_1_app_2_called_once_per_request_with_three_arguments() {
    let lab = Lab::new(
        r#"my $calls = 0;
        route '/' => async sub { $calls++; await answer($_[2], 200, join ' ', $calls, scalar @_, map { ref } @_) };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/").repeat(5));
    for call in 1..=5 {
        assert_eq!(raw.response("GET").text(), format!("{call} 3 HASH CODE CODE"));
    }
}

#[test]
fn app_3_app_4_an_application_that_knows_no_sse_still_serves_http() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            die "unsupported scope type $scope->{type}\n" if $scope->{type} ne 'http';
            await answer($send, 200, 'http');
        };"#,
    );
    for _ in 0..3 {
        assert_eq!(lab.get_with("/", "Accept: text/event-stream\r\n").status, 500);
        assert_eq!(lab.get("/").text(), "http");
    }
    assert!(lab.server.has_said("unsupported scope type sse"));
}

#[test]
fn app_6_the_return_value_means_nothing() {
    let lab = Lab::new(
        r#"for my $value ([ 404, [], ['psgi'] ], { status => 404 }, 'text', bless({}, 'Thing'), undef, 0) {
            my $name = ref $value || $value // 'undef';
            route "/$name" => async sub ($scope, $receive, $send) { await answer($send, 200, 'mine'); return $value };
        }
        route '/many' => async sub ($scope, $receive, $send) { await answer($send, 200, 'mine'); return (1 .. 9) };"#,
    );
    let mut raw = lab.connect();
    for path in ["/ARRAY", "/HASH", "/text", "/Thing", "/undef", "/0", "/many"] {
        raw.send(get(path));
        let response = raw.response("GET");
        assert_eq!((response.status, response.text()), (200, "mine"), "{path}");
    }
}

#[test]
fn app_5_app_7_un_awaited_sends_and_retained_work_do_no_harm() {
    let lab = Lab::new(
        r#"route '/unawaited' => sub ($scope, $receive, $send) {
            start($send, 200, [ 'content-length', 4 ]);
            body($send, 'done');
            return Future->done;
        };
        route '/retained' => async sub ($scope, $receive, $send) {
            my $work = (async sub {
                await Future::IO->sleep(0.05);
                my $late = $send->({ type => 'http.response.body', body => 'late' });
                note('late send is ' . (ref $late && $late->isa('Future') ? 'a Future' : 'odd'));
            })->();
            $work->retain;
            await answer($send, 200, 'early');
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/unawaited") + &get("/retained"));
    assert_eq!(raw.response("GET").text(), "done");
    assert_eq!(raw.response("GET").text(), "early");
    lab.wait_for_note("late send is a Future");
    raw.send(get("/unawaited"));
    assert_eq!(raw.response("GET").text(), "done");
}

#[test]
fn app_8_app_9_resp_1_srv_10_odd_returns_and_exceptions_give_500() {
    let lab = Lab::new(
        r#"route '/die' => sub { die "a plain death\n" };
        route '/object' => sub { die bless {}, 'Odd::Error' };
        route '/async' => async sub { die "an async death\n" };
        route '/failed' => sub { Future->fail('a failed future') };
        route '/number' => sub { 42 };
        route '/nothing' => sub { return };
        route '/hash' => sub { {} };
        route '/early' => async sub { return };
        route '/cancelled' => sub { my $f = Future->new; $f->cancel; $f };
        route '/ok' => async sub ($scope, $receive, $send) { await answer($send, 200, 'ok') };"#,
    );
    for path in ["/die", "/object", "/async", "/failed", "/number", "/nothing", "/hash", "/early", "/cancelled"] {
        // A request behind it on the same connection is not answered (RESP-1 closes).
        let reply = lab.exchange(get(path) + &get("/ok"));
        assert_eq!(reply.response.status, 500, "{path}");
        assert_eq!(reply.response.text(), "Internal Server Error");
        assert_eq!(reply.response.header("content-type"), Some("text/plain"));
        assert_eq!(reply.response.header("connection"), Some("close"));
        assert_eq!(reply.bytes.len(), reply.response.head.len() + reply.response.body.len(), "{path}");
    }
    assert_eq!(lab.get("/ok").status, 200);
    for text in ["a plain death", "an async death", "a failed future", "did not return a Future"] {
        assert!(lab.server.has_said(text), "{text:?} is not in the log");
    }
}

#[test]
fn app_10_pending_calls_are_kept_alive() {
    let lab = Lab::new(
        r#"route '/slow' => async sub ($scope, $receive, $send) {
            # Nothing but the server and the timer knows of this call.
            undef $scope;
            undef $receive;
            await Future::IO->sleep(0.1);
            my @garbage = map { Future->new } 1 .. 100;
            await answer($send, 200, 'awake');
        };"#,
    );
    let mut raws: Vec<Raw> = (0..50).map(|_| lab.connect()).collect();
    for raw in &mut raws {
        raw.send(get("/slow"));
    }
    for raw in &mut raws {
        assert_eq!(raw.response("GET").text(), "awake");
    }
    assert!(!lab.server.log().contains("lost its returning future"), "{}", lab.server.log());
}

#[test]
fn app_10_ver_5_ver_6_amb_19_data_3_the_lifespan_call() {
    let setup = pagi_tests::server::Setup::perl(
        r#"use strict; use warnings; use Future::AsyncAwait; use Future::IO;
        my ($ticks, $versions) = (0, '');
        async sub tick { while (1) { await Future::IO->sleep(0.01); $ticks++ } }
        async sub lifespan {
            my ($scope, $receive, $send) = @_;
            $versions = join ' ', map { "$_=" . ($scope->{pagi}{$_} // 'undef') } sort keys %{ $scope->{pagi} };
            await $receive->();
            my $ticker = tick();
            await $send->({ type => 'lifespan.startup.complete' });
            await $receive->();
            await $send->({ type => 'lifespan.shutdown.complete' });
        }
        async sub answer {
            my ($send) = @_;
            await $send->({ type => 'http.response.start', status => 200 });
            await $send->({ type => 'http.response.body', body => "$ticks $versions" });
        }
        sub {
            my ($scope, $receive, $send) = @_;
            return $scope->{type} eq 'lifespan' ? lifespan($scope, $receive, $send) : answer($send);
        };"#,
    );
    let server = setup.start();
    let text = || {
        let mut raw = Raw::connect(server.address());
        raw.send(get_and_close("/"));
        raw.response("GET").text().to_owned()
    };
    let ticks = || text().split(' ').next().unwrap().parse::<u32>().unwrap();
    pagi_tests::patience::await_that("the ticker ticks", || ticks() > 2);
    let before = ticks();
    pagi_tests::patience::await_that("it goes on", || ticks() > before + 2);
    let text = text();
    assert!(
        text.contains("is_worker=0 spec_version=0.3 version=0.5 worker_num=undef")
            || text.ends_with("is_worker=0 spec_version=0.3 version=0.5"),
        "{text}"
    );
}

#[test]
fn app_11_http_17_work_after_a_disconnect_is_finished() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            note('waiting');
            while ((await $receive->())->{type} ne 'http.disconnect') { }
            await Future::IO->sleep(0.3);
            my @sent = map { $send->($_) } { type => 'http.response.start', status => 200 },
                { type => 'http.response.body', body => 'x' }, { type => 'bogus' };
            note('cleaned up', map { $_->is_done ? 'done' : 'not done' } @sent);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    lab.wait_for_note("waiting");
    drop(raw);
    lab.wait_for_note("cleaned up done done done");
    assert!(!lab.server.has_said("ERROR"), "{}", lab.server.log());
}

#[test]
fn app_12_methods_of_a_blessed_coderef_are_never_called() {
    let setup = pagi_tests::server::Setup::perl(
        r#"use strict; use warnings; use Future::AsyncAwait;
        package Shy { our $AUTOLOAD; sub AUTOLOAD { print STDERR "called $AUTOLOAD\n" unless $AUTOLOAD =~ /DESTROY/ }
            sub on_shutdown { print STDERR "called on_shutdown\n" } }
        bless async sub {
            my ($scope, $receive, $send) = @_;
            die if $scope->{type} ne 'http';
            await $send->({ type => 'http.response.start', status => 200 });
            await $send->({ type => 'http.response.body', body => 'shy' });
        }, 'Shy';"#,
    );
    let mut server = setup.start();
    let mut raw = Raw::connect(server.address());
    raw.send(get_and_close("/"));
    assert_eq!(raw.response("GET").text(), "shy");
    assert!(server.stop().success(), "{}", server.log());
    assert!(!server.has_said("called"), "{}", server.log());
}

#[test]
fn app_13_receives_and_sends_interleave() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            my $got = 0;
            while (1) {
                my $pending = $receive->();
                await body($send, "before;", 1);
                my $event = await $pending;
                await body($send, "$event->{body};", 1);
                last unless $event->{more};
            }
            await body($send, 'end');
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(request("POST", "/", "Connection: close\r\nTransfer-Encoding: chunked\r\n"));
    raw.read_until_contains("before;");
    raw.send("3\r\none\r\n");
    raw.read_until_contains("one;");
    raw.send("3\r\ntwo\r\n");
    raw.read_until_contains("two;");
    raw.send("0\r\n\r\n");
    let response = raw.response("POST");
    assert!(response.text().starts_with("before;one;before;two;"), "{}", response.text());
    assert!(response.text().ends_with("end"));
}
