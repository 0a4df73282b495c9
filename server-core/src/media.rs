//! Media types, as far as the server itself has to judge them.

/// Whether content of this type is text of some kind, so that compressing it is worth the time. Parameters are ignored.
#[must_use]
pub fn is_compressible(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "text/event-stream" {
        return false;
    }
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    essence.starts_with("text/")
        || ["+json", "+xml", "+text", "+yaml"].iter().any(|suffix| subtype.ends_with(suffix))
        || matches!(
            essence.as_str(),
            "application/json"
                | "application/javascript"
                | "application/x-javascript"
                | "application/ecmascript"
                | "application/xml"
                | "application/xml-dtd"
                | "application/yaml"
                | "application/toml"
                | "application/sql"
                | "application/graphql"
                | "application/x-ndjson"
                | "application/x-www-form-urlencoded"
                | "application/wasm"
                | "application/rtf"
                | "application/x-sh"
                | "image/bmp"
                | "image/x-icon"
                | "image/vnd.microsoft.icon"
                | "font/ttf"
                | "font/otf"
                | "application/vnd.ms-fontobject"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_compressing() {
        for (media, expected) in [
            ("text/plain", true),
            ("Text/HTML; charset=utf-8", true),
            ("application/problem+json", true),
            ("image/svg+xml", true),
            ("text/event-stream", false),
            ("image/png", false),
            ("application/octet-stream", false),
            ("application/zip", false),
            ("", false),
        ] {
            assert_eq!(is_compressible(media), expected, "{media}");
        }
    }
}
