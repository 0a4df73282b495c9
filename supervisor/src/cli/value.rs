//! What values of options look like. An error that starts in lower case is completed by [`crate::usage`] to
//! "--option takes ..., got 'value'".

use std::path::PathBuf;
use std::time::Duration;

use pagi_server_core::access_log::Format;
use pagi_server_core::coding::Coding;
use pagi_server_core::header::is_token;
use pagi_server_core::offload::request_id::Source;
use pagi_server_core::proxy::forwarded::Fields;
use pagi_server_core::proxy::networks::Network;
use pagi_server_core::tls::cipher;
use pagi_server_core::tls::settings::{MinVersion, VerifyClient};

use super::application::Lifespan;
use super::offload::{Off, RequestId};

/// A number.
pub fn count<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "takes a whole number".to_owned())
}

/// A number that is not zero.
pub fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "takes a whole number from 1".to_owned())
}

/// A number within bounds that both may be taken.
pub fn between<const LEAST: u32, const MOST: u32>(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (LEAST..=MOST).contains(number));
    number.ok_or_else(|| format!("takes a number from {LEAST} to {MOST}"))
}

/// How many workers.
pub fn workers(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|&number| number <= 1024).ok_or_else(|| "takes a number from 0 to 1024".to_owned())
}

/// How many accept queues.
pub fn queues(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=1024).contains(number))
        .ok_or_else(|| "takes a number from 1 to 1024".to_owned())
}

/// Length of an accept queue.
pub fn backlog(text: &str) -> Result<i32, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "takes a whole number from 1".to_owned())
}

/// A span of time in seconds, fractions allowed.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| digits_only);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        // A century is for ever, and sums of it cannot overflow a clock.
        .filter(|&duration| duration <= Duration::from_secs(3_155_760_000))
        .ok_or_else(|| "takes a number of seconds".to_owned())
}

/// On or off.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err("takes on or off".to_owned()),
    }
}

/// A compression level.
pub fn level(text: &str) -> Result<u32, String> {
    let level = text.parse::<u32>().ok().filter(|level| (1..=9).contains(level));
    level.ok_or_else(|| "takes a compression level from 1 to 9".to_owned())
}

/// A mount point.
pub fn root_path(text: &str) -> Result<String, String> {
    if text.is_empty() || (text.starts_with('/') && !text.ends_with('/')) {
        Ok(text.to_owned())
    } else {
        Err("takes a path that starts with '/' and does not end in one".to_owned())
    }
}

/// Permissions of a socket.
pub fn socket_mode(text: &str) -> Result<u32, String> {
    let shape = text.len() == 4 && text.starts_with('0');
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| shape && !text.contains('+'));
    mode.ok_or_else(|| format!("--socket-mode must be an octal value like 0660, got: {text}"))
}

/// The path of a socket for controlling a server.
///
/// # Errors
/// Like all parsers here.
pub fn control_socket(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix:").unwrap_or(text);
    if path.len() < text.len() && path.starts_with('@') {
        // The permissions of the file are what decides who may control a server.
        return Err(
            "takes the path of a file: through an abstract socket everybody could control the server".to_owned()
        );
    }
    if path.is_empty() { Err("takes a path".to_owned()) } else { Ok(PathBuf::from(path)) }
}

/// How lifespan events are handled.
pub fn lifespan(text: &str) -> Result<Lifespan, String> {
    match text {
        "auto" => Ok(Lifespan::Auto),
        "on" => Ok(Lifespan::On),
        // LIFE-10.
        "off" => Err("Invalid lifespan_mode 'off': applications are always asked; with auto, the default, one that \
                      handles no lifespan events is served without"
            .to_owned()),
        _ => Err(format!("Invalid lifespan_mode '{text}': must be auto or on")),
    }
}

/// The name of an event loop. Whether it can be loaded is found out with the application.
pub fn loop_type(text: &str) -> Result<String, String> {
    let is_class = text.split("::").all(|part| {
        let mut characters = part.chars();
        characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
    });
    if is_class {
        return Ok(text.to_owned());
    }
    Err(format!("Invalid loop_type '{text}': must be auto or the name of a loop, such as EPoll, EV, Poll or Select"))
}

/// The only server class.
pub const SERVER_CLASS: &str = "PAGI::Server";

/// The server class.
///
/// # Errors
/// Like all parsers here.
pub fn server(text: &str) -> Result<String, String> {
    if text == SERVER_CLASS {
        return Ok(text.to_owned());
    }
    Err(format!("Cannot load server '{text}': this program is the server, and takes the place of {SERVER_CLASS} only"))
}

/// One of how many.
///
/// # Errors
/// Like all parsers here.
pub fn one_of(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "takes a whole number from 1".to_owned())
}

/// The value of a header field.
///
/// # Errors
/// Like all parsers here.
pub fn header(text: &str) -> Result<String, String> {
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim() == text;
    if printable { Ok(text.to_owned()) } else { Err("takes printable ASCII text without spaces around it".to_owned()) }
}

/// A line format of the access log.
pub fn log_format(text: &str) -> Result<String, String> {
    Format::parse(text).map(|_| text.to_owned())
}

/// What becomes of client certificates; `1` and `0` are how the reference server says it.
pub fn verify_client(text: &str) -> Result<VerifyClient, String> {
    match text {
        "off" | "0" => Ok(VerifyClient::Off),
        "optional" => Ok(VerifyClient::Optional),
        "required" | "1" => Ok(VerifyClient::Required),
        "optional-no-ca" => Ok(VerifyClient::OptionalNoCa),
        _ => Err("takes off, optional, required or optional-no-ca".to_owned()),
    }
}

/// A version of TLS; `TLSv1_2` is how the reference server says it.
pub fn min_version(text: &str) -> Result<MinVersion, String> {
    match text {
        "1.2" | "TLSv1_2" | "TLSv1.2" => Ok(MinVersion::Tls12),
        "1.3" | "TLSv1_3" | "TLSv1.3" => Ok(MinVersion::Tls13),
        _ => Err("takes 1.2 or 1.3".to_owned()),
    }
}

/// A network of proxies.
///
/// # Errors
/// Like all parsers here.
pub fn network(text: &str) -> Result<Network, String> {
    text.parse()
}

/// The fields that proxies write.
///
/// # Errors
/// Like all parsers here.
pub fn proxy_fields(text: &str) -> Result<Fields, String> {
    match text {
        "x-forwarded" => Ok(Fields::XForwarded),
        "forwarded" => Ok(Fields::Forwarded),
        _ => Err("takes x-forwarded or forwarded".to_owned()),
    }
}

/// A content coding.
///
/// # Errors
/// Like all parsers here.
pub fn coding(text: &str) -> Result<Coding, String> {
    Coding::named(text.as_bytes()).ok_or_else(|| "takes gzip, br and zstd".to_owned())
}

/// A media type, or a family of them.
///
/// # Errors
/// Like all parsers here.
pub fn media_type(text: &str) -> Result<String, String> {
    let part = |part: &str| is_token(part.as_bytes());
    match text.split_once('/') {
        Some((family, subtype)) if part(family) && part(subtype) => Ok(text.to_ascii_lowercase()),
        _ => Err("takes media types such as text/html or text/*".to_owned()),
    }
}

/// Whose names of requests are taken over.
///
/// # Errors
/// Like all parsers here.
pub fn request_id(text: &str) -> Result<RequestId, String> {
    match text {
        "off" => Ok(Off::Off),
        "generate" => Ok(Off::On(Source::Generate)),
        "trusted" => Ok(Off::On(Source::Trusted)),
        "accept" => Ok(Off::On(Source::Accept)),
        _ => Err("takes off, generate, trusted or accept".to_owned()),
    }
}

/// The name of a field, in lower case.
///
/// # Errors
/// Like all parsers here.
pub fn field_name(text: &str) -> Result<String, String> {
    if is_token(text.as_bytes()) { Ok(text.to_ascii_lowercase()) } else { Err("takes the name of a field".to_owned()) }
}

/// A field.
///
/// # Errors
/// Like all parsers here.
pub fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    let value = value.trim();
    match (field_name(name), header(value)) {
        (Ok(name), Ok(value)) if !value.is_empty() => Ok((name, value)),
        _ => Err("takes a field such as 'X-Robots-Tag: noindex'".to_owned()),
    }
}

/// So many requests in so many seconds.
///
/// # Errors
/// Like all parsers here.
pub fn rate(text: &str) -> Result<(u32, Duration), String> {
    let (requests, period) = text.split_once('/').unwrap_or_default();
    match (requests.parse::<u32>(), seconds(period)) {
        (Ok(requests @ 1..), Ok(period)) if !period.is_zero() => Ok((requests, period)),
        _ => Err("takes requests and seconds, such as 100/60".to_owned()),
    }
}

/// Cipher suites.
pub fn cipher_list(text: &str) -> Result<String, String> {
    cipher::suites(Some(text)).map(|_| text.to_owned())
}

/// How long sessions can be resumed. The keys of tickets turn as often, which must not become a burden.
pub fn session_timeout(text: &str) -> Result<Duration, String> {
    let valid = |duration: &Duration| duration.is_zero() || *duration >= Duration::from_secs(60);
    seconds(text).ok().filter(valid).ok_or_else(|| "takes a number of seconds from 60, or 0".to_owned())
}
