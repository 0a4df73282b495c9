//! When to read the files again: decided from what they look like at two moments.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What is visible of the files without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight(Vec<(PathBuf, Option<Marks>)>);

/// Length, time of change and identity: a renamed file has another inode, a rewritten one another time.
type Marks = (u64, i64, i64, u64, u64);

impl Sight {
    /// Looks at files; one that is not there is a sight too.
    #[must_use]
    pub fn of(files: Vec<PathBuf>) -> Self {
        let marks = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.dev(), metadata.ino()))
        };
        Self(
            files
                .into_iter()
                .map(|path| {
                    let marks = marks(&path);
                    (path, marks)
                })
                .collect(),
        )
    }
}

/// What was seen.
#[derive(Debug)]
pub struct Watch {
    /// Of the files as they were read last.
    read: Sight,
    /// Seen last, when different.
    changing: Option<Sight>,
}

impl Watch {
    /// Begins with files that have just been read.
    #[must_use]
    pub fn new(read: Sight) -> Self {
        Self { read, changing: None }
    }

    /// Whether to read the files now. A certificate and its key are two files, written one after the other: a change is
    /// believed when it looks the same twice.
    pub fn look(&mut self, sight: Sight) -> bool {
        if sight == self.read {
            self.changing = None;
            return false;
        }
        if self.changing.as_ref() == Some(&sight) {
            self.read = sight;
            self.changing = None;
            return true;
        }
        self.changing = Some(sight);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(cert: u64, key: u64) -> Sight {
        let marks = |mark| Some((mark, 0, 0, 0, 0));
        Sight(vec![("cert".into(), marks(cert)), ("key".into(), marks(key))])
    }

    #[test]
    fn a_change_is_believed_when_it_has_settled() {
        let mut watch = Watch::new(sight(1, 1));
        assert!(!watch.look(sight(1, 1)));
        assert!(!watch.look(sight(2, 1)), "the certificate is new");
        assert!(!watch.look(sight(2, 2)), "and now the key");
        assert!(watch.look(sight(2, 2)));
        assert!(!watch.look(sight(2, 2)), "once");
    }

    #[test]
    fn what_comes_back_has_not_changed() {
        let mut watch = Watch::new(sight(1, 1));
        assert!(!watch.look(sight(2, 1)));
        assert!(!watch.look(sight(1, 1)));
        assert!(!watch.look(sight(2, 1)));
        assert!(watch.look(sight(2, 1)));
    }

    #[test]
    fn a_missing_file_is_a_change() {
        let path = std::env::temp_dir().join(format!("pagi-watch-{}", std::process::id()));
        std::fs::write(&path, "1").unwrap();
        let before = Sight::of(vec![path.clone()]);
        assert_eq!(before, Sight::of(vec![path.clone()]));
        std::fs::write(&path, "22").unwrap();
        assert_ne!(before, Sight::of(vec![path.clone()]));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Sight::of(vec![path.clone()]), Sight(vec![(path, None)]));
    }
}
