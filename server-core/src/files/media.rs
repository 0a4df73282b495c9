//! What kind of content a file has, by its name.

/// The value of `content-type` for a file.
pub(super) fn content_type(name: &str) -> String {
    let media = media_type(name);
    // Files are UTF-8 these days, and a browser that is told nothing guesses.
    if media.starts_with("text/") { format!("{media}; charset=utf-8") } else { media.to_owned() }
}

fn media_type(name: &str) -> &'static str {
    match mime_guess::from_path(name).first_raw() {
        // RFC 9239.
        Some("application/javascript" | "application/x-javascript") => "text/javascript",
        Some(media) => media,
        None => "application/octet-stream",
    }
}

/// Whether compression gains anything for files of this name.
pub(super) fn is_compressible(name: &str) -> bool {
    crate::media::is_compressible(media_type(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_web() {
        for (name, expected, compressible) in [
            ("a.html", "text/html; charset=utf-8", true),
            ("a.css", "text/css; charset=utf-8", true),
            ("a.js", "text/javascript; charset=utf-8", true),
            ("a.mjs", "text/javascript; charset=utf-8", true),
            ("a.json", "application/json", true),
            ("a.svg", "image/svg+xml", true),
            ("a.wasm", "application/wasm", true),
            ("A.PNG", "image/png", false),
            ("a.woff2", "font/woff2", false),
            ("a.tar.gz", "application/gzip", false),
            ("README", "application/octet-stream", false),
        ] {
            assert_eq!((content_type(name).as_str(), is_compressible(name)), (expected, compressible), "{name}");
        }
    }
}
