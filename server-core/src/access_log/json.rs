//! The `json` preset: one object per line, for programs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Record, append_number, microseconds};

/// Appends the object for a record.
pub(super) fn write(record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    append_instant(record.finished, out);
    out.extend_from_slice(b"\",\"client\":");
    text(record.client.unwrap_or("unix").as_bytes(), out);
    field("method", record.method, out);
    field("path", record.raw_path, out);
    field("query", record.query, out);
    out.extend_from_slice(b",\"protocol\":\"HTTP/");
    out.extend_from_slice(record.version.as_bytes());
    out.extend_from_slice(b"\",\"tls\":");
    optional(record.tls.map(str::as_bytes), out);
    out.extend_from_slice(b",\"status\":");
    match record.status {
        Some(status) => append_number(status.into(), out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"bytes\":");
    append_number(record.body_bytes, out);
    out.extend_from_slice(b",\"duration_ms\":");
    append_milliseconds(record.duration, out);
    for (name, header) in
        [("host", "host"), ("referer", "referer"), ("user_agent", "user-agent"), ("request_id", "x-request-id")]
    {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        optional((record.headers)(header).as_deref(), out);
    }
    out.extend_from_slice(b",\"pid\":");
    append_number(std::process::id().into(), out);
    out.push(b'}');
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    text(value, out);
}

fn optional(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        Some(value) => text(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// A JSON string. Bytes that are no UTF-8 become U+FFFD: the line must stay readable for every parser.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c if c.is_control() => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Milliseconds with three decimals.
pub(super) fn append_milliseconds(duration: Duration, out: &mut Vec<u8>) {
    let microseconds = microseconds(duration);
    append_number(microseconds / 1000, out);
    out.extend_from_slice(format!(".{:03}", microseconds % 1000).as_bytes());
}

/// `2026-02-10T12:34:56.123Z` (RFC 3339).
pub(super) fn append_instant(time: SystemTime, out: &mut Vec<u8>) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, milliseconds) = (since.as_secs(), since.subsec_millis());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z");
    out.extend_from_slice(text.as_bytes());
}

/// The Gregorian date of a day since 1970, by counting from the first of March of the year 0, so that the leap day
/// comes last in a year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let calendar_month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(calendar_month <= 2), calendar_month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        let shown = |seconds: u64, milliseconds: u64| {
            let mut out = Vec::new();
            append_instant(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + milliseconds), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(shown(1_770_726_896, 123), "2026-02-10T12:34:56.123Z");
        assert_eq!(shown(4_107_542_399, 999), "2100-02-28T23:59:59.999Z");
    }

    #[test]
    fn strings_are_always_valid() {
        let mut out = Vec::new();
        text(b"a\"b\\c\n\xff\xc3\xa9\x7f", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"b\\\\c\\u000a\u{fffd}é\\u007f\"");
    }
}
