//! What an application's events become on a stream: a typed head and typed trailers here, body bytes in the
//! [`Outbound`] queue.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, SERVER, TE};
use http::{HeaderMap, StatusCode};

use crate::config::Config;
use crate::date;
use crate::event::FileRange;
use crate::framing::{Framing, declared_length};
use crate::header::{HeaderList, has_token, log_dropped};
use crate::outbound::Outbound;
use crate::refusal::Refusal;
use crate::scope::RequestHead;
use crate::websocket::extension::Agreement;
use crate::websocket::handshake;

/// One response.
pub(crate) struct Response {
    is_head: bool,
    framing: Framing,
    head: Option<http::Response<()>>,
    trailers: Option<HeaderMap>,
    /// Nothing more will be queued.
    ended: bool,
    /// END_STREAM has been handed over.
    finished: bool,
}

impl Response {
    pub(crate) fn new(head: &RequestHead) -> Self {
        Self {
            is_head: head.is_head(),
            framing: Framing::Undecided,
            head: None,
            trailers: None,
            ended: false,
            finished: false,
        }
    }

    // ---- application side ----------------------------------------------------------------------------------------------

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// Head of an ordinary response.
    pub(crate) fn start(&mut self, status: u16, headers: &HeaderList, config: &Config) -> Result<(), String> {
        let declared = declared_length(headers)?;
        let mut head = head(status, headers, config)?;
        if matches!(status, 204 | 205) {
            // STAT-1
            head.headers_mut().remove(CONTENT_LENGTH);
        }
        self.framing = match declared {
            _ if self.is_head || matches!(status, 204 | 205 | 304) => Framing::Nothing,
            Some(length) => Framing::Length(length),
            None => Framing::Frames,
        };
        self.head = Some(head);
        Ok(())
    }

    /// Head of an event stream (SSE-10, SSE-11): any declared length is dropped (SSE-12).
    pub(crate) fn start_stream(&mut self, status: u16, headers: &HeaderList, config: &Config) -> Result<(), String> {
        let mut head = head(status, headers, config)?;
        let fields = head.headers_mut();
        fields.remove(CONTENT_LENGTH);
        fields.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/event-stream"));
        fields.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
        let nothing = self.is_head || matches!(status, 204 | 205 | 304);
        self.framing = if nothing { Framing::Nothing } else { Framing::Frames };
        self.head = Some(head);
        Ok(())
    }

    /// `websocket.accept`: 200, and no handshake fields but what was chosen (WS-44).
    pub(crate) fn accept(
        &mut self,
        subprotocol: Option<&str>,
        headers: &HeaderList,
        deflate: Option<&Agreement>,
        config: &Config,
    ) -> Result<(), String> {
        handshake::check_subprotocol(subprotocol)?;
        handshake::check_headers(headers)?;
        let mut head = head(200, headers, config)?;
        let fields = head.headers_mut();
        fields.remove(CONTENT_LENGTH);
        for (name, chosen) in [
            ("sec-websocket-protocol", subprotocol.map(str::to_owned)),
            ("sec-websocket-extensions", deflate.map(Agreement::header_value)),
        ] {
            if let Some(chosen) = chosen {
                fields.insert(name, value(name.as_bytes(), chosen.as_bytes())?);
            }
        }
        self.framing = Framing::Frames;
        self.head = Some(head);
        Ok(())
    }

    /// Body bytes. Fails when more than the declared length would go out.
    pub(crate) fn body(&mut self, out: &mut Outbound, content: &[u8]) -> Result<(), String> {
        self.framing.account(content.len() as u64)?;
        if self.framing != Framing::Nothing {
            out.append(|bytes| bytes.extend_from_slice(content));
        }
        Ok(())
    }

    /// A file as body.
    pub(crate) fn file(&mut self, out: &mut Outbound, range: FileRange) -> Result<(), String> {
        self.framing.account(range.length)?;
        if self.framing != Framing::Nothing {
            out.push_file(range);
        }
        Ok(())
    }

    /// The body is complete.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The body is complete, and trailers follow (TRLR-5); thrown away where there is no body (TRLR-6).
    pub(crate) fn trailers(&mut self, headers: &HeaderList) -> Result<(), String> {
        let fields = fields(headers)?;
        if self.framing != Framing::Nothing && !fields.is_empty() {
            self.trailers = Some(fields);
        }
        self.ended = true;
        Ok(())
    }

    /// A response of the server's own (SRV-6).
    pub(crate) fn refusal(&mut self, out: &mut Outbound, refusal: Refusal, fields: &HeaderList, config: &Config) {
        self.head = Some(refusal_head(refusal, fields, config));
        self.framing = Framing::Length(0);
        self.ended = true;
        if !self.is_head {
            out.append(|bytes| bytes.extend_from_slice(refusal.text.as_bytes()));
        }
    }

    // ---- connection side -----------------------------------------------------------------------------------------------

    /// Whether something besides body bytes waits to be handed over.
    pub(crate) fn is_pending(&self) -> bool {
        self.head.is_some() || self.ended && !self.finished
    }

    pub(crate) fn take_head(&mut self) -> Option<http::Response<()>> {
        self.head.take()
    }

    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// Whether the stream ends with what is in the queue now.
    pub(crate) fn ends_with_queue(&self) -> bool {
        self.ended && self.trailers.is_none()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn set_finished(&mut self) {
        self.finished = true;
    }
}

/// Status and fields of a response of the server's own; the body is [`Refusal::text`].
pub(super) fn refusal_head(refusal: Refusal, given: &HeaderList, config: &Config) -> http::Response<()> {
    let mut head = http::Response::new(());
    // Refusals have registered status codes.
    *head.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // What a user has configured was checked when it was read, what we write ourselves is sound.
    *head.headers_mut() = fields(given).unwrap_or_default();
    add_ours(head.headers_mut(), config);
    head
}

/// Whether these fields can be sent.
pub(crate) fn check(headers: &HeaderList) -> Result<(), String> {
    fields(headers).map(drop)
}

fn head(status: u16, headers: &HeaderList, config: &Config) -> Result<http::Response<()>, String> {
    let mut head = http::Response::new(());
    *head.status_mut() = StatusCode::from_u16(status).map_err(|_| format!("{status} is not a status code"))?;
    *head.headers_mut() = fields(headers)?;
    add_ours(head.headers_mut(), config);
    Ok(head)
}

/// SRV-1, SRV-12.
fn add_ours(fields: &mut HeaderMap, config: &Config) {
    if !fields.contains_key(DATE) {
        fields.insert(DATE, date::header_value());
    }
    if !config.server_header.is_empty()
        && !fields.contains_key(SERVER)
        && let Ok(server) = HeaderValue::from_str(&config.server_header)
    {
        fields.insert(SERVER, server);
    }
}

/// The application's fields: names in lower case (HDR-14), those that speak about the connection left out (HDR-20), `te`
/// reduced to the one value that HTTP/2 has for it (HDR-22).
fn fields(headers: &HeaderList) -> Result<HeaderMap, String> {
    let mut fields = HeaderMap::with_capacity(headers.len() + 2);
    for (name, bytes) in headers.iter() {
        let key = HeaderName::from_bytes(name)
            .map_err(|_| format!("{:?} is not a valid header name", String::from_utf8_lossy(name)))?;
        if key == TE && has_token(bytes, b"trailers") {
            fields.insert(TE, HeaderValue::from_static("trailers"));
        } else if is_connection_level(key.as_str()) {
            log_dropped(name);
        } else {
            fields.append(key, value(name, bytes)?);
        }
    }
    Ok(fields)
}

fn is_connection_level(name: &str) -> bool {
    matches!(name, "connection" | "transfer-encoding" | "keep-alive" | "upgrade" | "proxy-connection" | "te")
}

/// RFC 9113 §8.2.1: blanks around a value, which mean nothing, cannot be sent.
fn value(name: &[u8], bytes: &[u8]) -> Result<HeaderValue, String> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    HeaderValue::from_bytes(&bytes[start..end]).map_err(|_| {
        format!(
            "the value of header '{}' has control characters, which HTTP/2 cannot carry",
            String::from_utf8_lossy(name)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(fields: &[(&str, &str)]) -> HeaderList {
        let mut list = HeaderList::new();
        fields.iter().for_each(|(name, value)| list.push(name.as_bytes(), value.as_bytes()));
        list
    }

    #[test]
    fn hdr_14_hdr_15_hdr_20_hdr_22_fields() {
        let sent = fields(&list(&[
            ("Set-Cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("Connection", "close"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "1"),
            ("upgrade", "h2c"),
            ("proxy-connection", "x"),
            ("TE", "gzip, trailers"),
            ("x", " spaced\t"),
        ]))
        .unwrap();
        let sent: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(sent, [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("te", "trailers"), ("x", "spaced")]);
        assert!(fields(&list(&[("te", "gzip")])).unwrap().is_empty());
        let error = fields(&list(&[("x", "a\x01b")])).unwrap_err();
        assert_eq!(error, "the value of header 'x' has control characters, which HTTP/2 cannot carry");
    }

    #[test]
    fn srv_1_srv_12_never_a_second_one() {
        let config = Config::default();
        let own = head(200, &list(&[("date", "then"), ("server", "me")]), &config).unwrap();
        assert_eq!((&own.headers()[DATE], &own.headers()[SERVER]), (&"then".parse().unwrap(), &"me".parse().unwrap()));
        assert_eq!(own.headers().len(), 2);
        let ours = head(200, &list(&[]), &config).unwrap();
        assert!(ours.headers().contains_key(DATE) && ours.headers().contains_key(SERVER));
    }
}
