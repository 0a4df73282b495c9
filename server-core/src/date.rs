//! The `date` header value, formatted once a second.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

thread_local! {
    static CACHE: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Appends the current time as IMF-fixdate (SRV-1).
pub fn append_now(out: &mut Vec<u8>) {
    let seconds = now();
    CACHE.with_borrow_mut(|(second, text)| {
        if *second != seconds {
            *second = seconds;
            *text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        }
        out.extend_from_slice(text.as_bytes());
    });
}

/// The current time as a header value, made once a second.
pub(crate) fn header_value() -> HeaderValue {
    thread_local! {
        static VALUE: RefCell<(u64, HeaderValue)> = const { RefCell::new((u64::MAX, HeaderValue::from_static(""))) };
    }
    let seconds = now();
    VALUE.with_borrow_mut(|(second, value)| {
        if *second != seconds {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            // A date is visible ASCII.
            *value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
            *second = seconds;
        }
        value.clone()
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
