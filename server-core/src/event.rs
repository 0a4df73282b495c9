//! Events as Rust sees them, after their Perl hashes were read and before bytes are made of them.

use std::path::PathBuf;

use bytes::Bytes;

use crate::header::HeaderList;

/// An event from the application on a request scope. Byte content is borrowed from the application's scalar for the
/// length of one call (EMB-18).
#[derive(Debug)]
pub enum SendEvent<'a> {
    /// `http.response.start`; `sse.http.response.start` and `websocket.http.response.start` on their scopes.
    ResponseStart {
        /// Status code, 200 to 999.
        status: u16,
        /// Checked response headers.
        headers: HeaderList,
        /// Whether trailers are promised (TRLR-1).
        trailers: bool,
    },
    /// `http.response.body`; `sse.http.response.body` and `websocket.http.response.body` on their scopes.
    ResponseBody {
        /// Content of this event.
        content: Content<'a>,
        /// Whether more body events follow (BODY-2).
        more: bool,
    },
    /// `http.response.trailers`.
    ResponseTrailers {
        /// Checked trailer fields.
        headers: HeaderList,
    },
    /// `http.fullflush` (EXT-5).
    FullFlush,
    /// `sse.start`.
    SseStart {
        /// Status code.
        status: u16,
        /// Checked response headers.
        headers: HeaderList,
    },
    /// `sse.send`, already encoded by [`crate::sse`].
    SseSend(&'a [u8]),
    /// `sse.comment`, already encoded.
    SseComment(&'a [u8]),
    /// `sse.keepalive`: the encoded comment and its interval in seconds; 0 stops.
    SseKeepalive {
        /// Seconds between comments.
        interval: f64,
        /// Encoded comment.
        comment: Vec<u8>,
    },
    /// `sse.close` with its local reason (SSE-26).
    SseClose {
        /// For logs, and for a parked receive (SSE-29).
        reason: String,
    },
    /// `websocket.accept`.
    WsAccept {
        /// Chosen subprotocol (WS-7).
        subprotocol: Option<String>,
        /// Further headers of the 101 response, checked for byte safety.
        headers: HeaderList,
    },
    /// `websocket.send` with `text`, encoded as UTF-8.
    WsText(&'a [u8]),
    /// `websocket.send` with `bytes`.
    WsBinary(&'a [u8]),
    /// `websocket.keepalive` (WS-34 to WS-37), both in seconds.
    WsKeepalive {
        /// Time between pings; 0 stops them.
        interval: f64,
        /// How long a pong may take.
        timeout: Option<f64>,
    },
    /// `websocket.close`.
    WsClose {
        /// Close code, 1000 when the application gave none; checked by the session (WS-26).
        code: u16,
        /// Close reason.
        reason: String,
    },
}

/// Body content of one event (BODY-1).
#[derive(Debug)]
pub enum Content<'a> {
    /// `body`, or nothing.
    Inline(&'a [u8]),
    /// `file`, opened and positioned by us.
    File(FileRange),
    /// Bytes and parts of files by turns; nobody but native services sends this.
    Parts(Vec<Part>),
    /// `fh`: the bytes follow through [`crate::exchange::Exchange::push_handle_bytes`].
    Handle,
}

/// A piece of [`Content::Parts`].
#[derive(Debug)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// Bytes of a file.
    File(FileRange),
}

/// Part of an open file.
#[derive(Debug)]
pub struct FileRange {
    /// The file, opened for reading.
    pub file: std::fs::File,
    /// Where to start.
    pub offset: u64,
    /// How many bytes, already cut to the size of the file (BODY-7).
    pub length: u64,
}

impl FileRange {
    /// Opens a file for a body event. The error is the sentence that fails the send (BODY-8, AMB-14).
    pub fn open(path: PathBuf, offset: u64, length: Option<u64>) -> Result<Self, String> {
        let show = path.display().to_string();
        if !path.is_absolute() {
            return Err(format!("http.response.body 'file' must be an absolute path, got '{show}'"));
        }
        let open = || -> std::io::Result<(std::fs::File, std::fs::Metadata)> {
            // Opened without blocking: a FIFO without a writer would otherwise stop the whole worker here.
            let file = {
                use std::os::unix::fs::OpenOptionsExt;
                let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
                std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(&path)?
            };
            let metadata = file.metadata()?;
            Ok((file, metadata))
        };
        let (file, metadata) = open().map_err(|error| format!("Cannot open file '{show}': {error}"))?;
        if !metadata.is_file() {
            return Err(format!("Cannot send '{show}': it is not a regular file"));
        }
        let available = metadata.len().saturating_sub(offset);
        Ok(Self { file, offset, length: length.unwrap_or(available).min(available) })
    }
}

/// An event for the application on a request scope.
#[derive(Debug, PartialEq, Eq)]
pub enum ReceiveEvent {
    /// `http.request` or `sse.request`.
    Request {
        /// Body fragment.
        body: Bytes,
        /// Whether more follow.
        more: bool,
    },
    /// `http.disconnect`, or `sse.disconnect` with a reason.
    Disconnect {
        /// Reason token, or an `sse.close` reason; used on sse scopes only (HTTP-15).
        reason: String,
    },
    /// `websocket.connect`.
    WsConnect,
    /// `websocket.receive` with `text`.
    WsText(String),
    /// `websocket.receive` with `bytes`.
    WsBinary(Bytes),
    /// `websocket.disconnect`.
    WsDisconnect {
        /// Close code (WS-22 to WS-24).
        code: u16,
        /// The peer's text, or a standard token.
        reason: String,
    },
}
