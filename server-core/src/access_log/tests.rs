//! What lines look like, and how they are written.

use super::*;

fn sample<'a>(headers: &'a dyn Fn(&str) -> Option<Vec<u8>>) -> Record<'a> {
    Record {
        client: Some("192.0.2.7"),
        method: b"GET",
        raw_path: b"/a%20b",
        query: b"x=1",
        version: "1.1",
        tls: Some("TLSv1.3"),
        status: Some(200),
        body_bytes: 42,
        duration: Duration::from_micros(1_234_567),
        finished: UNIX_EPOCH + Duration::from_secs(1_770_726_896),
        headers,
    }
}

fn no_headers(_: &str) -> Option<Vec<u8>> {
    None
}

fn line(format: &str, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    Format::parse(format).unwrap().write(record, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_token() {
    let table = [
        ("%h", "192.0.2.7"),
        ("%l", "-"),
        ("%u", "-"),
        ("%t", "10/Feb/2026:12:34:56 +0000"),
        ("%r", "GET /a%20b?x=1 HTTP/1.1"),
        ("%m", "GET"),
        ("%U", "/a%20b"),
        ("%q", "?x=1"),
        ("%H", "HTTP/1.1"),
        ("%s", "200"),
        ("%b", "42"),
        ("%B", "42"),
        ("%d", "1.235"),
        ("%D", "1234567"),
        ("%T", "1"),
        ("%%", "%"),
        ("%{User-Agent}i", "curl"),
        ("%{Missing}i", "-"),
        ("%{tls}x", "TLSv1.3"),
        ("%{time}x", "2026-02-10T12:34:56.000Z"),
        ("%{ms}x", "1234.567"),
        ("%{request_id}x", "-"),
        ("plain", "plain"),
        ("", ""),
        ("a%%b%mc", "a%bGETc"),
    ];
    let headers = |name: &str| (name == "user-agent").then(|| b"curl".to_vec());
    for (format, expected) in table {
        assert_eq!(line(format, &sample(&headers)), expected, "format {format}");
    }
}

#[test]
fn empty_values() {
    let record = Record { client: None, query: b"", status: None, body_bytes: 0, ..sample(&no_headers) };
    let table = [("%h", "unix"), ("%q", ""), ("%s", "-"), ("%b", "-"), ("%B", "0"), ("%r", "GET /a%20b HTTP/1.1")];
    for (format, expected) in table {
        assert_eq!(line(format, &record), expected, "format {format}");
    }
}

#[test]
fn durations_are_rounded_to_milliseconds() {
    for (microseconds, expected) in [(0, "0.000"), (499, "0.000"), (500, "0.001"), (999_500, "1.000")] {
        let record = Record { duration: Duration::from_micros(microseconds), ..sample(&no_headers) };
        assert_eq!(line("%d", &record), expected, "{microseconds} µs");
    }
}

#[test]
fn presets() {
    let headers = |name: &str| (name == "referer").then(|| b"http://r/".to_vec());
    let table = [
        ("clf", r#"192.0.2.7 - - [10/Feb/2026:12:34:56 +0000] "GET /a%20b?x=1" 200 1.235s"#),
        ("common", r#"192.0.2.7 - - [10/Feb/2026:12:34:56 +0000] "GET /a%20b?x=1 HTTP/1.1" 200 42"#),
        ("combined", r#"192.0.2.7 - - [10/Feb/2026:12:34:56 +0000] "GET /a%20b?x=1 HTTP/1.1" 200 42 "http://r/" "-""#),
        ("tiny", "GET /a%20b?x=1 200 1234567ms"),
    ];
    for (preset, expected) in table {
        assert_eq!(line(preset, &sample(&headers)), expected, "preset {preset}");
    }
}

#[test]
fn an_object_for_programs() {
    let headers = |name: &str| (name == "host").then(|| b"a\"b".to_vec());
    let expected = r#"{"time":"2026-02-10T12:34:56.000Z","client":"192.0.2.7","method":"GET","path":"/a%20b","query":"x=1","protocol":"HTTP/1.1","tls":"TLSv1.3","status":200,"bytes":42,"duration_ms":1234.567,"host":"a\"b","referer":null,"user_agent":null,"request_id":null,"pid":"#;
    assert_eq!(line("json", &sample(&headers)), format!("{expected}{}}}", std::process::id()));
    let nothing = Record { client: None, status: None, tls: None, ..sample(&no_headers) };
    assert!(
        line("json", &nothing).contains(r#""client":"unix","#) && line("json", &nothing).contains(r#""status":null"#)
    );
}

#[test]
fn samples_leave_errors_alone() {
    let path = scratch("sample");
    let log = AccessLog::new(Format::parse("%s").unwrap(), Sink::File(path.clone())).unwrap();
    let mut log = log.sampled(3);
    for status in [200, 200, 500, 304, 200, 404, 200, 200] {
        log.record(&Record { status: Some(status), ..sample(&no_headers) });
    }
    drop(log);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "200\n500\n200\n404\n");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn errors_name_the_piece() {
    let table = [
        ("%z", "Unknown access log format atom '%z'"),
        ("%é", "Unknown access log format atom '%é'"),
        ("100%", "Unknown access log format atom '%'"),
        ("%{Host", "Unterminated %{...} in access log format"),
        ("%{Host}o", "Expected 'i' after %{Host} in access log format"),
        ("%{no}x", "Unknown access log format atom '%{no}x'; there are tls, time, ms, pid and request_id"),
        ("%{Host}", "Expected 'i' after %{Host} in access log format"),
    ];
    for (format, expected) in table {
        assert_eq!(Format::parse(format).unwrap_err(), expected, "format {format}");
    }
}

#[test]
fn client_bytes_are_escaped() {
    let headers = |_: &str| Some(b"a\"b\\c\nd\x7fe\xc3\xa9".to_vec());
    let record = Record { method: b"G\"T", raw_path: b"/\x1b[2J", query: b"\r", ..sample(&headers) };
    assert_eq!(line("%{X}i", &record), r"a\x22b\x5Cc\x0Ad\x7Feé");
    assert_eq!(line("%r", &record), r"G\x22T /\x1B[2J?\x0D HTTP/1.1");
}

#[test]
fn time_follows_the_record() {
    let later = Record { finished: UNIX_EPOCH + Duration::from_secs(951_782_400), ..sample(&no_headers) };
    assert_eq!(line("%t", &sample(&no_headers)), "10/Feb/2026:12:34:56 +0000");
    assert_eq!(line("%t", &later), "29/Feb/2000:00:00:00 +0000");
}

#[test]
fn writes_hold_whole_lines() {
    assert_eq!(whole_lines(b"ab\ncd\n", 100), 6);
    assert_eq!(whole_lines(b"ab\ncd\n", 5), 3);
    assert_eq!(whole_lines(b"ab\ncd\n", 3), 3);
    assert_eq!(whole_lines(b"abcdef\ng\n", 3), 7);
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("pagi-access-log-{}-{name}", std::process::id()))
}

#[test]
fn file_is_appended_flushed_and_reopened() {
    let path = scratch("reopen");
    let renamed = scratch("reopen.1");
    std::fs::write(&path, "before\n").unwrap();
    let mut log = AccessLog::new(Format::parse("%m").unwrap(), Sink::File(path.clone())).unwrap();
    log.record(&sample(&no_headers));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\n", "nothing before a flush");
    log.flush();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nGET\n");
    std::fs::rename(&path, &renamed).unwrap();
    log.record(&sample(&no_headers));
    log.reopen().unwrap();
    log.record(&sample(&no_headers));
    drop(log);
    assert_eq!(std::fs::read_to_string(&renamed).unwrap(), "before\nGET\nGET\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "GET\n");
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(renamed).unwrap();
}

#[test]
fn a_pipe_gets_at_most_pipe_buf_at_a_time() {
    let path = scratch("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let log = AccessLog::new(Format::parse("%m").unwrap(), Sink::File(path.clone())).unwrap();
    assert_eq!(log.atomic_bytes, 4096);
    drop(reader);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_full_disk_drops_lines_and_is_noted_once() {
    let mut log = AccessLog::new(Format::parse("%m").unwrap(), Sink::File("/dev/full".into())).unwrap();
    log.record(&sample(&no_headers));
    log.flush();
    let first = log.complained.unwrap();
    log.record(&sample(&no_headers));
    log.flush();
    assert_eq!(log.complained, Some(first), "the second failure within a minute is silent");
    assert!(log.buffer.is_empty());
}

#[test]
fn the_buffer_flushes_itself() {
    let path = scratch("limit");
    let mut log = AccessLog::new(Format::parse("%U").unwrap(), Sink::File(path.clone())).unwrap();
    let long = vec![b'x'; BUFFER_LIMIT];
    log.record(&Record { raw_path: &long, ..sample(&no_headers) });
    assert_eq!(std::fs::metadata(&path).unwrap().len() as usize, BUFFER_LIMIT + 1);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_unusable_path_is_a_sentence() {
    let sink = Sink::File("/nonexistent/access.log".into());
    let error = AccessLog::new(Format::parse("clf").unwrap(), sink).err().unwrap();
    assert!(error.starts_with("Cannot open access log /nonexistent/access.log: No such file"), "{error}");
}
