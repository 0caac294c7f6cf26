//! Names for what is written beside each image.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::STANDARD_INPUT;
use crate::cli::out::is_there;

/// Free names in a folder: `cat.png`, and `cat-2.png` where a `cat.png` is there, whether this call made it or not.
pub(super) struct Names {
    folder: PathBuf,
    used: HashSet<String>,
    moved: usize,
}

impl Names {
    /// Names in a folder.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            used: HashSet::new(),
            moved: 0,
        }
    }

    /// The stem of the files of an image, free with each of the endings (`.png`, `_mask.png`).
    pub(super) fn next(&mut self, file: &Path, endings: &[&str]) -> PathBuf {
        let stem = match file.as_os_str() == STANDARD_INPUT {
            true => "stdin".into(),
            false => file.file_stem().unwrap_or_default().to_string_lossy(),
        };
        let mut number = 1u64;
        loop {
            let name = match number {
                1 => stem.to_string(),
                _ => format!("{stem}-{number}"),
            };
            let is_taken = |ending| is_there(&self.folder.join(format!("{name}{ending}")));
            let others = endings.iter().any(is_taken);
            if !self.used.contains(&name) && !others {
                let stem = self.folder.join(&name);
                self.used.insert(name);
                return stem;
            }
            if number == 1 && others && !self.used.contains(&name) {
                self.moved += 1;
            }
            number += 1;
        }
    }

    /// What to say of names that other files had.
    pub(super) fn note(&self) -> Option<String> {
        let folder = self.folder.display();
        (self.moved > 0).then(|| {
            format!(
                "{folder}: names taken by other files, which stay as they are: {}; numbered names were given instead",
                self.moved
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_clear_of_each_other_and_of_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("cat_mask.png"), "a true mask").unwrap();
        std::fs::write(at("dog-2_overlay.png"), "").unwrap();
        let mut names = Names::new(folder.path().into());
        let endings = ["_mask.png", "_overlay.png"];
        let mut next = |file: &str| names.next(Path::new(file), &endings);
        assert_eq!(next("a/cat.jpg"), at("cat-2"));
        assert_eq!(next("dog.png"), at("dog"));
        assert_eq!(next("b/dog.gif"), at("dog-3"));
        assert_eq!(next("-"), at("stdin"));
        assert!(names.note().unwrap().contains("as they are: 1;"));
    }
}
