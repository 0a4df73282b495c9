//! Close codes and reasons: which ones a peer may send, which ones we may (RFC 6455 §7.4).

use super::failure::Failure;

/// Longest reason in bytes: a control frame holds 125, the code takes two of them (WS-26).
pub const MAX_REASON: usize = 123;

/// What an application is told when the peer's Close frame held no code (WS-22). Never on the wire.
pub const NO_STATUS: u16 = 1005;

/// What an application is told when there was no closing handshake (WS-23). Never on the wire.
pub const ABNORMAL: u16 = 1006;

/// Whether a code may be in a Close frame, in either direction (WS-26, WS-29). 1012 to 1014 are registered with IANA
/// (AMB-16); 1004, 1005, 1006 and 1015 must not be sent.
#[must_use]
pub fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Checks what an application wants to send (WS-26). The error is the sentence that fails the send.
pub fn check(code: u16, reason: &str) -> Result<(), String> {
    if !is_sendable(code) {
        return Err(format!("websocket.close 'code' must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, got {code}"));
    }
    if reason.len() > MAX_REASON {
        return Err(format!(
            "websocket.close 'reason' must be at most {MAX_REASON} bytes of UTF-8, got {}",
            reason.len()
        ));
    }
    Ok(())
}

/// Reads the payload of a peer's Close frame: code and reason, or nothing when it is empty (WS-22, WS-29, WS-32).
/// The reason is decoded (AMB-20).
pub fn parse(payload: &[u8]) -> Result<Option<(u16, String)>, Failure> {
    match payload {
        [] => Ok(None),
        [_] => Err(Failure::CLOSE_FRAME),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !is_sendable(code) {
                return Err(Failure::CLOSE_CODE);
            }
            let reason = std::str::from_utf8(reason).map_err(|_| Failure::CLOSE_REASON)?;
            Ok(Some((code, reason.to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ws_26_ws_29_amb_16_every_code() {
        for code in 0..=u16::MAX {
            let expected = match code {
                1004..=1006 | 1015 => false,
                1000..=1014 | 3000..=4999 => true,
                _ => false,
            };
            assert_eq!(check(code, "").is_ok(), expected, "sending {code}");
            let parsed = parse(&code.to_be_bytes());
            assert_eq!(parsed, if expected { Ok(Some((code, String::new()))) } else { Err(Failure::CLOSE_CODE) });
        }
    }

    #[test]
    fn ws_26_reason_of_123_bytes() {
        assert!(check(1000, &"x".repeat(123)).is_ok());
        assert!(check(1000, &"x".repeat(124)).is_err());
        let error = check(1000, &"é".repeat(62)).unwrap_err();
        assert_eq!(error, "websocket.close 'reason' must be at most 123 bytes of UTF-8, got 124");
        assert_eq!(
            check(1005, "").unwrap_err(),
            "websocket.close 'code' must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, got 1005"
        );
    }

    #[test]
    fn ws_22_ws_29_ws_32_amb_20_payloads() {
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"\x03"), Err(Failure::CLOSE_FRAME));
        assert_eq!(parse(b"\x03\xe8caf\xc3\xa9"), Ok(Some((1000, "café".to_owned()))));
        assert_eq!(parse(b"\x03\xe8\xff"), Err(Failure::CLOSE_REASON));
        assert_eq!(parse(b"\x03\xe8\xe2\x82"), Err(Failure::CLOSE_REASON), "cut in the middle of a character");
    }
}
