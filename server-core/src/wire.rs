//! What events become on the wire: the one part of an exchange that depends on the protocol.
//!
//! Over HTTP/1 everything, the head included, is bytes in the [`Outbound`] queue. Over HTTP/2 the queue holds body bytes
//! only, and head and trailers are kept typed until the stream's task takes them. An enum and no trait object: the hello
//! path of HTTP/1 stays free of indirect calls and allocations.

use crate::config::Config;
use crate::event::FileRange;
use crate::framing::Framing;
use crate::header::HeaderList;
use crate::http1::encode::Encoder;
use crate::http2::response::Response;
use crate::outbound::Outbound;
use crate::refusal::Refusal;
use crate::scope::{RequestHead, Version};
use crate::websocket::extension::Agreement;
use crate::websocket::handshake::{self, Offer};

/// See the module documentation.
pub(crate) enum Wire {
    /// HTTP/1.0 and 1.1.
    Http1(Encoder),
    /// HTTP/2; boxed, so that an HTTP/1 exchange does not carry its size.
    Http2(Box<Response>),
}

impl Wire {
    pub(crate) fn new(head: &RequestHead) -> Self {
        match head.version {
            Version::Http10 | Version::Http11 => Self::Http1(Encoder::new(head)),
            Version::Http2 => Self::Http2(Box::new(Response::new(head))),
        }
    }

    fn framing(&self) -> Framing {
        match self {
            Self::Http1(encoder) => encoder.framing(),
            Self::Http2(response) => response.framing(),
        }
    }

    /// Whether body bytes are accepted and thrown away: HEAD, or a status without content.
    pub(crate) fn discards(&self) -> bool {
        self.framing() == Framing::Nothing
    }

    /// Whether a body that ends now is shorter than was declared.
    pub(crate) fn is_short(&self) -> bool {
        matches!(self.framing(), Framing::Length(1..))
    }

    /// Whether the connection's end is all that marks the body's end.
    pub(crate) fn is_until_close(&self) -> bool {
        self.framing() == Framing::UntilClose
    }

    /// Whether the connection ends with this response.
    pub(crate) fn closes(&self) -> bool {
        match self {
            Self::Http1(encoder) => encoder.closes(),
            Self::Http2(_) => false,
        }
    }

    /// Whether something that is not in the output queue waits to be written.
    pub(crate) fn is_pending(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Http2(response) => response.is_pending(),
        }
    }

    /// The interim response before a body is first wanted (HTTP-6).
    pub(crate) fn interim_continue(&self, out: &mut Outbound) {
        if let Self::Http1(encoder) = self {
            encoder.interim_continue(out);
        }
    }

    /// Head of an ordinary response.
    pub(crate) fn start(
        &mut self,
        out: &mut Outbound,
        status: u16,
        headers: &HeaderList,
        close: bool,
        config: &Config,
    ) -> Result<(), String> {
        match self {
            Self::Http1(encoder) => encoder.start(out, status, headers, close, config),
            Self::Http2(response) => response.start(status, headers, config),
        }
    }

    /// Whether these fields can be sent: what would fail [`Self::start`].
    pub(crate) fn check(&self, headers: &HeaderList) -> Result<(), String> {
        match self {
            Self::Http1(_) => Ok(()),
            Self::Http2(_) => crate::http2::response::check(headers),
        }
    }

    /// Head of an event stream.
    pub(crate) fn start_stream(
        &mut self,
        out: &mut Outbound,
        status: u16,
        headers: HeaderList,
        close: bool,
        config: &Config,
    ) -> Result<(), String> {
        match self {
            Self::Http1(encoder) => encoder.start_stream(out, status, headers, close, config),
            Self::Http2(response) => response.start_stream(status, &headers, config),
        }
    }

    /// Head of an accepted WebSocket; its status comes back.
    pub(crate) fn accept(
        &mut self,
        out: &mut Outbound,
        offer: &Offer,
        subprotocol: Option<&str>,
        headers: &HeaderList,
        deflate: Option<&Agreement>,
        config: &Config,
    ) -> Result<u16, String> {
        match self {
            Self::Http1(_) => {
                let mut response = Ok(());
                out.append(|bytes| {
                    response = handshake::response(&offer.key, subprotocol, headers, deflate, bytes);
                });
                response.map(|()| 101)
            }
            Self::Http2(response) => response.accept(subprotocol, headers, deflate, config).map(|()| 200),
        }
    }

    /// Body bytes. Fails when more than the declared length would go out.
    pub(crate) fn body(&mut self, out: &mut Outbound, content: &[u8]) -> Result<(), String> {
        match self {
            Self::Http1(encoder) => encoder.body(out, content),
            Self::Http2(response) => response.body(out, content),
        }
    }

    /// A file as body.
    pub(crate) fn file(&mut self, out: &mut Outbound, range: FileRange) -> Result<(), String> {
        match self {
            Self::Http1(encoder) => encoder.file(out, range),
            Self::Http2(response) => response.file(out, range),
        }
    }

    /// The end of a complete body.
    pub(crate) fn end(&mut self, out: &mut Outbound) {
        match self {
            Self::Http1(encoder) => encoder.end(out),
            Self::Http2(response) => response.end(),
        }
    }

    /// The end of a complete body, and trailer fields.
    pub(crate) fn trailers(&mut self, out: &mut Outbound, headers: &HeaderList) -> Result<(), String> {
        match self {
            Self::Http1(encoder) => encoder.trailers(out, headers),
            Self::Http2(response) => response.trailers(headers),
        }
    }

    /// A response of the server's own.
    pub(crate) fn refusal(&mut self, out: &mut Outbound, refusal: Refusal, fields: &HeaderList, config: &Config) {
        match self {
            Self::Http1(encoder) => encoder.refusal(out, refusal, fields, config),
            Self::Http2(response) => response.refusal(out, refusal, fields, config),
        }
    }
}
