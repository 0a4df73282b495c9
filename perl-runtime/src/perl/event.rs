//! Names of hash keys, interned by the shim in this order.

/// A key of an event or scope hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Key {
    Type,
    Status,
    Headers,
    Trailers,
    Body,
    File,
    Fh,
    Offset,
    Length,
    More,
    Data,
    Event,
    Id,
    Retry,
    Comment,
    Interval,
    Reason,
    Message,
    Text,
    Bytes,
    Code,
    Subprotocol,
    Timeout,
}

impl Key {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Status => "status",
            Self::Headers => "headers",
            Self::Trailers => "trailers",
            Self::Body => "body",
            Self::File => "file",
            Self::Fh => "fh",
            Self::Offset => "offset",
            Self::Length => "length",
            Self::More => "more",
            Self::Data => "data",
            Self::Event => "event",
            Self::Id => "id",
            Self::Retry => "retry",
            Self::Comment => "comment",
            Self::Interval => "interval",
            Self::Reason => "reason",
            Self::Message => "message",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Code => "code",
            Self::Subprotocol => "subprotocol",
            Self::Timeout => "timeout",
        }
    }
}
