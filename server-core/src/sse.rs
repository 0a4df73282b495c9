//! The text/event-stream encoder (SSE-14 to SSE-23). Field order: event, data, id, retry.

/// One `sse.send` event; all text is UTF-8 already.
#[derive(Debug, Default)]
pub struct Message<'a> {
    /// `event`; an empty one is omitted (SSE-19).
    pub event: Option<&'a [u8]>,
    /// `data`.
    pub data: &'a [u8],
    /// `id`; an empty one is sent, it resets the client's last id (SSE-19).
    pub id: Option<&'a [u8]>,
    /// `retry` in milliseconds.
    pub retry: Option<u64>,
}

impl Message<'_> {
    /// Checks the fields that must stay on one line (SSE-17, SSE-19). The error is the sentence that fails the send.
    pub fn check(&self) -> Result<(), String> {
        let one_line = |bytes: &[u8]| !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        if !self.event.is_none_or(one_line) {
            return Err("Invalid SSE event name: must not contain newlines".to_owned());
        }
        if !self.id.is_none_or(|id| one_line(id) && !id.contains(&0)) {
            return Err("Invalid SSE id: must not contain newlines or NUL".to_owned());
        }
        Ok(())
    }

    /// Appends the event's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(event) = self.event.filter(|event| !event.is_empty()) {
            field(out, b"event: ", event);
        }
        for line in Lines(Some(self.data)) {
            field(out, b"data: ", line);
        }
        match self.id {
            Some(b"") => out.extend_from_slice(b"id:\n"),
            Some(id) => field(out, b"id: ", id),
            None => {}
        }
        if let Some(retry) = self.retry {
            field(out, b"retry: ", itoa::Buffer::new().format(retry).as_bytes());
        }
        out.push(b'\n');
    }
}

/// Appends a comment: every line prefixed with `:` unless it already starts with one, then a blank line (SSE-21, SSE-22).
pub fn encode_comment(text: &[u8], out: &mut Vec<u8>) {
    for line in Lines(Some(text)) {
        if !line.starts_with(b":") {
            out.push(b':');
        }
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Lines split at CRLF, LF and lone CR; trailing empty segments are kept (SSE-16).
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0?;
        let Some(end) = memchr::memchr2(b'\r', b'\n', text) else {
            self.0 = None;
            return Some(text);
        };
        let (line, rest) = text.split_at(end);
        self.0 = Some(rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]));
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(message: &Message<'_>) -> String {
        let mut out = Vec::new();
        message.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sse_16_every_line_ending() {
        for (data, expected) in [
            ("a\nb", "data: a\ndata: b\n\n"),
            ("a\r\nb", "data: a\ndata: b\n\n"),
            ("a\rb", "data: a\ndata: b\n\n"),
            ("a\n", "data: a\ndata: \n\n"),
            ("", "data: \n\n"),
            ("\r\n\n", "data: \ndata: \ndata: \n\n"),
        ] {
            assert_eq!(encoded(&Message { data: data.as_bytes(), ..Message::default() }), expected, "{data:?}");
        }
    }

    #[test]
    fn sse_14_field_order() {
        let message = Message { event: Some(b"tick"), data: b"line one\nline two", id: Some(b"42"), retry: Some(3000) };
        assert_eq!(encoded(&message), "event: tick\ndata: line one\ndata: line two\nid: 42\nretry: 3000\n\n");
    }

    #[test]
    fn sse_19_empty_id_and_event() {
        assert_eq!(encoded(&Message { event: Some(b""), data: b"x", id: Some(b""), retry: None }), "data: x\nid:\n\n");
    }

    #[test]
    fn sse_17_injection_is_refused() {
        for bad in [&b"a\nb"[..], b"a\rb"] {
            assert!(Message { event: Some(bad), ..Message::default() }.check().is_err());
            assert!(Message { id: Some(bad), ..Message::default() }.check().is_err());
        }
        assert!(Message { id: Some(b"a\0"), ..Message::default() }.check().is_err());
        assert!(Message { event: Some(b"ok"), id: Some(b"1"), ..Message::default() }.check().is_ok());
    }

    #[test]
    fn sse_21_sse_22_comments() {
        for (text, expected) in [
            ("keepalive", ":keepalive\n\n"),
            (":keepalive", ":keepalive\n\n"),
            ("", ":\n\n"),
            ("a\ndata: x", ":a\n:data: x\n\n"),
        ] {
            let mut out = Vec::new();
            encode_comment(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
