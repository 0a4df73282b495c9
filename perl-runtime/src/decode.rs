//! Events of the application: from Perl hashes to typed events. Validation is always on (EVT-3); the message shapes are
//! the reference server's (its section 16.3).

use std::path::PathBuf;

use pagi_server_core::event::{Content, FileRange, SendEvent};
use pagi_server_core::exchange::Exchange;
use pagi_server_core::header::{HeaderList, InvalidHeader};
use pagi_server_core::scope::ScopeKind;
use pagi_server_core::sequence::Step;
use pagi_server_core::sse::{self, Message};

use crate::perl::event::Key;
use crate::perl::value::{Hash, Scalar, Unreadable, View};

/// What became of an event hash.
#[expect(clippy::large_enum_variant, reason = "made and taken apart in one call; boxing would cost more than moving")]
pub(crate) enum Decoded<'a> {
    /// An event for the exchange.
    Event(SendEvent<'a>),
    /// `http.response.body` with `fh`: to be read through Perl (BODY-14).
    Handle(HandleBody),
}

/// The parts of a body event with a file handle.
pub(crate) struct HandleBody {
    pub(crate) handle: Scalar,
    pub(crate) offset: Option<u64>,
    pub(crate) length: Option<u64>,
}

/// Reads an event for an http or sse scope. `buffer` holds encoded text for as long as the event lives.
pub(crate) fn decode<'a>(event: View<'a>, exchange: &Exchange, buffer: &'a mut Vec<u8>) -> Result<Decoded<'a>, String> {
    let hash = event.event_hash().ok_or("an event must be a hash reference with a 'type'")?;
    let kind = hash
        .get(Key::Type)
        .and_then(|kind| kind.bytes().ok())
        .ok_or("an event must be a hash reference with a 'type'")?;
    let scope = exchange.head().kind;
    let fields = Fields { hash, event: kind };
    Ok(Decoded::Event(match (scope, kind) {
        (ScopeKind::Http, b"http.response.start") => SendEvent::ResponseStart {
            status: fields.status()?.ok_or_else(|| fields.required(Key::Status))?,
            headers: fields.headers()?,
            trailers: fields.flag(Key::Trailers),
        },
        (ScopeKind::Http, b"http.response.body") => return fields.body(exchange),
        (ScopeKind::Http, b"http.response.trailers") => SendEvent::ResponseTrailers { headers: fields.headers()? },
        (ScopeKind::Http | ScopeKind::Sse, b"http.fullflush") => {
            if !exchange.worker().config.fullflush {
                return Err("Extension not enabled: fullflush".to_owned());
            }
            SendEvent::FullFlush
        }
        (ScopeKind::Sse, b"sse.start") => {
            SendEvent::SseStart { status: fields.status()?.unwrap_or(200), headers: fields.headers()? }
        }
        (ScopeKind::Sse, b"sse.send") => {
            fields.sse_message(buffer)?;
            SendEvent::SseSend(buffer)
        }
        (ScopeKind::Sse, b"sse.comment") => {
            sse::encode_comment(fields.text(Key::Comment)?.ok_or_else(|| fields.required(Key::Comment))?, buffer);
            SendEvent::SseComment(buffer)
        }
        (ScopeKind::Sse, b"sse.keepalive") => {
            let mut comment = Vec::new();
            sse::encode_comment(fields.text(Key::Comment)?.unwrap_or_default(), &mut comment);
            SendEvent::SseKeepalive { interval: fields.interval()?, comment }
        }
        (ScopeKind::Sse, b"sse.close") => {
            let reason = fields.text(Key::Reason)?.unwrap_or_default();
            SendEvent::SseClose { reason: String::from_utf8_lossy(reason).into_owned() }
        }
        (ScopeKind::WebSocket, b"websocket.accept") => {
            SendEvent::WsAccept { subprotocol: fields.owned_text(Key::Subprotocol)?, headers: fields.headers()? }
        }
        (ScopeKind::WebSocket, b"websocket.send") => fields.message()?,
        (ScopeKind::WebSocket, b"websocket.keepalive") => {
            SendEvent::WsKeepalive { interval: fields.interval()?, timeout: fields.seconds(Key::Timeout)? }
        }
        (ScopeKind::WebSocket, b"websocket.close") => SendEvent::WsClose {
            code: fields.close_code()?,
            reason: fields.owned_text(Key::Reason)?.unwrap_or_default(),
        },
        (ScopeKind::Sse, b"sse.http.response.start") | (ScopeKind::WebSocket, b"websocket.http.response.start") => {
            SendEvent::ResponseStart {
                status: fields.status()?.ok_or_else(|| fields.required(Key::Status))?,
                headers: fields.headers()?,
                trailers: false,
            }
        }
        (ScopeKind::Sse, b"sse.http.response.body") | (ScopeKind::WebSocket, b"websocket.http.response.body") => {
            for key in [Key::File, Key::Fh] {
                if hash.get(key).is_some() {
                    return Err(format!("{} takes no '{}', only 'body'", fields.name(), key.name()));
                }
            }
            SendEvent::ResponseBody {
                content: Content::Inline(fields.bytes(Key::Body)?.unwrap_or_default()),
                more: fields.flag(Key::More),
            }
        }
        _ => {
            let protocol = match scope {
                ScopeKind::Http => "http",
                ScopeKind::Sse => "sse",
                ScopeKind::WebSocket => "websocket",
            };
            return Err(format!("Unrecognized event type '{}' for {protocol} protocol", String::from_utf8_lossy(kind)));
        }
    }))
}

/// The fields of one event, with errors that name event and field.
pub(crate) struct Fields<'a> {
    pub(crate) hash: Hash<'a>,
    pub(crate) event: &'a [u8],
}

impl<'a> Fields<'a> {
    fn name(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.event)
    }

    fn required(&self, key: Key) -> String {
        format!("{} requires '{}' field", self.name(), key.name())
    }

    fn must(&self, key: Key, what: &str) -> String {
        format!("{} '{}' must be {what}", self.name(), key.name())
    }

    fn flag(&self, key: Key) -> bool {
        self.hash.get(key).is_some_and(View::flag)
    }

    fn bytes(&self, key: Key) -> Result<Option<&'a [u8]>, String> {
        self.hash.get(key).map(View::bytes).transpose().map_err(|error| match error {
            Unreadable::Wide => self.must(key, "bytes: it holds a character above 0xFF (Wide character)"),
            _ => self.must(key, "a string"),
        })
    }

    pub(crate) fn text(&self, key: Key) -> Result<Option<&'a [u8]>, String> {
        self.hash.get(key).map(View::utf8).transpose().map_err(|error| match error {
            Unreadable::Unicode => self.must(key, "Unicode text: it holds a surrogate or a code point above 0x10FFFF"),
            _ => self.must(key, "a string"),
        })
    }

    fn int(&self, key: Key) -> Result<Option<i64>, String> {
        self.hash.get(key).map(View::int).transpose().map_err(|_| self.must(key, "an integer"))
    }

    fn unsigned(&self, key: Key) -> Result<Option<u64>, String> {
        self.int(key)?
            .map(|value| u64::try_from(value).map_err(|_| self.must(key, "a non-negative integer")))
            .transpose()
    }

    /// HTTP-9, HTTP-12.
    fn status(&self) -> Result<Option<u16>, String> {
        let Some(status) = self.int(Key::Status)? else { return Ok(None) };
        u16::try_from(status)
            .ok()
            .filter(|status| (200..=999).contains(status))
            .map(Some)
            .ok_or_else(|| self.must(Key::Status, &format!("a final HTTP status from 200 to 999, got {status}")))
    }

    fn owned_text(&self, key: Key) -> Result<Option<String>, String> {
        Ok(self.text(key)?.map(|text| String::from_utf8_lossy(text).into_owned()))
    }

    fn interval(&self) -> Result<f64, String> {
        self.seconds(Key::Interval)?.ok_or_else(|| self.required(Key::Interval))
    }

    /// A finite, non-negative number of seconds (DATA-4, WS-37).
    fn seconds(&self, key: Key) -> Result<Option<f64>, String> {
        let Some(value) = self.hash.get(key) else { return Ok(None) };
        let seconds = value.num().map_err(|_| self.must(key, "a number"))?;
        if seconds < 0.0 { Err(self.must(key, "0 or more seconds")) } else { Ok(Some(seconds)) }
    }

    /// WS-17: exactly one of `text` and `bytes`.
    fn message(&self) -> Result<SendEvent<'a>, String> {
        match (self.text(Key::Text)?, self.bytes(Key::Bytes)?) {
            (Some(text), None) => Ok(SendEvent::WsText(text)),
            (None, Some(bytes)) => Ok(SendEvent::WsBinary(bytes)),
            (text, _) => {
                let got = if text.is_some() { 2 } else { 0 };
                Err(format!("websocket.send requires exactly one of bytes/text (got {got})"))
            }
        }
    }

    fn close_code(&self) -> Result<u16, String> {
        let code = self.int(Key::Code)?.unwrap_or(1000);
        u16::try_from(code).map_err(|_| self.must(Key::Code, &format!("a WebSocket close code, got {code}")))
    }

    /// A list of name and value pairs, byte-safe (HDR-10 to HDR-13).
    fn headers(&self) -> Result<HeaderList, String> {
        let mut headers = HeaderList::new();
        let Some(value) = self.hash.get(Key::Headers) else { return Ok(headers) };
        let list = value.array().ok_or_else(|| self.must(Key::Headers, "an array reference"))?;
        for index in 0..list.len() {
            let pair = list.get(index).and_then(View::array).filter(|pair| pair.len() == 2);
            let Some((name, value)) = pair.and_then(|pair| Some((pair.get(0)?, pair.get(1)?))) else {
                return Err(format!("{} 'headers' entry {index} must be [name, value]", self.name()));
            };
            let name = name.bytes().map_err(|_| format!("{} has a header name that is not bytes", self.name()))?;
            let show = || String::from_utf8_lossy(name).into_owned();
            let value = value.bytes().map_err(|error| match error {
                Unreadable::Wide => format!("{} header '{}' holds a character above 0xFF", self.name(), show()),
                _ => format!("{} header '{}' must be a byte string", self.name(), show()),
            })?;
            headers.push_checked(name, value).map_err(|error| match error {
                InvalidHeader::Name => {
                    format!("Invalid header name '{}' in {}: it must be a token", show().escape_debug(), self.name())
                }
                InvalidHeader::Value => {
                    format!("Invalid header value for '{}' in {}: CR, LF and NUL are not allowed", show(), self.name())
                }
            })?;
        }
        Ok(headers)
    }

    /// BODY-1 to BODY-9.
    fn body(&self, exchange: &Exchange) -> Result<Decoded<'a>, String> {
        let (body, file, fh) = (self.hash.get(Key::Body), self.hash.get(Key::File), self.hash.get(Key::Fh));
        let given = usize::from(body.is_some()) + usize::from(file.is_some()) + usize::from(fh.is_some());
        if given > 1 {
            return Err(format!("http.response.body requires exactly one of body/file/fh (got {given})"));
        }
        let more = self.flag(Key::More);
        if file.is_none() && fh.is_none() {
            let content = Content::Inline(self.bytes(Key::Body)?.unwrap_or_default());
            return Ok(Decoded::Event(SendEvent::ResponseBody { content, more }));
        }
        let (offset, length) = (self.unsigned(Key::Offset)?, self.unsigned(Key::Length)?);
        // Out of sequence is reported before a file is opened for nothing.
        exchange.check(Step::ResponseFile).map_err(|violation| violation.to_string())?;
        if exchange.discards_body() {
            // HEAD-6: nothing is opened or read.
            return Ok(Decoded::Event(SendEvent::ResponseBody { content: Content::Inline(b""), more: false }));
        }
        if let Some(file) = file {
            let range = FileRange::open(self.path(file)?, offset.unwrap_or(0), length)?;
            return Ok(Decoded::Event(SendEvent::ResponseBody { content: Content::File(range), more: false }));
        }
        let handle = fh.map_or_else(Scalar::undef, View::copy);
        Ok(Decoded::Handle(HandleBody { handle, offset, length }))
    }

    /// AMB-14: what Perl's own `open` would do with the string.
    fn path(&self, value: View<'_>) -> Result<PathBuf, String> {
        use std::os::unix::ffi::OsStrExt;
        let path = value.file_name().map_err(|_| self.must(Key::File, "a path"))?;
        if path.contains(&0) {
            return Err(self.must(Key::File, "a path without NUL"));
        }
        Ok(PathBuf::from(std::ffi::OsStr::from_bytes(path)))
    }

    fn sse_message(&self, buffer: &mut Vec<u8>) -> Result<(), String> {
        let retry = match self.hash.get(Key::Retry) {
            None => None,
            Some(retry) => Some(
                retry
                    .int()
                    .ok()
                    .and_then(|retry| u64::try_from(retry).ok())
                    .ok_or("Invalid SSE retry: must be a non-negative integer of milliseconds")?,
            ),
        };
        let message = Message {
            event: self.text(Key::Event)?,
            data: self.text(Key::Data)?.ok_or_else(|| self.required(Key::Data))?,
            id: self.text(Key::Id)?,
            retry,
        };
        message.check()?;
        message.encode(buffer);
        Ok(())
    }
}
