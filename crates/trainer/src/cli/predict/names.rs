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

    /// Paths for the files of an image, one for each ending (`.png`, `_mask.png`); they share a number.
    pub(super) fn next<const N: usize>(&mut self, file: &Path, endings: [&str; N]) -> [PathBuf; N] {
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
            let paths = endings.map(|ending| self.folder.join(format!("{name}{ending}")));
            let others = paths.iter().any(|path| is_there(path));
            if !self.used.contains(&name) && !others {
                self.used.insert(name);
                return paths;
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
        let cat = names.next(Path::new("a/cat.jpg"), endings);
        assert_eq!(cat, [at("cat-2_mask.png"), at("cat-2_overlay.png")]);
        assert_eq!(
            names.next(Path::new("dog.png"), endings)[0],
            at("dog_mask.png")
        );
        assert_eq!(
            names.next(Path::new("b/dog.gif"), endings)[0],
            at("dog-3_mask.png")
        );
        assert_eq!(names.next(Path::new("-"), [".png"]), [at("stdin.png")]);
        assert!(names.note().unwrap().contains("as they are: 1;"));
    }
}
