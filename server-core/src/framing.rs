//! How the end of a response body is found, and how much of it is still owed (BODY-12): the same for every protocol.

use crate::header::HeaderList;

/// How the end of a response body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing was started.
    Undecided,
    /// No body on the wire: HEAD, 204, 205, 304 (HEAD-1, STAT-1).
    Nothing,
    /// Bytes still owed under a `content-length`.
    Length(u64),
    /// Chunked coding.
    Chunked,
    /// HTTP/2 frames: END_STREAM marks the end.
    Frames,
    /// The connection's end is the body's end (HTTP/1.0 without a length, SRV-3).
    UntilClose,
}

impl Framing {
    /// Counts bytes that are about to go out. The error is the sentence that fails the send.
    pub(crate) fn account(&mut self, length: u64) -> Result<(), String> {
        if let Self::Length(owed) = self {
            *owed = owed.checked_sub(length).ok_or_else(|| {
                format!("http.response.body is {length} bytes, but only {owed} are left of the declared content-length")
            })?;
        }
        Ok(())
    }
}

/// The application's `content-length` (BODY-12).
pub(crate) fn declared_length(headers: &HeaderList) -> Result<Option<u64>, String> {
    let mut declared = None;
    for value in headers.values(b"content-length") {
        let length = std::str::from_utf8(value)
            .ok()
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse::<u64>().ok())
            .ok_or_else(|| {
                format!("content-length must be a number of bytes, got '{}'", String::from_utf8_lossy(value))
            })?;
        if declared.is_some() {
            return Err("content-length was given more than once".to_owned());
        }
        declared = Some(length);
    }
    Ok(declared)
}
