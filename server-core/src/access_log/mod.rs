//! The access log: one line per exchange, composed from a format that is parsed once, written by whole lines.
//!
//! [`Format`] turns a [`Record`] into bytes; [`AccessLog`] collects lines and hands them to the kernel once per loop
//! turn. Values that come from a client are escaped, so that a quote or a line feed in a header can neither end a
//! field nor forge a line.

mod json;

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What one finished exchange has to tell.
pub struct Record<'a> {
    /// Client address, or `None` on a Unix socket.
    pub client: Option<&'a str>,
    /// Request method as sent.
    pub method: &'a [u8],
    /// Path as sent: not decoded, without the query.
    pub raw_path: &'a [u8],
    /// Query as sent, without the question mark; empty if there is none.
    pub query: &'a [u8],
    /// Protocol version such as `1.1`.
    pub version: &'a str,
    /// Version of TLS such as `TLSv1.3`, or `None` in the clear.
    pub tls: Option<&'a str>,
    /// Response status, or `None` when none was sent.
    pub status: Option<u16>,
    /// Body bytes; headers and framing are not counted.
    pub body_bytes: u64,
    /// From the request to the end of its response.
    pub duration: Duration,
    /// When the exchange ended.
    pub finished: SystemTime,
    /// Looks up a request header by its lower-case name.
    pub headers: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

/// The format `--access-log-format` names when nothing is given.
pub const DEFAULT_FORMAT: &str = "clf";

/// The preset that is an object and not a line of fields.
const JSON: &str = "json";

const PRESETS: [(&str, &str); 4] = [
    ("clf", r#"%h - - [%t] "%m %U%q" %s %ds"#),
    ("combined", r#"%h - - [%t] "%r" %s %b "%{Referer}i" "%{User-Agent}i""#),
    ("common", r#"%h - - [%t] "%r" %s %b"#),
    // Microseconds labelled `ms`, as users of the preset know it (D-33); `%T` and `%d` are labelled truthfully.
    ("tiny", "%m %U%q %s %Dms"),
];

/// One piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(Vec<u8>),
    Client,
    Time,
    RequestLine,
    Method,
    Path,
    Query,
    Protocol,
    Status,
    /// `%b`: zero shows as a dash.
    BytesOrDash,
    Bytes,
    /// `%d`: seconds with three decimals.
    Seconds,
    Microseconds,
    WholeSeconds,
    /// A request header, by lower-case name.
    Header(String),
    /// `%{tls}x`.
    Tls,
    /// `%{time}x`: RFC 3339, milliseconds.
    Instant,
    /// `%{ms}x`: milliseconds with three decimals, labelled truthfully (D-33).
    Milliseconds,
    /// `%{pid}x`: the process that served.
    Process,
    /// The whole record as a JSON object.
    Json,
}

/// A parsed line format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    tokens: Vec<Token>,
}

impl Format {
    /// Parses a preset name (`clf`, `combined`, `common`, `tiny`, `json`) or a format string.
    ///
    /// # Errors
    /// A sentence that names the piece which is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == JSON {
            return Ok(Self { tokens: vec![Token::Json] });
        }
        let text = PRESETS.iter().find(|(name, _)| *name == text).map_or(text, |(_, format)| format);
        let mut tokens = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            literal.extend_from_slice(before.as_bytes());
            let (token, after) = parse_atom(after)?;
            match token {
                Token::Literal(bytes) => literal.extend_from_slice(&bytes),
                token => {
                    if !literal.is_empty() {
                        tokens.push(Token::Literal(std::mem::take(&mut literal)));
                    }
                    tokens.push(token);
                }
            }
            rest = after;
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() {
            tokens.push(Token::Literal(literal));
        }
        Ok(Self { tokens })
    }

    /// Appends the line for a record, without a line end.
    pub fn write(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        for token in &self.tokens {
            write_token(token, record, out);
        }
    }
}

/// Parses what follows a percent sign and returns the rest of the format.
fn parse_atom(after: &str) -> Result<(Token, &str), String> {
    if let Some(braced) = after.strip_prefix('{') {
        let Some((name, rest)) = braced.split_once('}') else {
            return Err("Unterminated %{...} in access log format".to_owned());
        };
        if let Some(rest) = rest.strip_prefix('x') {
            return Ok((parse_extension(name)?, rest));
        }
        let Some(rest) = rest.strip_prefix('i') else {
            return Err(format!("Expected 'i' after %{{{name}}} in access log format"));
        };
        return Ok((Token::Header(name.to_ascii_lowercase()), rest));
    }
    let mut letters = after.chars();
    let letter = letters.next();
    let token = match letter {
        Some('h') => Token::Client,
        // Neither identd nor HTTP authentication names are known here.
        Some('l' | 'u') => Token::Literal(b"-".to_vec()),
        Some('t') => Token::Time,
        Some('r') => Token::RequestLine,
        Some('m') => Token::Method,
        Some('U') => Token::Path,
        Some('q') => Token::Query,
        Some('H') => Token::Protocol,
        Some('s') => Token::Status,
        Some('b') => Token::BytesOrDash,
        Some('B') => Token::Bytes,
        Some('d') => Token::Seconds,
        Some('D') => Token::Microseconds,
        Some('T') => Token::WholeSeconds,
        Some('%') => Token::Literal(b"%".to_vec()),
        unknown => {
            let atom: String = unknown.into_iter().collect();
            return Err(format!("Unknown access log format atom '%{atom}'"));
        }
    };
    Ok((token, letters.as_str()))
}

/// `%{NAME}x`: what the reference server has no letter for.
fn parse_extension(name: &str) -> Result<Token, String> {
    match name {
        "tls" => Ok(Token::Tls),
        "time" => Ok(Token::Instant),
        "ms" => Ok(Token::Milliseconds),
        "pid" => Ok(Token::Process),
        "request_id" => Ok(Token::Header("x-request-id".to_owned())),
        _ => Err(format!("Unknown access log format atom '%{{{name}}}x'; there are tls, time, ms, pid and request_id")),
    }
}

fn write_token(token: &Token, record: &Record<'_>, out: &mut Vec<u8>) {
    match token {
        Token::Literal(bytes) => out.extend_from_slice(bytes),
        Token::Client => out.extend_from_slice(record.client.unwrap_or("unix").as_bytes()),
        Token::Time => append_time(record.finished, out),
        Token::RequestLine => {
            append_escaped(record.method, out);
            out.push(b' ');
            append_escaped(record.raw_path, out);
            append_query(record.query, out);
            out.push(b' ');
            append_protocol(record.version, out);
        }
        Token::Method => append_escaped(record.method, out),
        Token::Path => append_escaped(record.raw_path, out),
        Token::Query => append_query(record.query, out),
        Token::Protocol => append_protocol(record.version, out),
        Token::Status => match record.status {
            Some(status) => append_number(status.into(), out),
            None => out.push(b'-'),
        },
        Token::BytesOrDash if record.body_bytes == 0 => out.push(b'-'),
        Token::BytesOrDash | Token::Bytes => append_number(record.body_bytes, out),
        Token::Seconds => append_seconds(record.duration, out),
        Token::Microseconds => append_number(microseconds(record.duration), out),
        Token::WholeSeconds => append_number(record.duration.as_secs(), out),
        Token::Header(name) => match (record.headers)(name) {
            Some(value) => append_escaped(&value, out),
            None => out.push(b'-'),
        },
        Token::Tls => out.extend_from_slice(record.tls.unwrap_or("-").as_bytes()),
        Token::Instant => json::append_instant(record.finished, out),
        Token::Milliseconds => json::append_milliseconds(record.duration, out),
        Token::Process => append_number(std::process::id().into(), out),
        Token::Json => json::write(record, out),
    }
}

fn append_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn append_seconds(duration: Duration, out: &mut Vec<u8>) {
    // Rounded to the nearest millisecond, as `%.3f` would.
    let milliseconds = microseconds(duration).saturating_add(500) / 1000;
    append_number(milliseconds / 1000, out);
    let fraction = milliseconds % 1000;
    out.extend_from_slice(&[b'.', digit(fraction / 100), digit(fraction / 10), digit(fraction)]);
}

fn digit(number: u64) -> u8 {
    // The remainder of a division by ten fits a byte.
    b'0' + (number % 10) as u8
}

fn append_query(query: &[u8], out: &mut Vec<u8>) {
    if !query.is_empty() {
        out.push(b'?');
        append_escaped(query, out);
    }
}

fn append_protocol(version: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/");
    out.extend_from_slice(version.as_bytes());
}

/// Appends bytes that a client chose: quotes, backslashes and control bytes become `\xHH`.
fn append_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    let mut plain_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte.is_ascii_control() || byte == b'"' || byte == b'\\' {
            out.extend_from_slice(&bytes[plain_from..at]);
            let hex = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble)];
            out.extend_from_slice(&[b'\\', b'x', hex(byte >> 4), hex(byte & 15)]);
            plain_from = at + 1;
        }
    }
    out.extend_from_slice(&bytes[plain_from..]);
}

thread_local! {
    /// The last `%t` and the second it stands for: a busy worker logs thousands of lines in the same second.
    static TIME: RefCell<(u64, Vec<u8>)> = const { RefCell::new((u64::MAX, Vec::new())) };
}

/// Appends `10/Feb/2026:12:34:56 +0000`.
fn append_time(time: SystemTime, out: &mut Vec<u8>) {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    TIME.with_borrow_mut(|(second, text)| {
        if *second != seconds {
            *second = seconds;
            text.clear();
            // IMF-fixdate is `Sun, 06 Nov 1994 08:49:37 GMT`: the same pieces in another order.
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            let pieces = [&date[5..7], "/", &date[8..11], "/", &date[12..16], ":", &date[17..25], " +0000"];
            text.extend(pieces.iter().flat_map(|piece| piece.bytes()));
        }
        out.extend_from_slice(text);
    });
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// The process's standard error.
    Stderr,
    /// A file, created if missing and appended to.
    File(PathBuf),
}

enum Output {
    Stderr,
    Descriptor(File),
    File(PathBuf, File),
}

impl Output {
    fn open(sink: Sink) -> Result<Self, String> {
        match sink {
            Sink::Stderr => Ok(Self::Stderr),
            Sink::File(path) => match OpenOptions::new().append(true).create(true).open(&path) {
                Ok(file) => Ok(Self::File(path, file)),
                Err(error) => Err(format!("Cannot open access log {}: {error}", path.display())),
            },
        }
    }

    /// The most bytes that one write keeps together. A regular file opened for appending takes any amount in one
    /// piece; a pipe shared by several workers mixes what exceeds PIPE_BUF.
    fn atomic_bytes(&self) -> usize {
        const PIPE_BUF: usize = 4096;
        let stat = match self {
            Self::Stderr => rustix::fs::fstat(io::stderr()),
            Self::Descriptor(file) | Self::File(_, file) => rustix::fs::fstat(file.as_fd()),
        };
        match stat.map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode)) {
            Ok(rustix::fs::FileType::RegularFile) => usize::MAX,
            _ => PIPE_BUF,
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(bytes),
            Self::Descriptor(file) | Self::File(_, file) => file.write_all(bytes),
        }
    }
}

/// Bytes collected before a flush happens by itself, so that one long turn cannot grow the buffer without bound.
const BUFFER_LIMIT: usize = 64 * 1024;

/// How often a failing log is complained about.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Collects lines and writes them whole.
pub struct AccessLog {
    format: Format,
    output: Output,
    atomic_bytes: usize,
    buffer: Vec<u8>,
    complained: Option<Instant>,
    /// One of so many answers without an error is logged.
    sample: u64,
    /// Answers without an error so far.
    unremarkable: u64,
}

impl AccessLog {
    /// Opens the sink.
    ///
    /// # Errors
    /// `Cannot open access log PATH: REASON`.
    pub fn new(format: Format, sink: Sink) -> Result<Self, String> {
        Ok(Self::with(format, Output::open(sink)?))
    }

    /// Writes to what is open already, such as the standard error that a process had before it got another.
    #[must_use]
    pub fn on(format: Format, descriptor: File) -> Self {
        Self::with(format, Output::Descriptor(descriptor))
    }

    fn with(format: Format, output: Output) -> Self {
        let atomic_bytes = output.atomic_bytes();
        Self { format, output, atomic_bytes, buffer: Vec::new(), complained: None, sample: 1, unremarkable: 0 }
    }

    /// Logs one of so many requests from now on. Errors (status 400 and above, or none at all) are always logged.
    #[must_use]
    pub fn sampled(mut self, one_of: u64) -> Self {
        self.sample = one_of.max(1);
        self
    }

    fn is_wanted(&mut self, record: &Record<'_>) -> bool {
        if self.sample == 1 || record.status.is_none_or(|status| status >= 400) {
            return true;
        }
        self.unremarkable += 1;
        self.unremarkable % self.sample == 1
    }

    /// Appends the line for a record; it reaches the sink with the next [`flush`](Self::flush).
    pub fn record(&mut self, record: &Record<'_>) {
        if !self.is_wanted(record) {
            return;
        }
        self.format.write(record, &mut self.buffer);
        self.buffer.push(b'\n');
        if self.buffer.len() > BUFFER_LIMIT {
            self.flush();
        }
    }

    /// Writes the collected lines with as few writes as keep every line in one piece. Lines that cannot be written
    /// are dropped, and that is said in the server log at most once a minute.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let mut rest = &self.buffer[..];
        let mut failure = None;
        while !rest.is_empty() {
            let (lines, later) = rest.split_at(whole_lines(rest, self.atomic_bytes));
            if let Err(error) = self.output.write_all(lines) {
                failure = Some(error);
                break;
            }
            rest = later;
        }
        self.buffer.clear();
        if let Some(error) = failure {
            self.complain(&error);
        }
    }

    /// Opens the file anew under its name, for a log that was renamed away. The old one stays in use if that fails.
    ///
    /// # Errors
    /// `Cannot open access log PATH: REASON`.
    pub fn reopen(&mut self) -> Result<(), String> {
        self.flush();
        if let Output::File(path, _) = &self.output {
            self.output = Output::open(Sink::File(path.clone()))?;
            self.atomic_bytes = self.output.atomic_bytes();
        }
        Ok(())
    }

    fn complain(&mut self, error: &io::Error) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            self.complained = Some(Instant::now());
            let name = match &self.output {
                Output::Stderr | Output::Descriptor(_) => "standard error".to_owned(),
                Output::File(path, _) => path.display().to_string(),
            };
            tracing::error!("Cannot write access log {name}: {error}; lines are dropped");
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

/// How many bytes to write next: as many whole lines as fit the limit, or the first line if even that does not fit.
fn whole_lines(bytes: &[u8], limit: usize) -> usize {
    if bytes.len() <= limit {
        return bytes.len();
    }
    let end = memchr::memrchr(b'\n', &bytes[..limit]).or_else(|| memchr::memchr(b'\n', bytes));
    end.map_or(bytes.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
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
            (
                "combined",
                r#"192.0.2.7 - - [10/Feb/2026:12:34:56 +0000] "GET /a%20b?x=1 HTTP/1.1" 200 42 "http://r/" "-""#,
            ),
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
            line("json", &nothing).contains(r#""client":"unix","#)
                && line("json", &nothing).contains(r#""status":null"#)
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
}
