//! Standard disconnect reasons (protocol section 10).

/// Why an exchange ended abnormally (RSN-1). A normal end has no reason (RSN-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The peer closed or reset the connection while the exchange was under way.
    ClientClosed,
    /// The peer went silent while data was expected from it.
    ClientTimeout,
    /// Nothing happened for too long.
    IdleTimeout,
    /// No answer to a keepalive in time.
    KeepaliveTimeout,
    /// Output could not be written in time.
    WriteTimeout,
    /// A write failed at socket level.
    WriteError,
    /// A read failed at socket level.
    ReadError,
    /// A framing violation by the peer.
    ProtocolError,
    /// Graceful shutdown.
    ServerShutdown,
    /// A failure on our side: uncaught error, backstop 500, incomplete response.
    ServerError,
    /// The request body passed the configured limit.
    BodyTooLarge,
    /// A bounded queue ran full.
    QueueOverflow,
}

impl Reason {
    /// The token applications see.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ClientTimeout => "client_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::KeepaliveTimeout => "keepalive_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::WriteError => "write_error",
            Self::ReadError => "read_error",
            Self::ProtocolError => "protocol_error",
            Self::ServerShutdown => "server_shutdown",
            Self::ServerError => "server_error",
            Self::BodyTooLarge => "body_too_large",
            Self::QueueOverflow => "queue_overflow",
        }
    }
}
