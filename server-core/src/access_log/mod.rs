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
mod tests;
