//! The corpus of hostile and ambiguous requests: whole, byte by byte, and cut in two at every place.

use std::time::Duration;

use pagi_tests::corpus::{self, Case};
use pagi_tests::http::Response;
use pagi_tests::lab::Lab;
use pagi_tests::raw::{End, Raw};

/// Tells what it saw of a request: method, raw path, query, length and bytes of the body, and the header that the
/// request names in `X-Show`.
const MIRROR: &str = r#"
route '*' => async sub ($scope, $receive, $send) {
    my $body = await drain_body($receive);
    return unless defined $body;
    my %header = map { @$_ } @{ $scope->{headers} };
    my $seen = "$scope->{method} $scope->{raw_path} ?$scope->{query_string} " . length($body) . ":$body";
    $seen .= " $header{'x-show'}=" . ($header{ $header{'x-show'} } // 'none') if defined $header{'x-show'};
    await answer($send, 200, $seen);
};
"#;

fn files() -> [&'static str; 7] {
    ["chunks", "content_length", "fields", "host", "pipelines", "request_line", "transfer_encoding"]
}

/// What is wrong with the answer to a case, if anything.
fn judge(case: &Case, raw: &mut Raw) -> Result<(), String> {
    for seen in &case.seen {
        let response = raw.try_response("GET")?;
        if response.status != 200 || &response.body != seen {
            let body = response.body.escape_ascii();
            return Err(format!("expected 200 {:?}, got {} {body}", seen.escape_ascii().to_string(), response.status));
        }
    }
    if !case.closes {
        return Ok(());
    }
    let end = raw.try_read_to_end()?;
    if end != End::Eof {
        return Err("the connection was reset".to_owned());
    }
    let Some(status) = case.refusal else {
        return if raw.received.is_empty() { Ok(()) } else { Err(format!("more came: {}", raw.shown())) };
    };
    let parsed = Response::parse(&raw.received, "GET")?;
    let Some((response, length)) = parsed else { return Err(format!("no refusal: {}", raw.shown())) };
    let plain = response.header("content-type").is_some_and(|kind| kind.starts_with("text/plain"));
    let closes = response.header("connection") == Some("close");
    match () {
        () if response.status != status => Err(format!("expected {status}, got {}", raw.shown())),
        () if !response.complete || length != raw.received.len() => Err(format!("not one response: {}", raw.shown())),
        () if !plain || !closes || response.body.is_empty() => Err(format!("an odd refusal: {}", raw.shown())),
        () => Ok(()),
    }
}

fn report(failures: &[String], cases: usize) {
    assert!(failures.is_empty(), "{} of {cases}:\n{}", failures.len(), failures.join("\n"));
}

fn in_one_packet(file: &str) {
    let lab = Lab::new(MIRROR);
    let cases = corpus::read(Some(file));
    let mut failures = Vec::new();
    for case in &cases {
        let mut raw = lab.connect();
        raw.offer(&case.bytes);
        if let Err(problem) = judge(case, &mut raw) {
            failures.push(format!("{} ({}): {problem}", case.name, case.citation));
        }
    }
    report(&failures, cases.len());
}

/// Longer requests take long to cut everywhere, and have nothing that shorter ones lack.
const SHORT: usize = 160;

fn in_two_packets(file: &str) {
    let lab = Lab::new(MIRROR);
    let cases: Vec<Case> = corpus::read(Some(file)).into_iter().filter(|case| case.bytes.len() <= SHORT).collect();
    assert!(!cases.is_empty(), "no short case in {file}");
    let mut failures = Vec::new();
    for case in &cases {
        // All cuts of a case at once, so that one pause is enough for all of them to arrive in two parts.
        let mut cuts: Vec<(usize, Raw)> = (1..case.bytes.len()).map(|cut| (cut, lab.connect())).collect();
        for (cut, raw) in &mut cuts {
            raw.offer(&case.bytes[..*cut]);
        }
        std::thread::sleep(Duration::from_millis(5));
        for (cut, raw) in &mut cuts {
            raw.offer(&case.bytes[*cut..]);
        }
        for (cut, raw) in &mut cuts {
            if let Err(problem) = judge(case, raw) {
                failures.push(format!("{} cut at {cut} ({}): {problem}", case.name, case.citation));
            }
        }
    }
    report(&failures, cases.len());
}

macro_rules! each_file {
    ($($file:ident: $whole:ident, $cut:ident;)*) => {
        $(
            #[test]
            fn $whole() {
                in_one_packet(stringify!($file));
            }

            #[test]
            fn $cut() {
                in_two_packets(stringify!($file));
            }
        )*
    };
}

each_file! {
    chunks: http_1_http_8_srv_7_srv_8_chunks, http_1_srv_7_chunks_cut_in_two;
    content_length: srv_7_srv_8_content_length, srv_7_content_length_cut_in_two;
    fields: hdr_9_srv_9_fields, hdr_9_fields_cut_in_two;
    host: hdr_9_path_8_host, hdr_9_host_cut_in_two;
    pipelines: srv_5_srv_7_pipelines, srv_5_pipelines_cut_in_two;
    request_line: srv_7_srv_9_srv_11_path_8_request_line, srv_7_request_line_cut_in_two;
    transfer_encoding: srv_7_srv_11_transfer_encoding, srv_11_transfer_encoding_cut_in_two;
}

#[test]
fn every_corpus_file_is_replayed() {
    let mut found: Vec<String> =
        corpus::read(None).iter().map(|case| case.name.split(':').next().unwrap_or_default().to_owned()).collect();
    assert!(found.len() >= 200, "only {} cases", found.len());
    found.dedup();
    assert_eq!(found, files());
}

#[test]
fn escapes_of_the_corpus() {
    assert_eq!(corpus::unescape(r"a\r\n\t\0\\\xFF\{3:b\x20}c"), b"a\r\n\t\0\\\xFFb b b c");
}
