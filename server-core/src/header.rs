//! Header lists: ordered, repeats kept, one buffer for all bytes (protocol section 6).

use std::cell::RefCell;
use std::ops::Range;

use smallvec::SmallVec;

/// Where one field's bytes stand in the list's buffer.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: (u32, u32),
    value: (u32, u32),
}

/// An ordered list of (name, value) byte strings.
#[derive(Debug, Default, Clone)]
pub struct HeaderList {
    bytes: Vec<u8>,
    fields: SmallVec<[Field; 16]>,
}

/// What makes a response header unsendable (HDR-10, HDR-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidHeader {
    /// The name is not a non-empty token.
    Name,
    /// The value holds CR, LF or NUL.
    Value,
}

impl HeaderList {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over a buffer whose fields are added by range: used by the parser, which lower-cases in place.
    #[must_use]
    pub(crate) fn over(bytes: Vec<u8>) -> Self {
        Self { bytes, fields: SmallVec::new() }
    }

    pub(crate) fn push_ranges(&mut self, name: Range<usize>, value: Range<usize>) {
        self.bytes[name.clone()].make_ascii_lowercase();
        self.fields.push(Field { name: compact(name), value: compact(value) });
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let end = self.bytes.len();
        self.fields.push(Field { name: compact(start..middle), value: compact(middle..end) });
    }

    /// Appends a response field after checking its bytes (HDR-10 to HDR-13).
    pub fn push_checked(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidHeader> {
        if !is_token(name) {
            return Err(InvalidHeader::Name);
        }
        if !is_safe_value(value) {
            return Err(InvalidHeader::Value);
        }
        self.push(name, value);
        Ok(())
    }

    /// Name and value of each field in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// Values of a field, given in lower case.
    pub fn values<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// First value of a field, given in lower case.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Joins the values of a repeated field, but for empty ones, with a separator into its first occurrence (HDR-6 for
    /// `cookie`).
    pub(crate) fn join(&mut self, name: &[u8], separator: &[u8]) {
        if self.values(name).count() < 2 {
            return;
        }
        let joined = self.values(name).filter(|value| !value.is_empty()).collect::<Vec<_>>().join(separator);
        self.replace(name, &joined);
    }

    /// Leaves exactly one field of that name, at the place of the first (or at the end), with this value.
    pub(crate) fn replace(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let range = compact(start..self.bytes.len());
        let bytes = &self.bytes;
        let mut found = false;
        self.fields.retain(|field| {
            let (from, to) = field.name;
            if !bytes[from as usize..to as usize].eq_ignore_ascii_case(name) {
                return true;
            }
            field.value = range;
            !std::mem::replace(&mut found, true)
        });
        if !found {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(name);
            self.fields.push(Field { name: compact(start..self.bytes.len()), value: range });
        }
    }

    /// Takes out all fields of that name, given in lower case.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        let bytes = &self.bytes;
        self.fields.retain(|field| !bytes[field.name.0 as usize..field.name.1 as usize].eq_ignore_ascii_case(name));
    }

    fn slice(&self, (from, to): (u32, u32)) -> &[u8] {
        &self.bytes[from as usize..to as usize]
    }
}

/// A head is at most a few kilobytes and a response header list is bounded by memory: 32 bits always hold an offset,
/// and a list that outgrew them would be cut here rather than wrap.
fn compact(range: Range<usize>) -> (u32, u32) {
    (u32::try_from(range.start).unwrap_or(u32::MAX), u32::try_from(range.end).unwrap_or(u32::MAX))
}

/// RFC 9110 §5.6.2.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// HDR-10: CR, LF and NUL never reach the wire.
#[must_use]
pub fn is_safe_value(bytes: &[u8]) -> bool {
    !bytes.iter().any(|&byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// The comma-separated elements of a list-valued field, trimmed, empty ones skipped (RFC 9110 §5.6.1).
pub fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// HDR-19: says that a connection-level field of the application was dropped; for operators once per worker and name,
/// because an application that sends one sends it with every response.
pub(crate) fn log_dropped(name: &[u8]) {
    thread_local! { static SAID: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) }; }
    let name = name.to_ascii_lowercase();
    let shown = String::from_utf8_lossy(&name).into_owned();
    SAID.with_borrow_mut(|said| {
        if said.contains(&name) {
            tracing::debug!("dropped the application's header '{shown}'");
        } else {
            tracing::info!("dropped the application's header '{shown}': connection and framing are the server's");
            said.push(name);
        }
    });
}

/// Whether a list-valued field holds a token, ASCII case ignored.
#[must_use]
pub fn has_token(value: &[u8], token: &[u8]) -> bool {
    list_elements(value).any(|element| element.eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hdr_10_every_byte_in_name_and_value() {
        for byte in 0..=255u8 {
            let mut list = HeaderList::new();
            let name_ok = byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(list.push_checked(&[b'x', byte], b"v").is_ok(), name_ok, "name byte {byte:#x}");
            let value_ok = !matches!(byte, 0 | 10 | 13);
            assert_eq!(list.push_checked(b"x", &[b'v', byte]).is_ok(), value_ok, "value byte {byte:#x}");
        }
        assert_eq!(HeaderList::new().push_checked(b"", b"v"), Err(InvalidHeader::Name));
    }

    #[test]
    fn hdr_6_cookie_joined_in_place() {
        let mut list = HeaderList::new();
        for (name, value) in
            [("cookie", "a=1"), ("x", "y"), ("cookie", ""), ("cookie", "b=2"), ("cookie", "c=3"), ("cookie", "")]
        {
            list.push(name.as_bytes(), value.as_bytes());
        }
        list.join(b"cookie", b"; ");
        let fields: Vec<_> = list.iter().collect();
        assert_eq!(fields, [(&b"cookie"[..], &b"a=1; b=2; c=3"[..]), (&b"x"[..], &b"y"[..])]);
    }

    #[test]
    fn replace_adds_a_missing_field() {
        let mut list = HeaderList::new();
        list.replace(b"host", b"example.org");
        assert_eq!(list.get(b"host"), Some(&b"example.org"[..]));
    }
}
