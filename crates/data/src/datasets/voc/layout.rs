//! The lists of a Pascal VOC folder and the files that their lines name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::super::listing::{Listing, inside};
use super::super::objects::shown;
use super::IMAGES;
use crate::decode::EXTENSIONS;
use crate::error::DataError;
use crate::source::Remark;
use crate::words::counted;

/// The flags that may follow a name.
const FLAGS: [&str; 4] = ["1", "+1", "0", "-1"];

/// A folder with its pictures.
pub(super) struct Layout {
    root: PathBuf,
    pictures: Listing,
}

/// A line of a list and what it names.
pub(super) struct Listed {
    /// The name of the picture without its ending, which its annotation and mask have too.
    pub name: String,
    /// The picture, relative to the folder of the pictures; or why there is none.
    pub picture: Result<String, String>,
    /// The list and the line.
    pub place: String,
}

/// The lines of a list.
#[derive(Default)]
pub(super) struct List {
    pub lines: Vec<Listed>,
    pub remarks: Vec<Remark>,
}

impl Layout {
    /// Lists the pictures of a folder.
    ///
    /// # Errors
    /// A folder that is missing or cannot be listed.
    pub fn open(root: &Path) -> Result<Self, DataError> {
        Ok(Self {
            root: root.to_path_buf(),
            pictures: Listing::of(&root.join(IMAGES))?,
        })
    }

    /// Reads the list `name` of a folder of lists. A list that has its usual name may be missing (nothing); `needed`
    /// says what it is for where it must be there.
    ///
    /// # Errors
    /// A list that is missing or empty, that is no UTF-8, or that names a picture twice.
    pub fn list(
        &self,
        sets: &str,
        name: &str,
        usual: &str,
        needed: Option<&str>,
    ) -> Result<Option<List>, DataError> {
        let folder = self.root.join(sets);
        let path = folder.join(format!("{name}.txt"));
        if name.is_empty() && needed.is_none() {
            return Ok(None);
        }
        if !path.is_file() {
            let hint = match needed {
                None if name == usual => return Ok(None),
                None => "it lists pictures, one name a line".into(),
                Some(what) => format!("it lists {what}, one name a line"),
            };
            let hint = format!("{hint}; {}", others(&folder));
            return Err(DataError::Missing { path, hint });
        }
        let bytes = std::fs::read(&path).map_err(|error| DataError::io(&path, "read", error))?;
        self.lines(&bytes, &shown(&path)).map(Some)
    }

    fn lines(&self, bytes: &[u8], shown: &str) -> Result<List, DataError> {
        if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            let reason = "not UTF-8 but UTF-16; save it as UTF-8";
            return Err(DataError::unreadable(shown, reason));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut list = List {
            lines: Vec::new(),
            remarks: Vec::new(),
        };
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut negative = 0;
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let place = format!("{shown}:{}", number + 1);
            let wrong = |reason: String| Err(DataError::unreadable(&*place, reason));
            let Ok(line) = std::str::from_utf8(line) else {
                return wrong("the line is not UTF-8".into());
            };
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let (name, flag) = self.named(line);
            negative += usize::from(matches!(flag, Some("0" | "-1")));
            let Some(name) = name else {
                return wrong(format!("`{line}` is not the name of a picture"));
            };
            let (name, picture) = match self.pictures.find(&name) {
                Some((name, file)) => (name, Ok(file)),
                None => {
                    let why = self.meant(line).unwrap_or_else(|| {
                        let endings = EXTENSIONS.join(", ");
                        format!("there is no `{name}` with one of the endings {endings}")
                    });
                    let reason = format!("the line `{line}` names no picture in `{IMAGES}`: {why}");
                    (name, Err(reason))
                }
            };
            if let Some(first) = seen.insert(name.clone(), number + 1) {
                return wrong(format!("`{name}` stands in line {first} already"));
            }
            let alike = self.pictures.called(&name);
            if let (Ok(picture), true) = (&picture, alike.len() > 1) {
                let files = alike.join(", ");
                let message = format!("{files} have this name; `{picture}` is taken");
                list.remarks.push(Remark::new(&*place, message));
            }
            list.lines.push(Listed {
                name,
                picture,
                place,
            });
        }
        if list.lines.is_empty() {
            return Err(DataError::unreadable(shown, "lists no picture"));
        }
        if negative > 0 {
            let message = format!(
                "{} with the flag 0 or -1, which is not read: all pictures of the list are taken",
                counted(negative, "line")
            );
            list.remarks.push(Remark::new(shown, message));
        }
        Ok(list)
    }

    /// The name in a line, as far as it stays in its folder, and the flag behind it: the whole line where it names a
    /// picture, otherwise what stands before a flag.
    fn named<'a>(&self, line: &'a str) -> (Option<String>, Option<&'a str>) {
        let before = line.rsplit_once(char::is_whitespace);
        let before = before.filter(|(_, flag)| FLAGS.contains(flag));
        let flag = before.map(|(_, flag)| flag);
        let bare = before.map_or(line, |(name, _)| name.trim());
        for (text, flag) in [(line, None), (bare, flag)] {
            for text in [text.to_owned(), unquoted(text)] {
                let Some(name) = inside(&text) else { continue };
                // As seen from the folder of the dataset.
                let below = name.strip_prefix(IMAGES).and_then(|n| n.strip_prefix('/'));
                let names = [Some(&*name), below];
                let mut names = names.into_iter().flatten();
                if let Some(name) = names.find(|name| self.pictures.find(name).is_some()) {
                    return (Some(name.to_owned()), flag);
                }
            }
        }
        (inside(&unquoted(bare)), flag)
    }

    /// What a line that names no picture could have meant, and how it is written then.
    fn meant(&self, line: &str) -> Option<String> {
        let first = line.split_whitespace().next();
        [Some(line), first].into_iter().flatten().find_map(|text| {
            let text = unquoted(text);
            let last = text.rsplit(['/', '\\']).next()?;
            let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
            let (name, file) = self
                .pictures
                .find(last)
                .or_else(|| self.pictures.find(stem))?;
            Some(format!("there is `{file}`, which is written as `{name}`"))
        })
    }

    /// The file of a picture.
    pub fn picture(&self, file: &str) -> PathBuf {
        self.root.join(IMAGES).join(file)
    }
}

/// The lists that a folder has, for a message.
fn others(folder: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".txt"))
        .collect();
    names.sort();
    match names.is_empty() {
        true => "the folder has no list".into(),
        false => format!("the folder has {}", names.join(", ")),
    }
}

/// A text without the quotes around it.
fn unquoted(text: &str) -> String {
    let inner = ['"', '\''].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        Some(inner.replace(&format!("\\{quote}"), &quote.to_string()))
    });
    inner.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(files: &[&str]) -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(IMAGES).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let layout = Layout::open(folder.path()).unwrap();
        (folder, layout)
    }

    const FILES: &[&str] = &[
        "photo (1).jpg",
        "a.png",
        "b.JPG",
        "c.v2.webp",
        "d 1.png",
        "sub/e.jpeg",
        "notes.txt",
        ".hidden.png",
        "f.png",
        "f.jpg",
    ];

    #[test]
    fn a_line_is_a_name_however_it_is_written() {
        let (_folder, layout) = layout(FILES);
        for (line, name, file) in [
            ("a", "a", "a.png"),
            ("\u{feff}a", "a", "a.png"),
            ("  a \t\r", "a", "a.png"),
            ("a.png", "a", "a.png"),
            ("./a.png", "a", "a.png"),
            ("sub/../a", "a", "a.png"),
            ("a 1", "a", "a.png"),
            ("a  -1", "a", "a.png"),
            ("a.png 0", "a", "a.png"),
            ("\"a\" 1", "a", "a.png"),
            ("'a.png'", "a", "a.png"),
            ("b", "b", "b.JPG"),
            ("b.JPG", "b", "b.JPG"),
            ("c.v2", "c.v2", "c.v2.webp"),
            ("c.v2.webp 1", "c.v2", "c.v2.webp"),
            ("photo (1)", "photo (1)", "photo (1).jpg"),
            ("\"photo (1)\"", "photo (1)", "photo (1).jpg"),
            ("\"photo (1)\" 1", "photo (1)", "photo (1).jpg"),
            ("photo (1).jpg 1", "photo (1)", "photo (1).jpg"),
            // The whole line is a name here, and not a flag behind one.
            ("d 1", "d 1", "d 1.png"),
            ("d 1 1", "d 1", "d 1.png"),
            ("sub/e", "sub/e", "sub/e.jpeg"),
            ("JPEGImages/a.png", "a", "a.png"),
            ("./JPEGImages/sub/e 1", "sub/e", "sub/e.jpeg"),
        ] {
            let list = layout.lines(line.as_bytes(), "l.txt").unwrap();
            let found = &list.lines[0];
            assert_eq!(
                (&*found.name, found.picture.as_deref()),
                (name, Ok(file)),
                "{line}"
            );
        }
        let list = layout.lines(b"a 1\n\nb -1\r\nf\n", "l.txt").unwrap();
        assert_eq!(list.lines.len(), 3);
        assert_eq!(list.lines[2].place, "l.txt:4");
        let said: Vec<String> = list
            .remarks
            .iter()
            .map(|remark| format!("{}: {}", remark.origin, remark.message))
            .collect();
        assert!(
            said[0].contains("l.txt:4: f.jpg, f.png have this name; `f.jpg` is taken"),
            "{said:?}"
        );
        assert!(
            said[1].contains("l.txt: 1 line with the flag 0 or -1"),
            "{said:?}"
        );
    }

    #[test]
    fn a_line_that_names_nothing_is_shown() {
        let (_folder, layout) = layout(FILES);
        for line in [
            "gone 1",
            "notes",
            ".hidden",
            "photo",
            "\"a",
            "JPEGImages/gone",
        ] {
            let list = layout.lines(line.as_bytes(), "l.txt").unwrap();
            let reason = list.lines[0].picture.clone().unwrap_err();
            let shown = format!("the line `{line}` names no picture");
            assert!(
                reason.contains(&shown) && reason.contains("tiff"),
                "{reason}"
            );
        }
        for (line, file, name) in [
            ("a.jpg", "a.png", "a"),
            ("data/JPEGImages/a.png 1", "a.png", "a"),
            ("JPEGImages/a.png Annotations/a.xml", "a.png", "a"),
            ("a b", "a.png", "a"),
            ("a 2", "a.png", "a"),
        ] {
            let list = layout.lines(line.as_bytes(), "l.txt").unwrap();
            let reason = list.lines[0].picture.clone().unwrap_err();
            let right = format!(
                "the line `{line}` names no picture in `JPEGImages`: there is `{file}`, which is written as `{name}`"
            );
            assert_eq!(reason, right);
        }
        for (lines, message) in [
            (
                &b"a\nb\na.png 1\n"[..],
                "l.txt:3: `a` stands in line 1 already",
            ),
            (b"a\n../a\n", "l.txt:2: `../a` is not the name of a picture"),
            (b"/a\n", "l.txt:1: `/a` is not the name of a picture"),
            (b"a\n\xe4\n", "l.txt:2: the line is not UTF-8"),
            (b"\xff\xfea\0", "l.txt: not UTF-8 but UTF-16"),
            (b"\n \n", "l.txt: lists no picture"),
        ] {
            let error = layout.lines(lines, "l.txt").err().expect(message);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn a_list_that_is_missing_is_told_from_one_that_is_misspelt() {
        let (folder, layout) = layout(FILES);
        let sets = folder.path().join("ImageSets/Main");
        std::fs::create_dir_all(&sets).unwrap();
        std::fs::write(sets.join("default.txt"), "a\n").unwrap();
        let list = |name: &str, needed| layout.list("ImageSets/Main", name, "val", needed);
        assert!(list("val", None).unwrap().is_none());
        assert!(list("", None).unwrap().is_none());
        for error in [list("vla", None), list("train", Some("what is learnt"))] {
            let error = error.err().unwrap().to_string();
            assert!(
                error.contains("not found") && error.contains("has default.txt"),
                "{error}"
            );
        }
        assert_eq!(list("default", None).unwrap().unwrap().lines.len(), 1);
    }
}
