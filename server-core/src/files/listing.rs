//! The page that shows what is in a directory.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType};

/// Most entries of a page; a directory with more says that there are.
const MAX_ENTRIES: usize = 10_000;

/// Reads the directory and writes the page. Waits for the disk.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn page(directory: &OwnedFd, path: &str) -> std::io::Result<String> {
    let mut entries = Vec::new();
    let mut more = false;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name.starts_with('.') || name.contains(|character: char| character.is_control() || character == '\\') {
            continue;
        }
        if entries.len() == MAX_ENTRIES {
            more = true;
            break;
        }
        entries.push((entry.file_type() != FileType::Directory, name.to_owned()));
    }
    entries.sort();
    Ok(render(&entries, more, path))
}

/// `entries` are (is no directory, name).
fn render(entries: &[(bool, String)], more: bool, path: &str) -> String {
    let title = escaped(path);
    let mut page = format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body><h1>{title}</h1>\n<ul>\n"
    );
    for (is_file, name) in entries {
        let slash = if *is_file { "" } else { "/" };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "<li><a href=\"./{}{slash}\">{}{slash}</a></li>", encoded(name), escaped(name));
    }
    if more {
        let _ = writeln!(page, "<li>… and more than {MAX_ENTRIES} in all</li>");
    }
    page.push_str("</ul></body></html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// Percent-encoded but for the unreserved characters of RFC 3986 §2.3.
fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        let entries = [(false, "a b".to_owned()), (true, "<i>&\"'".to_owned())];
        let page = render(&entries, true, "/x&y/");
        for part in [
            "<h1>/x&amp;y/</h1>",
            "<a href=\"./a%20b/\">a b/</a>",
            "<a href=\"./%3Ci%3E%26%22%27\">&lt;i&gt;&amp;&quot;&#39;</a>",
            "more than 10000",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
    }
}
