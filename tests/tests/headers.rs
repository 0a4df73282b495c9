//! Header fields in both directions (protocol section 6) and the bytes of data at the boundary (section 3).

use pagi_tests::lab::{Lab, get, get_1_0, get_and_close, request};
use pagi_tests::raw::contains;

/// Answers with the header list, one `name: value` line each, values in hexadecimal when not printable.
const LIST: &str = r#"
route '/' => async sub ($scope, $receive, $send) {
    my $text = join '', map { "$_->[0]: $_->[1]\n" } @{ $scope->{headers} };
    await answer($send, 200, $text);
};
"#;

#[test]
fn hdr_1_hdr_2_hdr_3_hdr_4_hdr_5_request_fields_keep_order_and_repeats() {
    let lab = Lab::new(LIST);
    let response = lab.exchange(
        b"GET / HTTP/1.1\r\nX-FoO: 1\r\nZ:\r\nHost: lab\r\nx-a:  one \t\r\nConnection: close\r\nX-A: \xe9\xff\r\nA: , ,\r\n\r\n",
    );
    let expected = b"x-foo: 1\nz: \nhost: lab\nx-a: one\nconnection: close\nx-a: \xe9\xff\na: , ,\n";
    assert_eq!(response.response.body.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn hdr_6_cookies_become_one_field() {
    let lab = Lab::new(LIST);
    let response = lab.get_with("/", "Cookie: a=1\r\nX: y\r\ncookie: b=2; c=3\r\nCOOKIE: d\r\n");
    let cookies: Vec<&str> = response.lines().into_iter().filter(|line| line.starts_with("cookie")).collect();
    assert_eq!(cookies, ["cookie: a=1; b=2; c=3; d"]);
    assert_eq!(lab.get_with("/", "Cookie: a=1\r\n").lines()[2..], ["cookie: a=1"]);
}

#[test]
fn data_2_data_6_data_7_emb_6_flags_of_what_the_application_gets() {
    let lab = Lab::new(
        r#"route '*' => async sub ($scope, $receive, $send) {
            my $event = await $receive->();
            my @flagged = grep { utf8::is_utf8($_->[1]) } [ body => $event->{body} ], [ raw_path => $scope->{raw_path} ],
                [ query => $scope->{query_string} ], map { ([ name => $_->[0] ], [ value => $_->[1] ]) } @{ $scope->{headers} };
            my @keys = grep { /[^\x20-\x7e]/ } keys %$scope, keys %$event;
            await answer($send, 200, join ' ', 'flagged:', map({ $_->[0] } @flagged), 'path:', length $scope->{path},
                'body:', length $event->{body}, 'odd keys:', scalar @keys);
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(b"POST /%C3%A9?%C3%A9 HTTP/1.1\r\nHost: lab\r\nX: \xc3\xa9\r\nContent-Length: 2\r\n\r\n\xc3\xa9");
    assert_eq!(raw.response("POST").text(), "flagged: path: 2 body: 2 odd keys: 0");
}

#[test]
fn data_2_data_8_data_10_emb_7_bytes_leave_as_bytes() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my $plain = "\xe9\xff";
            my $flagged = $plain;
            utf8::upgrade($flagged);
            my $value = "v\xe9";
            utf8::upgrade($value);
            await start($send, 200, [ 'x-flagged', $value ], [ 'x-plain', "v\xe9" ]);
            await body($send, $plain, 1);
            await body($send, $flagged, 1);
            note('still ', utf8::is_utf8($flagged) ? 'flagged' : 'plain', utf8::is_utf8($plain) ? 'flagged' : 'plain');
            my $wide = await outcome(body($send, "\x{263A}", 1));
            await body($send, $wide =~ /^failed: .*Wide character/ ? 'refused' : $wide);
        };"#,
    );
    let reply = lab.exchange(get_and_close("/"));
    assert!(contains(&reply.bytes, b"x-flagged: v\xe9\r\n"));
    assert!(contains(&reply.bytes, b"x-plain: v\xe9\r\n"));
    assert!(contains(&reply.bytes, b"2\r\n\xe9\xff\r\n2\r\n\xe9\xff\r\n7\r\nrefused\r\n"), "{:?}", reply.response);
    lab.assert_notes(&["still  flagged plain"]);
}

#[test]
fn data_1_data_5_evt_5_undef_is_absence_and_extra_fields_are_ignored() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my %extra = (zzz => [ 1, { a => undef } ], integer => -9e15, double => 1.5, text => "\x{263A}", bytes => "\xff");
            await $send->({ type => 'http.response.start', status => 200, headers => undef, trailers => undef, %extra });
            await $send->({ type => 'http.response.body', body => undef, more => 1, file => undef, fh => undef, %extra });
            await $send->({ type => 'http.response.body', body => 'x', offset => undef, length => undef, more => undef, %extra });
        };"#,
    );
    assert_eq!(lab.get("/").text(), "x");
}

#[test]
fn data_12_http_9_http_12_emb_19_status_table() {
    let lab = Lab::new(
        r#"my %tried = (
            'int' => 200, 'string' => '200', 'float' => 200.0, 'exp' => 2e2, 'lowest' => 200, 'highest' => 999,
            'word' => 'abc', 'array' => [], 'hash' => {}, 'code' => sub { 200 }, 'fraction' => 200.5, 'huge' => 2**70,
            'undef' => undef, 'empty' => '', 'minus' => -200, 'zero' => 0, 'switching' => 101, 'hints' => 103,
            'continue' => 100, 'space' => '200 OK', 'hex' => '0xc8', 'thousand' => 1000, 'nan' => 'nan', 'inf' => 9**9**9);
        route '/' => async sub ($scope, $receive, $send) {
            my $name = $scope->{query_string};
            my $result = await outcome($send->({ type => 'http.response.start', status => $tried{$name} }));
            await start($send, 299) if $result ne 'ok';
            await body($send, $result);
        };
        route '/missing' => async sub ($scope, $receive, $send) {
            my $result = await outcome($send->({ type => 'http.response.start' }));
            await start($send, 299);
            await body($send, $result);
        };"#,
    );
    for name in ["int", "string", "float", "exp", "lowest"] {
        let response = lab.get(&format!("/?{name}"));
        assert_eq!((response.status, response.text()), (200, "ok"), "{name}");
    }
    assert_eq!(lab.get("/?highest").status, 999);
    for name in [
        "word",
        "array",
        "hash",
        "code",
        "fraction",
        "huge",
        "undef",
        "empty",
        "minus",
        "zero",
        "switching",
        "hints",
        "continue",
        "space",
        "hex",
        "thousand",
        "nan",
        "inf",
    ] {
        let response = lab.get(&format!("/?{name}"));
        assert_eq!(response.status, 299, "{name}: {}", response.text());
        assert!(response.text().starts_with("failed: ") && response.text().contains("status"), "{}", response.text());
    }
    let missing = lab.get("/missing");
    assert!(missing.text().starts_with("failed: http.response.start requires 'status' field"), "{}", missing.text());
}

#[test]
fn hdr_10_hdr_11_hdr_13_send_10_every_byte_in_names_and_values() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my ($names, $values) = ('', '');
            for my $byte (0 .. 255) {
                my $char = chr $byte;
                for my $where (0, 1) {
                    my @header = $where ? ('x', "a${char}b") : ("a${char}b", 'x');
                    # A second start would be out of sequence: only the first acceptable one is really sent, later ones
                    # are told apart by their message.
                    my $result = await outcome($send->({ type => 'http.response.start', status => 200, headers => [ [@header] ] }));
                    my $bad = $result =~ /Invalid header (name|value)/ ? 1 : 0;
                    ($where ? $values : $names) .= $bad;
                }
            }
            await body($send, "$names\n$values");
        };"#,
    );
    let response = lab.get("/");
    let lines = response.lines();
    let refused = |line: &str| -> Vec<u8> {
        line.bytes().enumerate().filter(|(_, bad)| *bad == b'1').map(|(byte, _)| u8::try_from(byte).unwrap()).collect()
    };
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let not_token: Vec<u8> = (0..=255).filter(|byte| !token(byte)).collect();
    assert_eq!(refused(lines[0]), not_token);
    assert_eq!(refused(lines[1]), [0, b'\n', b'\r']);
}

#[test]
fn hdr_11_hdr_12_trlr_7_send_10_injection_is_refused_on_every_path_and_can_be_corrected() {
    let lab = Lab::new(
        r#"my @bad = ([ 'x', "a\r\nSet-Cookie: evil" ]);
        route '/' => async sub ($scope, $receive, $send) {
            my @results = await outcome(start($send, 200, @bad));
            push @results, $scope->{'pagi.connection'}->response_started ? 'started' : 'not started';
            await $send->({ type => 'http.response.start', status => 200, trailers => 1, headers => [ [ 'x', 'fine' ] ] });
            await body($send, 'ok');
            push @results, await outcome($send->({ type => 'http.response.trailers', headers => [@bad] }));
            await $send->({ type => 'http.response.trailers', headers => [ [ 'x-results', join '; ', @results ] ] });
        };
        route '/sse' => async sub ($scope, $receive, $send) {
            my @results = await outcome($send->({ type => 'sse.start', headers => [@bad] }));
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => join '; ', @results });
        };
        route '/decline' => async sub ($scope, $receive, $send) {
            my @results = await outcome($send->({ type => 'sse.http.response.start', status => 404, headers => [@bad] }));
            await $send->({ type => 'sse.http.response.start', status => 404 });
            await $send->({ type => 'sse.http.response.body', body => join '; ', @results });
        };"#,
    );
    let refused = "failed: Invalid header value for 'x' in";
    let plain = lab.exchange(get_and_close("/"));
    let results = String::from_utf8(plain.response.trailers[0].1.clone()).unwrap();
    let results: Vec<&str> = results.split("; ").collect();
    assert!(results[0].starts_with(refused) && results[2].starts_with(refused), "{results:?}");
    assert_eq!(results[1], "not started");
    assert!(plain.response.complete);
    let stream = lab.exchange(request("GET", "/sse", "Accept: text/event-stream\r\nConnection: close\r\n"));
    assert!(stream.response.text().contains(refused), "{}", stream.response.text());
    let decline = lab.exchange(request("GET", "/decline", "Accept: text/event-stream\r\n"));
    assert!(decline.response.text().contains(refused), "{}", decline.response.text());
    for reply in [plain, stream, decline] {
        assert!(!contains(&reply.bytes, b"Set-Cookie"), "{}", reply.bytes.escape_ascii());
    }
}

#[test]
fn hdr_13_names_must_be_tokens() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            my @results;
            for my $name ('', 'a b', 'a:', "a\xe9", "\x{263A}", undef, [], "a\n") {
                push @results, (await outcome(start($send, 200, [ $name, 'x' ]))) =~ s/:.*//sr;
            }
            for my $list ('x', {}, [ 'x' ], [ [ 'x' ] ], [ [ 'x', 'y', 'z' ] ], [ undef ], [ [ 'x', [] ] ],
                [ [ 'x', "\x{263A}" ] ]) {
                my $event = { type => 'http.response.start', status => 200, headers => $list };
                push @results, (await outcome($send->($event))) =~ s/:.*//sr;
            }
            await answer($send, 200, join ' ', @results);
        };"#,
    );
    assert_eq!(lab.get("/").text(), ["failed"; 16].join(" "));
}

#[test]
fn hdr_14_srv_2_names_are_matched_in_any_case() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200, [ 'Content-LENGTH', 2 ], [ 'DATE', 'never' ], [ 'Server', 'mine' ], [ 'Connection', 'x' ]);
            await body($send, 'ok');
        };"#,
    );
    let mut raw = lab.connect();
    raw.send(get("/"));
    let response = raw.response("GET");
    assert_eq!(response.header("content-length"), Some("2"));
    assert_eq!(response.header("date"), Some("never"));
    assert_eq!(response.header("server"), Some("mine"));
    assert_eq!((response.header("transfer-encoding"), response.header("connection")), (None, None));
}

#[test]
fn hdr_15_set_cookie_stays_separate() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await answer($send, 200, 'x', [ 'set-cookie', 'a=1' ], [ 'x', 'y' ], [ 'set-cookie', 'b=2' ]);
        };"#,
    );
    assert_eq!(lab.get("/").header_all("set-cookie"), ["a=1", "b=2"]);
}

#[test]
fn hdr_16_hdr_17_hdr_18_hdr_19_hdr_23_srv_4_connection_level_fields_are_the_servers() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200, [ 'connection', 'close' ], [ 'Transfer-Encoding', 'gzip' ], [ 'keep-alive', 'timeout=5' ],
                [ 'proxy-connection', 'close' ], [ 'te', 'trailers' ], [ 'x', 'y' ]);
            await body($send, 'ok');
        };"#,
    );
    let mut raw = lab.connect();
    for _ in 0..2 {
        raw.send(get("/"));
        let response = raw.response("GET");
        assert_eq!((response.text(), response.header("transfer-encoding")), ("ok", Some("chunked")));
        for name in ["connection", "keep-alive", "proxy-connection", "te"] {
            assert_eq!(response.header_all(name), [""; 0], "{name}");
        }
        assert_eq!(response.header("x"), Some("y"));
    }
    let closing = lab.get("/");
    assert_eq!((closing.header("connection"), closing.header("transfer-encoding")), (Some("close"), Some("chunked")));
    for name in ["connection", "transfer-encoding", "keep-alive", "proxy-connection", "te"] {
        let log = lab.server.log();
        let said =
            format!("INFO server: dropped the application's header '{name}': connection and framing are the server's");
        assert_eq!(log.matches(&said).count(), 1, "{log}");
    }
}

#[test]
fn hdr_21_hdr_22_upgrade_gets_its_companion() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 426, [ 'upgrade', 'websocket' ], [ 'content-length', 0 ]);
            await body($send, '');
        };"#,
    );
    let tokens = |value: Option<&str>| -> Vec<String> {
        value.unwrap_or_default().split(',').map(|token| token.trim().to_lowercase()).collect()
    };
    let mut raw = lab.connect();
    raw.send(get("/"));
    let response = raw.response("GET");
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert_eq!(tokens(response.header("connection")), ["upgrade"]);
    let mut closing = tokens(lab.get("/").header("connection"));
    closing.sort();
    assert_eq!(closing, ["close", "upgrade"]);
    let mut old = tokens(lab.exchange(get_1_0("/", "")).response.header("connection"));
    old.sort();
    assert_eq!(old, ["close", "upgrade"]);
}

#[test]
fn hdr_24_content_encoding_is_the_applications_business() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await answer($send, 200, "\x1f\x8b\x08\x00junk\xff", [ 'content-encoding', 'gzip' ]);
        };"#,
    );
    let response = lab.get_with("/", "Accept-Encoding: identity\r\n");
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.body, b"\x1f\x8b\x08\x00junk\xff");
}

#[test]
fn evt_9_emb_8_events_are_left_alone_and_read_once() {
    let lab = Lab::new(
        r#"package Counted { sub TIESCALAR { bless { value => $_[1], count => 0 }, $_[0] } sub FETCH { $_[0]{count}++; $_[0]{value} } }
        package Stringy { use overload '""' => sub { 'from an object' }, fallback => 1; }
        package main;
        my $headers = [ [ 'x', 'y' ] ];
        my $start = { type => 'http.response.start', status => 200, headers => $headers };
        my $body = { type => 'http.response.body', body => 'same' };
        route '/' => async sub ($scope, $receive, $send) {
            await $send->($start);
            await $send->($body);
            $headers->[0][1] = 'y';
        };
        route '/same' => async sub ($scope, $receive, $send) {
            my $keys = join ',', sort(keys %$start), sort keys %$body;
            await answer($send, 200, "$keys $headers->[0][0] $headers->[0][1] $start->{status} $body->{body}");
        };
        route '/tied' => async sub ($scope, $receive, $send) {
            tie my $value, 'Counted', 'fetched';
            tie my $status, 'Counted', 201;
            my $object = bless {}, 'Stringy';
            await $send->({ type => 'http.response.start', status => $status, headers => [ [ 'x-value', $value ], [ 'x-object', "$object" ] ] });
            await $send->({ type => 'http.response.body', body => (tied $value)->{count} . (tied $status)->{count} });
        };
        route '/match' => async sub ($scope, $receive, $send) {
            'captured' =~ /(.*)/;
            await $send->({ type => 'http.response.start', status => 200 });
            await $send->({ type => 'http.response.body', body => $1 });
        };"#,
    );
    for _ in 0..2 {
        let response = lab.get("/");
        assert_eq!((response.text(), response.header("x")), ("same", Some("y")));
    }
    assert_eq!(lab.get("/same").text(), "headers,status,type,body,type x y 200 same");
    let tied = lab.get("/tied");
    assert_eq!((tied.status, tied.header("x-value"), tied.text()), (201, Some("fetched"), "11"));
    assert_eq!(lab.get("/match").text(), "captured");
}

#[test]
fn emb_18_what_was_sent_may_change_afterwards() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await start($send, 200);
            my $text = 'x' x 50_000;
            my @sent;
            for (1 .. 20) {
                push @sent, $send->({ type => 'http.response.body', body => $text, more => 1 });
                substr $text, 0, 10_000, 'y' x 10_000;
                $text = 'x' x 50_000;
            }
            await Future->needs_all(@sent);
            await body($send, 'end');
        };"#,
    );
    let response = lab.get("/");
    assert!(response.complete);
    assert_eq!(response.body.len(), 1_000_003);
    assert!(!response.body.contains(&b'y'));
}

#[test]
fn hdr_2_evt_3_an_undef_header_value_is_refused() {
    let lab = Lab::new(
        r#"route '/' => async sub ($scope, $receive, $send) {
            await answer($send, 200, await outcome(start($send, 200, [ 'x', undef ])));
        };"#,
    );
    assert!(lab.get("/").text().starts_with("failed: "));
}

#[test]
fn emb_16_exception_objects_are_stringified_for_the_log() {
    let lab = Lab::new(
        r#"route '/object' => sub { die bless {}, 'Odd::Error' };
        route '/hash' => sub { die { code => 7 } };"#,
    );
    assert_eq!(lab.get("/object").status, 500);
    assert_eq!(lab.get("/hash").status, 500);
    lab.server.wait_for_log("Odd::Error=HASH(0x");
    lab.server.wait_for_log("application error: HASH(0x");
}
