//! Responses that the server makes itself (SRV-6): which request is refused with what.

use crate::header::HeaderList;
use crate::offload::outgoing::Outgoing;
use crate::websocket::handshake;

/// Why a request is refused: status and body text of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// Text of the response body.
    pub text: &'static str,
    /// Further header fields. `upgrade` gets its companion in `connection` (HDR-21).
    pub headers: &'static [(&'static str, &'static str)],
}

impl From<handshake::Refusal> for Refusal {
    fn from(refusal: handshake::Refusal) -> Self {
        Self { status: refusal.status, text: refusal.text, headers: refusal.headers }
    }
}

impl Refusal {
    /// All fields of the answer but date, server and connection: its own, the name of the request, and what the server
    /// adds to every response that does not have it.
    pub(crate) fn fields(self, outgoing: Option<&Outgoing>, name: Option<&[u8]>, is_secure: bool) -> HeaderList {
        let mut fields = HeaderList::new();
        fields.push(b"content-type", b"text/plain");
        fields.push(b"content-length", itoa::Buffer::new().format(self.text.len()).as_bytes());
        self.headers.iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
        if let Some(outgoing) = outgoing {
            if let (Some(field), Some(name)) = (&outgoing.request_id, name) {
                fields.push(field.as_bytes(), name);
            }
            outgoing.fields.add(&mut fields, is_secure);
        }
        fields
    }

    const fn new(status: u16, text: &'static str) -> Self {
        Self { status, text, headers: &[] }
    }

    pub(crate) const BAD_REQUEST: Self = Self::new(400, "Bad Request");
    pub(crate) const TIMEOUT: Self = Self::new(408, "Request Timeout");
    pub(crate) const BODY_TOO_LARGE: Self = Self::new(413, "Payload Too Large");
    pub(crate) const URI_TOO_LONG: Self = Self::new(414, "URI Too Long");
    pub(crate) const HEAD_TOO_LARGE: Self = Self::new(431, "Request Header Fields Too Large");
    pub(crate) const BAD_CHUNK: Self = Self::new(400, "Invalid chunk size");
    pub(crate) const CLEARTEXT: Self = Self::new(400, "The plain HTTP request was sent to an HTTPS port");
    pub(crate) const AT_CAPACITY: Self = Self {
        status: 503,
        text: "503 Service Unavailable - Server at capacity\r\n",
        headers: &[("retry-after", "5")],
    };
    pub(crate) const FORBIDDEN: Self = Self::new(403, "Forbidden");
    pub(crate) const SERVER_ERROR: Self = Self::new(500, "Internal Server Error");
    pub(crate) const CHUNKED_NOT_LAST: Self = Self::new(400, "chunked must be the final Transfer-Encoding");
    pub(crate) const TWO_FRAMINGS: Self = Self::new(400, "Transfer-Encoding and Content-Length are mutually exclusive");
    pub(crate) const UNKNOWN_CODING: Self = Self::new(501, "Unsupported Transfer-Encoding");
    pub(crate) const CONNECT: Self = Self::new(501, "CONNECT method not supported");
    pub(crate) const UNKNOWN_PROTOCOL: Self = Self::new(501, "Unsupported :protocol");
    pub(crate) const VERSION: Self = Self::new(505, "HTTP Version Not Supported");
}
