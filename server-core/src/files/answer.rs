//! The response that a file makes to a request.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use super::conditions::Verdict;
use super::locate::FoundFile;
use super::ranges::{self, Ranges};
use crate::event::{Content, FileRange, Part};
use crate::header::HeaderList;
use crate::scope::RequestHead;

/// Status, fields and content of a response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderList,
    pub(crate) content: Content<'static>,
}

impl FoundFile {
    /// Answers a GET or HEAD request. `headers` are the fields the response has besides those about the content; of them,
    /// `content-type`, `etag` and `last-modified` win over the file's own.
    pub(crate) fn answer(self, head: &RequestHead, mut headers: HeaderList) -> Result<Answer, std::io::Error> {
        add(&mut headers, b"last-modified", self.validators.last_modified().as_bytes());
        add(&mut headers, b"etag", self.validators.etag.as_bytes());
        if self.varies {
            headers.push(b"vary", b"accept-encoding");
        }
        match self.validators.judge(head.headers()) {
            Verdict::NotModified => return Ok(Answer { status: 304, headers, content: Content::Inline(b"") }),
            Verdict::Failed => {
                headers.push(b"content-length", b"0");
                return Ok(Answer { status: 412, headers, content: Content::Inline(b"") });
            }
            Verdict::Send => {}
        }
        headers.push(b"accept-ranges", b"bytes");
        if let Some(coding) = self.coding {
            headers.push(b"content-encoding", coding.name().as_bytes());
        }
        // RFC 9110 §14.2: a range is for GET only.
        let ranged = head.method() == b"GET" && self.validators.allow_range(head.headers());
        let field = if ranged { head.headers().get(b"range") } else { None };
        match ranges::parse(field, self.length) {
            Ranges::Whole => Ok(self.whole(headers)),
            Ranges::Unsatisfiable => {
                headers.push(b"content-range", format!("bytes */{}", self.length).as_bytes());
                headers.push(b"content-length", b"0");
                Ok(Answer { status: 416, headers, content: Content::Inline(b"") })
            }
            Ranges::Parts(parts) if parts.len() == 1 => Ok(self.part(headers, parts[0].clone())),
            Ranges::Parts(parts) => self.parts(headers, &parts),
        }
    }

    pub(super) fn whole(self, mut headers: HeaderList) -> Answer {
        add(&mut headers, b"content-type", self.content_type.as_bytes());
        push_length(&mut headers, self.length);
        let content = Content::File(FileRange { file: self.file, offset: 0, length: self.length });
        Answer { status: 200, headers, content }
    }

    fn part(self, mut headers: HeaderList, part: Range<u64>) -> Answer {
        add(&mut headers, b"content-type", self.content_type.as_bytes());
        headers.push(b"content-range", content_range(&part, self.length).as_bytes());
        let length = part.end - part.start;
        push_length(&mut headers, length);
        let content = Content::File(FileRange { file: self.file, offset: part.start, length });
        Answer { status: 206, headers, content }
    }

    /// RFC 9110 §14.6: `multipart/byteranges`.
    fn parts(self, mut headers: HeaderList, ranges: &[Range<u64>]) -> Result<Answer, std::io::Error> {
        // What cannot be guessed cannot be put into a file either.
        let chance = RandomState::new();
        let boundary = format!("{:016x}{:016x}", chance.hash_one(0), chance.hash_one(1));
        let content_type = headers.get(b"content-type").map_or(self.content_type.as_bytes(), |own| own).to_vec();
        let content_type = String::from_utf8_lossy(&content_type);
        let mut parts = Vec::with_capacity(ranges.len() * 2 + 1);
        let mut length = 0;
        for (index, range) in ranges.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\r\n" };
            let intro = format!(
                "{line_end}--{boundary}\r\ncontent-type: {content_type}\r\ncontent-range: {}\r\n\r\n",
                content_range(range, self.length)
            );
            length += intro.len() as u64 + (range.end - range.start);
            parts.push(Part::Bytes(intro.into_bytes()));
            let file = self.file.try_clone()?;
            parts.push(Part::File(FileRange { file, offset: range.start, length: range.end - range.start }));
        }
        let end = format!("\r\n--{boundary}--\r\n");
        length += end.len() as u64;
        parts.push(Part::Bytes(end.into_bytes()));
        headers.replace(b"content-type", format!("multipart/byteranges; boundary={boundary}").as_bytes());
        push_length(&mut headers, length);
        Ok(Answer { status: 206, headers, content: Content::Parts(parts) })
    }
}

fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}

fn push_length(headers: &mut HeaderList, length: u64) {
    headers.push(b"content-length", itoa::Buffer::new().format(length).as_bytes());
}

/// Adds a field unless it is there.
fn add(headers: &mut HeaderList, name: &[u8], value: &[u8]) {
    if headers.get(name).is_none() {
        headers.push(name, value);
    }
}
