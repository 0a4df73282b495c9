//! What makes a connection fail (RFC 6455 §7.1.7), with the texts that go into the Close frame.

/// A violation by the peer, or a limit it crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Code of the Close frame that answers it (WS-24).
    pub close_code: u16,
    /// Text of the Close frame; ASCII, at most 123 bytes.
    pub reason_text: &'static str,
}

impl Failure {
    /// A reserved bit without an extension that gives it a meaning (WS-29).
    pub const RSV: Self = Self::protocol("RSV bits must be 0");
    /// Opcodes 3 to 7 and 11 to 15 (WS-29).
    pub const OPCODE: Self = Self::protocol("Reserved opcode");
    /// A control frame with more than 125 bytes (WS-29).
    pub const CONTROL_TOO_LARGE: Self = Self::protocol("Control frame too large");
    /// A control frame without FIN (RFC 6455 §5.5).
    pub const CONTROL_FRAGMENTED: Self = Self::protocol("Control frame must not be fragmented");
    /// A frame that is not masked (RFC 6455 §5.1).
    pub const UNMASKED: Self = Self::protocol("Client frame must be masked");
    /// A length with its highest bit set (RFC 6455 §5.2).
    pub const LENGTH: Self = Self::protocol("Invalid frame length");
    /// A continuation frame outside a message (RFC 6455 §5.4).
    pub const CONTINUATION: Self = Self::protocol("Continuation without a message");
    /// A new message inside a fragmented one (RFC 6455 §5.4).
    pub const NESTED: Self = Self::protocol("Expected a continuation frame");
    /// A Close frame with one byte (WS-29).
    pub const CLOSE_FRAME: Self = Self::protocol("Invalid close frame");
    /// A Close frame whose code must not be on the wire (WS-29, AMB-16).
    pub const CLOSE_CODE: Self = Self::protocol("Invalid close code");
    /// A Close reason that is not UTF-8 (WS-32).
    pub const CLOSE_REASON: Self = Self { close_code: 1007, reason_text: "Invalid UTF-8 in close reason" };
    /// Text that is not UTF-8 (WS-16).
    pub const UTF8: Self = Self { close_code: 1007, reason_text: "Invalid UTF-8" };
    /// A compressed message that does not inflate. RFC 7692 §7.2.2 fails the connection without naming a code; 1007 is
    /// the one for content that does not fit the type of its message.
    pub const DEFLATE: Self = Self { close_code: 1007, reason_text: "Invalid compressed data" };
    /// A frame above the configured size (WS-31).
    pub const FRAME_TOO_LARGE: Self = Self { close_code: 1009, reason_text: "Frame too large" };
    /// A message above the configured size, compressed or not (WS-31).
    pub const MESSAGE_TOO_LARGE: Self = Self { close_code: 1009, reason_text: "Message too large" };

    const fn protocol(reason_text: &'static str) -> Self {
        Self { close_code: 1002, reason_text }
    }
}
