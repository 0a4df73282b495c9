//! A static folder as a user writes it: `PATH=DIRECTORY`, and options behind commas.

use std::path::PathBuf;
use std::time::Duration;

use pagi_server_core::files::folder::FolderOptions;

use super::value;

/// Understands one `--static` value.
///
/// # Errors
/// What is wrong, worded to follow the option's name.
pub fn parse(text: &str) -> Result<FolderOptions, String> {
    let mut words = text.split(',');
    let place = words.next().unwrap_or_default();
    let Some((path, directory)) = place.split_once('=').filter(|(_, directory)| !directory.is_empty()) else {
        return Err("takes a path and a directory, such as /assets=public".to_owned());
    };
    let mut folder = FolderOptions::new(prefix(path)?, directory);
    for word in words {
        option(&mut folder, word)?;
    }
    Ok(folder)
}

/// Understands one `--x-accel-redirect` value.
///
/// # Errors
/// What is wrong, worded to follow the option's name.
pub fn location(text: &str) -> Result<(String, PathBuf), String> {
    let Some((path, directory)) = text.split_once('=').filter(|(_, directory)| !directory.is_empty()) else {
        return Err("takes a path and a directory, such as /protected=/srv/files".to_owned());
    };
    Ok((prefix(path)?, PathBuf::from(directory)))
}

/// A path under which something is mounted, without the slash at its end.
///
/// # Errors
/// What is wrong, worded to follow the option's name.
pub fn prefix(path: &str) -> Result<String, String> {
    let prefix = path.trim_end_matches('/');
    let sound = path.starts_with('/') && !prefix.contains(['?', '#', '%']) && !prefix.contains("//");
    if sound { Ok(prefix.to_owned()) } else { Err("takes a path that starts with '/', not encoded".to_owned()) }
}

/// The name of a host, in lower case.
///
/// # Errors
/// What is wrong, worded to follow the option's name.
pub fn host(name: &str) -> Result<String, String> {
    let sound = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
    if sound { Ok(name.to_ascii_lowercase()) } else { Err("takes a host name without a port after host=".to_owned()) }
}

fn option(folder: &mut FolderOptions, word: &str) -> Result<(), String> {
    let (name, text) = word.split_once('=').unwrap_or((word, ""));
    match (name, text) {
        ("listing", "") => folder.listing = true,
        ("no-listing", "") => folder.listing = false,
        ("fallthrough", "") => folder.fallthrough = true,
        ("no-fallthrough", "") => folder.fallthrough = false,
        ("precompressed", "") => folder.precompressed = true,
        ("no-precompressed", "") => folder.precompressed = false,
        ("immutable", "") => folder.immutable = true,
        ("no-immutable", "") => folder.immutable = false,
        ("no-index", "") => folder.index = None,
        ("index", file) if !file.is_empty() && !file.starts_with('.') && !file.contains('/') => {
            folder.index = Some(file.to_owned());
        }
        ("index", _) => return Err("takes the name of a file in the directory after index=".to_owned()),
        ("host", name) => folder.host = Some(host(name)?),
        ("max-age", age) => {
            let age: u64 =
                value::count(age).map_err(|_| "takes a whole number of seconds after max-age=".to_owned())?;
            folder.max_age = Some(Duration::from_secs(age));
        }
        _ => {
            return Err(
                "takes host=, index=, no-index, listing, fallthrough, no-precompressed, max-age= and immutable after the \
                 directory"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        assert_eq!(parse("/=public"), Ok(FolderOptions::new("", "public")));
        assert_eq!(parse("/a/b/=/srv/x=y"), Ok(FolderOptions::new("/a/b", "/srv/x=y")));
        let all =
            parse("/a=b,host=Example.org,index=home.htm,listing,fallthrough,no-precompressed,max-age=60,immutable");
        let expected = FolderOptions {
            host: Some("example.org".to_owned()),
            index: Some("home.htm".to_owned()),
            listing: true,
            fallthrough: true,
            precompressed: false,
            max_age: Some(Duration::from_secs(60)),
            immutable: true,
            ..FolderOptions::new("/a", "b")
        };
        assert_eq!(all, Ok(expected));
        assert_eq!(parse("/a=b,no-index").unwrap().index, None);
    }

    #[test]
    fn refused_forms() {
        for (text, expected) in [
            ("/a", "takes a path and a directory, such as /assets=public"),
            ("/a=", "takes a path and a directory, such as /assets=public"),
            ("a=b", "takes a path that starts with '/', not encoded"),
            ("/%61=b", "takes a path that starts with '/', not encoded"),
            ("/a=b,index=../x", "takes the name of a file in the directory after index="),
            ("/a=b,max-age=x", "takes a whole number of seconds after max-age="),
            ("/a=b,host=", "takes a host name without a port after host="),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
        }
        assert!(parse("/a=b,lisitng").unwrap_err().starts_with("takes host=, index="));
    }
}
