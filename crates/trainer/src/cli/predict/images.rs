//! The images that were asked for: files by name, and what lies in folders.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use firesight_data::words::counted;

use super::STANDARD_INPUT;
use crate::cli::Usage;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// Files in the order in which they were named, those of a folder sorted.
    pub(super) files: Vec<PathBuf>,
    /// Hidden images that were passed over, such as the `._name.jpg` that a Mac leaves beside each picture.
    pub(super) hidden: usize,
    /// Folders that were passed over, since results are written there.
    pub(super) own: Vec<PathBuf>,
    /// Pipes and devices under the name of an image that were passed over.
    pub(super) special: Vec<PathBuf>,
}

/// The files that were named, and the images in the folders that were named, by these endings.
///
/// Folders are searched through and through, each once, however often links lead to it; hidden files and folders and
/// the folder of the results are left out.
///
/// # Errors
/// No image at all; a folder that is searched and is itself the folder of the results: what is an image to predict and
/// what is a result could not be told apart the next time.
pub(super) fn find(
    paths: &[PathBuf],
    endings: &[&str],
    out: Option<&Path>,
) -> anyhow::Result<Images> {
    let standard = paths.iter().filter(|path| is_standard_input(path)).count();
    if standard > 1 {
        return Err(Usage("-: standard input holds one image; give it once".into()).into());
    }
    let out = out.and_then(|folder| fs::canonicalize(folder).ok());
    let mut found = Images::default();
    for path in paths {
        if is_standard_input(path) || !path.is_dir() {
            if fs::metadata(path).is_ok_and(|about| !about.is_file()) && !is_standard_input(path) {
                let shown = path.display();
                let message = format!(
                    "{shown}: this is a pipe or a device, no file; give `-` and the image on standard input"
                );
                return Err(Usage(message).into());
            }
            // A file that is missing is reported when its turn comes, like one that is damaged.
            found.files.push(path.clone());
            continue;
        }
        let real = fs::canonicalize(path).with_context(|| format!("{}", path.display()))?;
        if out.as_ref() == Some(&real) {
            let shown = path.display();
            return Err(Usage(format!(
                "{shown}: this folder is searched for images, and results written into it would be taken for images the \
                 next time; give another folder with --out"
            ))
            .into());
        }
        let mut search = Search {
            endings,
            out: out.as_deref(),
            seen: HashSet::from([real]),
            found: &mut found,
        };
        search
            .folder(path)
            .with_context(|| format!("{}", path.display()))?;
    }
    if found.files.is_empty() {
        let named = paths.iter().map(|path| path.display().to_string());
        let named = named.collect::<Vec<_>>().join(", ");
        let mut out = Vec::new();
        if found.hidden > 0 {
            out.push(counted(found.hidden, "hidden file"));
        }
        if !found.special.is_empty() {
            let first = found.special[0].display();
            let count = found.special.len();
            out.push(format!(
                "pipes and devices, {count} of them, such as {first}"
            ));
        }
        let own = found.own.iter();
        out.extend(own.map(|own| format!("{}, where results go", own.display())));
        let out = match out.is_empty() {
            true => String::new(),
            false => format!(" (left out: {})", out.join("; ")),
        };
        let known = endings.join(", ");
        let message = format!("{named}: there are no images here{out}; known endings are {known}");
        return Err(Usage(message).into());
    }
    Ok(found)
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT
}

/// One folder's search.
struct Search<'a> {
    endings: &'a [&'a str],
    out: Option<&'a Path>,
    /// The folders on the way, without links.
    seen: HashSet<PathBuf>,
    found: &'a mut Images,
}

impl Search<'_> {
    fn folder(&mut self, folder: &Path) -> std::io::Result<()> {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
            .map(|entry| entry.map(|e| e.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        for path in entries {
            let hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            match fs::metadata(&path) {
                Ok(about) if about.is_dir() => {
                    if hidden {
                        continue;
                    }
                    let real = fs::canonicalize(&path)?;
                    if self.out.is_some_and(|out| real.starts_with(out)) {
                        self.found.own.push(path);
                    } else if self.seen.insert(real) {
                        self.folder(&path)?;
                    }
                }
                // A pipe or a device would wait for ever.
                Ok(about) if !about.is_file() && self.is_image(&path) => {
                    self.found.special.push(path)
                }
                Ok(about) if !about.is_file() => {}
                // A link that leads nowhere is reported when its turn comes.
                _ if self.is_image(&path) => match hidden {
                    true => self.found.hidden += 1,
                    false => self.found.files.push(path),
                },
                _ => {}
            }
        }
        Ok(())
    }

    fn is_image(&self, path: &Path) -> bool {
        let known = |ending: &std::ffi::OsStr| {
            let mut endings = self.endings.iter();
            endings.any(|known| ending.eq_ignore_ascii_case(known))
        };
        path.extension().is_some_and(known)
    }
}

#[cfg(test)]
mod tests {
    use firesight_data::decode::EXTENSIONS;

    use super::*;

    fn find(paths: &[PathBuf], out: Option<&Path>) -> anyhow::Result<Images> {
        super::find(paths, &EXTENSIONS, out)
    }

    /// A folder with these files.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(found: &Images, root: &Path) -> Vec<String> {
        let name = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        found.files.iter().map(name).collect()
    }

    #[test]
    fn hidden_files_and_the_results_are_left_out() {
        let files = [
            "b.PNG",
            "a.jpg",
            "._a.jpg",
            ".git/x.png",
            "sub/c.webp",
            "out/a.png",
            "a.txt",
        ];
        let folder = folder(&files);
        let root = folder.path();
        let found = find(&[root.into()], Some(&root.join("out"))).unwrap();
        assert_eq!(names(&found, root), ["a.jpg", "b.PNG", "sub/c.webp"]);
        assert_eq!((found.hidden, found.own.len()), (1, 1));
        // By name, everything can be had.
        let found = find(&[root.join("._a.jpg")], None).unwrap();
        assert_eq!(found.files.len(), 1);
        let error = find(&[root.join(".git")], Some(&root.join("out"))).unwrap();
        assert_eq!(names(&error, root), [".git/x.png"]);
    }

    #[test]
    fn a_folder_of_images_is_no_folder_of_results() {
        let folder = folder(&["in/a.png", "none/x.txt"]);
        let root = folder.path();
        let find_in = |out: &str| find(&[root.join("in")], Some(&root.join(out)));
        let error = find_in("none/../in").unwrap_err();
        assert!(error.to_string().contains("--out"), "{error}");
        assert!(find_in(".").is_ok() && find_in("new").is_ok());
        let error = find(&[root.join("none")], None).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("no images"));
        assert!(find(&["-".into(), "-".into()], None).is_err());
        // Nothing but the folder of the results.
        let error = find(&[root.into()], Some(&root.join("in"))).unwrap_err();
        let said = format!("(left out: {}/in, where results go)", root.display());
        assert!(error.to_string().contains(&said), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_end() {
        use std::os::unix::fs::symlink;
        let folder = folder(&["in/a.png", "in/sub/b.png"]);
        let root = folder.path();
        symlink("..", root.join("in/sub/up")).unwrap();
        symlink("../in", root.join("in/self")).unwrap();
        symlink("nowhere.png", root.join("in/lost.png")).unwrap();
        let found = find(&[root.join("in")], None).unwrap();
        assert_eq!(
            names(&found, root),
            ["in/a.png", "in/lost.png", "in/sub/b.png"]
        );
    }
}
