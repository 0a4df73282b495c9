//! The bytes of a request head: finding its end, and parsing it.
//!
//! Checked besides panics: how the bytes are cut does not change what is found, and whatever is accepted keeps the
//! promises that the rest of the server builds on (no byte that could end a line, one Host, framing that nobody can read
//! in two ways), also when it is written down again and parsed once more.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pagi_server_core::config::Config;
use pagi_server_core::header::is_token;
use pagi_server_core::http1::head::{HeadScanner, parse};
use pagi_server_core::scope::{BodyFraming, RequestHead, Version};

fuzz_target!(|input: &[u8]| {
    let [step, bytes @ ..] = input else { return };
    // Small limits are reached by small inputs.
    let config = Config { max_request_line: 200, max_header_size: 2000, max_header_count: 20, ..Config::default() };
    let whole = HeadScanner::default().scan(bytes, &config);
    let pieces = in_pieces(bytes, usize::from(*step) + 1, &config);
    match (&whole, &pieces) {
        // A later piece may not come any more once the first ones are refused.
        (Ok(found), Ok(same)) => assert_eq!(found, same),
        (Err(_), Err(_)) => {}
        other => panic!("how bytes are cut changes what is found: {other:?}"),
    }
    let Ok(Some(end)) = whole else { return };
    let Ok(head) = parse(&bytes[..end], &config) else { return };
    check(&head);
    let again = written(&head);
    let twice =
        parse(&again, &Config::default()).unwrap_or_else(|refusal| panic!("{refusal:?}: {}", again.escape_ascii()));
    assert_eq!(
        (head.method(), head.raw_path(), head.query_string()),
        (twice.method(), twice.raw_path(), twice.query_string())
    );
    assert_eq!(
        (head.version, head.framing, head.kind, head.keep_alive),
        (twice.version, twice.framing, twice.kind, twice.keep_alive)
    );
    assert!(head.headers().iter().eq(twice.headers().iter()));
});

fn in_pieces(bytes: &[u8], step: usize, config: &Config) -> Result<Option<usize>, pagi_server_core::refusal::Refusal> {
    let mut scanner = HeadScanner::default();
    let mut end = 0;
    while end < bytes.len() {
        end = (end + step).min(bytes.len());
        if let Some(found) = scanner.scan(&bytes[..end], config)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn check(head: &RequestHead) {
    assert!(is_token(head.method()));
    let target = [head.raw_path(), head.query_string()].concat();
    assert!(target.iter().all(|&byte| byte > 0x20 && byte != 0x7f), "{}", target.escape_ascii());
    let path = head.raw_path();
    assert!(path.starts_with(b"/") || path == b"*", "{}", path.escape_ascii());
    for (name, value) in head.headers().iter() {
        assert!(is_token(name) && !name.iter().any(u8::is_ascii_uppercase), "{}", name.escape_ascii());
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{}", value.escape_ascii());
        assert_eq!(value.trim_ascii(), value);
    }
    let hosts = head.headers().values(b"host").count();
    assert!(hosts == 1 || hosts == 0 && head.version == Version::Http10);
    let (chunked, lengths) =
        (head.headers().values(b"transfer-encoding").count(), head.headers().values(b"content-length").count());
    match head.framing {
        BodyFraming::Chunked => assert!(chunked == 1 && lengths == 0 && head.version == Version::Http11),
        BodyFraming::Length(length) => {
            assert!(chunked == 0);
            assert!(lengths > 0 || length == 0);
        }
    }
}

/// The head as a request again.
fn written(head: &RequestHead) -> Vec<u8> {
    let mut bytes = [head.method(), b" ", head.raw_path()].concat();
    if !head.query_string().is_empty() {
        bytes.push(b'?');
        bytes.extend_from_slice(head.query_string());
    }
    bytes.extend_from_slice(if head.version == Version::Http10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    for (name, value) in head.headers().iter() {
        bytes.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
