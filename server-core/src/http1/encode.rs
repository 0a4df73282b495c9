//! Response framing: status line, header fields, chunked coding, and what the server adds or decides (section 8.7).

use crate::config::Config;
use crate::date;
use crate::event::FileRange;
use crate::framing::{Framing, declared_length};
use crate::header::{HeaderList, has_token, log_dropped};
use crate::outbound::Outbound;
use crate::refusal::Refusal;
use crate::scope::{RequestHead, Version};
use crate::status;

/// Encodes one response.
pub(crate) struct Encoder {
    version: Version,
    is_head: bool,
    framing: Framing,
    closes: bool,
}

impl Encoder {
    pub(crate) fn new(head: &RequestHead) -> Self {
        Self { version: head.version, is_head: head.is_head(), framing: Framing::Undecided, closes: false }
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the connection ends with this response.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    fn discards(&self) -> bool {
        self.framing == Framing::Nothing
    }

    /// The interim response before a body is first wanted (HTTP-6).
    pub(crate) fn interim_continue(&self, out: &mut Outbound) {
        out.append(|bytes| bytes.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
    }

    /// Status line and header section of an ordinary response.
    pub(crate) fn start(
        &mut self,
        out: &mut Outbound,
        status: u16,
        headers: &HeaderList,
        close: bool,
        config: &Config,
    ) -> Result<(), String> {
        let declared = declared_length(headers)?;
        let without_content = matches!(status, 204 | 205 | 304);
        self.framing = match declared {
            _ if self.is_head || without_content => Framing::Nothing,
            Some(length) => Framing::Length(length),
            None if self.version == Version::Http11 => Framing::Chunked,
            None => Framing::UntilClose,
        };
        self.closes = close || self.framing == Framing::UntilClose;
        let keep_length = !matches!(status, 204 | 205);
        self.write_head(out, status, headers, config, keep_length, false);
        Ok(())
    }

    /// Head of an event stream (SSE-10, SSE-11): any declared length is dropped (SSE-12).
    pub(crate) fn start_stream(
        &mut self,
        out: &mut Outbound,
        status: u16,
        mut headers: HeaderList,
        close: bool,
        config: &Config,
    ) -> Result<(), String> {
        if headers.get(b"content-type").is_none() {
            headers.push(b"content-type", b"text/event-stream");
        }
        if headers.get(b"cache-control").is_none() {
            headers.push(b"cache-control", b"no-cache");
        }
        self.framing = match self.version {
            _ if self.is_head || matches!(status, 204 | 205 | 304) => Framing::Nothing,
            Version::Http10 => Framing::UntilClose,
            _ => Framing::Chunked,
        };
        self.closes = close || self.framing == Framing::UntilClose;
        self.write_head(out, status, &headers, config, false, true);
        Ok(())
    }

    fn write_head(
        &self,
        out: &mut Outbound,
        status: u16,
        headers: &HeaderList,
        config: &Config,
        keep_length: bool,
        stream: bool,
    ) {
        out.append(|bytes| self.append_head(bytes, status, headers, config, keep_length, stream));
    }

    fn append_head(
        &self,
        bytes: &mut Vec<u8>,
        status: u16,
        headers: &HeaderList,
        config: &Config,
        keep_length: bool,
        stream: bool,
    ) {
        status_line(bytes, status);
        let (mut has_date, mut has_server, mut has_upgrade) = (false, false, false);
        for (name, value) in headers.iter() {
            match known(name) {
                Known::Date => has_date = true,
                Known::Server => has_server = true,
                Known::Upgrade => has_upgrade = true,
                Known::Length if !keep_length => continue,
                Known::ConnectionLevel => {
                    // HDR-17, HDR-18: framing and connection are ours.
                    log_dropped(name);
                    continue;
                }
                Known::Length | Known::Other => {}
            }
            field(bytes, name, value);
        }
        if !has_date {
            bytes.extend_from_slice(b"date: ");
            date::append_now(bytes);
            bytes.extend_from_slice(b"\r\n");
        }
        if !has_server && !config.server_header.is_empty() {
            field(bytes, b"server", config.server_header.as_bytes());
        }
        if status == 205 {
            bytes.extend_from_slice(b"content-length: 0\r\n");
        }
        if self.framing == Framing::Chunked {
            bytes.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        self.write_connection(bytes, has_upgrade, stream);
        bytes.extend_from_slice(b"\r\n");
    }

    /// SRV-3, SRV-5, and the companion of `upgrade` (HDR-21).
    fn write_connection(&self, bytes: &mut Vec<u8>, has_upgrade: bool, stream: bool) {
        let state: &[u8] = match (self.closes, self.version) {
            (true, _) => b"close",
            (false, Version::Http10) => b"keep-alive",
            (false, _) if stream => b"keep-alive",
            (false, _) => b"",
        };
        let values: &[&[u8]] = match (has_upgrade, state.is_empty()) {
            (true, true) => &[b"upgrade"],
            (true, false) => &[b"upgrade, ", state],
            (false, false) => &[state],
            (false, true) => return,
        };
        bytes.extend_from_slice(b"connection: ");
        values.iter().for_each(|value| bytes.extend_from_slice(value));
        bytes.extend_from_slice(b"\r\n");
    }

    /// Body bytes; an empty slice writes nothing (AMB-17). Fails when more than the declared length would go out.
    pub(crate) fn body(&mut self, out: &mut Outbound, content: &[u8]) -> Result<(), String> {
        self.framing.account(content.len() as u64)?;
        if content.is_empty() || self.discards() {
            return Ok(());
        }
        out.append(|bytes| {
            if self.framing == Framing::Chunked {
                chunk_size(bytes, content.len() as u64);
                bytes.extend_from_slice(content);
                bytes.extend_from_slice(b"\r\n");
            } else {
                bytes.extend_from_slice(content);
            }
        });
        Ok(())
    }

    /// A file as body: one chunk, or plain bytes.
    pub(crate) fn file(&mut self, out: &mut Outbound, range: FileRange) -> Result<(), String> {
        let length = range.length;
        self.framing.account(length)?;
        if length == 0 || self.discards() {
            return Ok(());
        }
        let chunked = self.framing == Framing::Chunked;
        if chunked {
            out.append(|bytes| chunk_size(bytes, length));
        }
        out.push_file(range);
        if chunked {
            out.append(|bytes| bytes.extend_from_slice(b"\r\n"));
        }
        Ok(())
    }

    /// The end marker of a complete body.
    pub(crate) fn end(&mut self, out: &mut Outbound) {
        if self.framing == Framing::Chunked {
            out.append(|bytes| bytes.extend_from_slice(b"0\r\n\r\n"));
        }
    }

    /// End marker and trailer fields (TRLR-4, TRLR-6, TRLR-8).
    pub(crate) fn trailers(&mut self, out: &mut Outbound, headers: &HeaderList) -> Result<(), String> {
        match self.framing {
            Framing::Nothing => Ok(()),
            Framing::Chunked => {
                out.append(|bytes| {
                    bytes.extend_from_slice(b"0\r\n");
                    headers.iter().for_each(|(name, value)| field(bytes, name, value));
                    bytes.extend_from_slice(b"\r\n");
                });
                Ok(())
            }
            _ => {
                Err("http.response.trailers needs chunked framing: this response has a content-length, or the client \
                      speaks HTTP/1.0"
                    .to_owned())
            }
        }
    }

    /// A response of the server's own, with a short text body, after which the connection closes (SRV-6).
    pub(crate) fn refusal(&mut self, out: &mut Outbound, refusal: Refusal, fields: &HeaderList, config: &Config) {
        self.framing = Framing::Length(0);
        self.closes = true;
        out.append(|bytes| self.append_refusal(bytes, refusal, fields, config));
    }

    fn append_refusal(&self, bytes: &mut Vec<u8>, refusal: Refusal, fields: &HeaderList, config: &Config) {
        self.append_head(bytes, refusal.status, fields, config, true, false);
        if !self.is_head {
            bytes.extend_from_slice(refusal.text.as_bytes());
        }
    }
}

/// The bytes of a response of the server's own to a request that has no encoder; the body is left out for HEAD.
pub(crate) fn write_refusal(
    bytes: &mut Vec<u8>,
    refusal: Refusal,
    fields: &HeaderList,
    is_head: bool,
    config: &Config,
) {
    let encoder = Encoder { version: Version::Http11, is_head, framing: Framing::Length(0), closes: true };
    encoder.append_refusal(bytes, refusal, fields, config);
}

fn status_line(bytes: &mut Vec<u8>, status: u16) {
    bytes.extend_from_slice(b"HTTP/1.1 ");
    bytes.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(status::phrase(status).as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

fn field(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

fn chunk_size(bytes: &mut Vec<u8>, length: u64) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    let _ = write!(bytes, "{length:x}\r\n");
}

enum Known {
    Date,
    Server,
    Length,
    Upgrade,
    ConnectionLevel,
    Other,
}

fn known(name: &[u8]) -> Known {
    let is = |candidate: &[u8]| name.eq_ignore_ascii_case(candidate);
    match name.len() {
        2 if is(b"te") => Known::ConnectionLevel,
        4 if is(b"date") => Known::Date,
        6 if is(b"server") => Known::Server,
        7 if is(b"upgrade") => Known::Upgrade,
        10 if is(b"connection") || is(b"keep-alive") => Known::ConnectionLevel,
        14 if is(b"content-length") => Known::Length,
        16 if is(b"proxy-connection") => Known::ConnectionLevel,
        17 if is(b"transfer-encoding") => Known::ConnectionLevel,
        _ => Known::Other,
    }
}

/// Whether a `connection` header value holds `close`, `keep-alive` or neither.
pub(crate) fn wants_keep_alive(headers: &HeaderList, version: Version) -> bool {
    let any = |token: &[u8]| headers.values(b"connection").any(|value| has_token(value, token));
    match version {
        Version::Http10 => any(b"keep-alive") && !any(b"close"),
        _ => !any(b"close"),
    }
}
