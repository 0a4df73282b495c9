//! Responses as they were on the wire.

/// One parsed HTTP/1 response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// Status line without its line end.
    pub status_line: String,
    /// Status code.
    pub status: u16,
    /// Fields in order, names as sent.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Content, chunked coding removed.
    pub body: Vec<u8>,
    /// Trailer fields of a chunked body.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the framing says that all of it was there. A body that ends with the connection never is.
    pub complete: bool,
    /// The head as it was on the wire, with its empty line.
    pub head: Vec<u8>,
}

impl Response {
    /// Parses the first response in some bytes, after any interim ones: the response and how many bytes it took, `None`
    /// when not even the head is complete.
    pub fn parse(bytes: &[u8], method: &str) -> Result<Option<(Self, usize)>, String> {
        let mut start = 0;
        loop {
            let Some(end) = find(&bytes[start..], b"\r\n\r\n") else { return Ok(None) };
            let head = &bytes[start..start + end + 4];
            let mut response = Self::parse_head(head)?;
            start += head.len();
            if (100..200).contains(&response.status) && response.status != 101 {
                continue;
            }
            let used = response.parse_body(&bytes[start..], method)?;
            return Ok(Some((response, start + used)));
        }
    }

    fn parse_head(head: &[u8]) -> Result<Self, String> {
        let text = &head[..head.len() - 4];
        let mut lines = text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let status_line = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| format!("not a status line: {status_line:?}"))?;
        let headers = lines.map(field).collect::<Result<_, _>>()?;
        Ok(Self { status_line, status, headers, head: head.to_vec(), ..Self::default() })
    }

    fn parse_body(&mut self, bytes: &[u8], method: &str) -> Result<usize, String> {
        if method == "HEAD" || matches!(self.status, 204 | 304) {
            self.complete = true;
            return Ok(0);
        }
        if self.header("transfer-encoding").is_some() {
            return self.parse_chunks(bytes);
        }
        match self.header("content-length") {
            Some(length) => {
                let length: usize = length.parse().map_err(|_| format!("bad content-length {length:?}"))?;
                let used = length.min(bytes.len());
                self.body = bytes[..used].to_vec();
                self.complete = used == length;
                Ok(used)
            }
            None => {
                self.body = bytes.to_vec();
                Ok(bytes.len())
            }
        }
    }

    fn parse_chunks(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let mut at = 0;
        loop {
            let Some(end) = find(&bytes[at..], b"\r\n") else { return Ok(bytes.len()) };
            let line = String::from_utf8_lossy(&bytes[at..at + end]).into_owned();
            let size = usize::from_str_radix(&line, 16).map_err(|_| format!("bad chunk size {line:?}"))?;
            at += end + 2;
            if size == 0 {
                loop {
                    let Some(end) = find(&bytes[at..], b"\r\n") else { return Ok(bytes.len()) };
                    let line = &bytes[at..at + end];
                    at += end + 2;
                    if line.is_empty() {
                        self.complete = true;
                        return Ok(at);
                    }
                    self.trailers.push(field(line)?);
                }
            }
            let available = size.min(bytes.len() - at);
            self.body.extend_from_slice(&bytes[at..at + available]);
            at += available;
            if available < size || bytes.len() < at + 2 {
                return Ok(bytes.len());
            }
            if &bytes[at..at + 2] != b"\r\n" {
                return Err("a chunk does not end in CRLF".to_owned());
            }
            at += 2;
        }
    }

    /// The only value of a field; `None` when absent. Panics when there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.header_all(name);
        assert!(values.len() < 2, "{name} is there {} times: {:?}", values.len(), self.headers);
        values.first().copied()
    }

    /// All values of a field.
    pub fn header_all(&self, name: &str) -> Vec<&str> {
        let fields = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| std::str::from_utf8(value).expect("an ASCII value")).collect()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The body's lines.
    pub fn lines(&self) -> Vec<&str> {
        self.text().lines().collect()
    }
}

fn field(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    let colon = line.iter().position(|&byte| byte == b':');
    let colon = colon.ok_or_else(|| format!("a field without colon: {:?}", line.escape_ascii().to_string()))?;
    Ok((String::from_utf8_lossy(&line[..colon]).into_owned(), line[colon + 1..].trim_ascii().to_vec()))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
