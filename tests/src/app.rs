//! Where the applications under test are.

use std::path::PathBuf;

/// An application in `tests/apps`.
pub fn test_app(name: &str) -> PathBuf {
    existing(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("apps").join(name))
}

/// The application file of an example.
pub fn example(name: &str) -> PathBuf {
    existing(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join("app.pl"))
}

fn existing(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
