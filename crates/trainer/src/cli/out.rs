//! What a command may write: never over a file that it did not make itself, unless it is told to.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use firesight_data::decode::is_image;

use super::Usage;
use firesight::run_folder::RECIPE_FILE;

/// Looks at the place of a file before anything is computed. What stands there stays, unless `force` is given; what
/// the command reads stays in any case.
///
/// # Errors
/// A file that is there already, a folder, a folder above it that is not there, one of the `inputs`; each names the
/// option and the mend.
pub(super) fn claim(
    option: &str,
    path: &Path,
    force: bool,
    inputs: &[&Path],
) -> anyhow::Result<()> {
    let refuse = |what: &str| refuse(option, path, what);
    if path.file_name().is_none() {
        return refuse("this names no file");
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        return refuse(&format!("there is no folder {}", folder.display()));
    }
    if path.is_dir() {
        return refuse("there is a folder of that name; give the name of a file");
    }
    let sidecar = |input: &Path| PathBuf::from(format!("{}.json", input.display()));
    if (inputs.iter()).any(|input| same(input, path) || same(&sidecar(input), path)) {
        return refuse("this command reads the file; give another name");
    }
    if is_there(path) && is_of_a_run(&folder) {
        return refuse("the file belongs to a run; give another name");
    }
    if is_there(path) && !force {
        return refuse(
            "there is a file of that name; give another name, or add --force to write over it",
        );
    }
    Ok(())
}

/// As [`claim`], for a file that is no picture: one that is there stays in any case.
///
/// # Errors
/// Those of [`claim`], and a picture of that name.
pub(super) fn claim_text(
    option: &str,
    path: &Path,
    force: bool,
    inputs: &[&Path],
) -> anyhow::Result<()> {
    claim(option, path, force, inputs)?;
    match is_picture(path) {
        true => refuse(option, path, "the file is a picture; give another name"),
        false => Ok(()),
    }
}

/// Whether a file begins as those of pictures do.
fn is_picture(path: &Path) -> bool {
    let mut start = [0; 32];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.is_ok_and(|count| is_image(&start[..count]))
}

fn refuse(option: &str, path: &Path, what: &str) -> anyhow::Result<()> {
    Err(Usage(format!("{option} {}: {what}", path.display())).into())
}

/// The first of `name.ending`, `name-2.ending`, ... that is free, for a file that the person did not name.
pub(super) fn free(name: &str, ending: &str) -> PathBuf {
    let names = (1u64..).map(|number| match number {
        1 => PathBuf::from(format!("{name}.{ending}")),
        _ => PathBuf::from(format!("{name}-{number}.{ending}")),
    });
    let mut free = names.filter(|path| !is_there(path));
    free.next().expect("numbers do not end")
}

/// Whether anything has that name, a link to nowhere included.
pub(super) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether two paths lead to one file.
fn same(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// Whether a folder is that of a run or of a checkpoint, whose files are never written over.
fn is_of_a_run(folder: &Path) -> bool {
    folder.join("manifest.json").is_file()
        || (folder.join(RECIPE_FILE).is_file() && folder.join("checkpoints").is_dir())
}

/// The folder that a file lies in.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path, force: bool, inputs: &[&Path]) -> String {
        let error = claim("--out", path, force, inputs).unwrap_err();
        assert!(error.is::<Usage>());
        error.to_string()
    }

    #[test]
    fn what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (there, new) = (folder.path().join("a.png"), folder.path().join("b.png"));
        fs::write(&there, "kept").unwrap();
        assert!(claim("--out", &new, false, &[&there]).is_ok());
        assert!(claim("--out", &there, true, &[&new]).is_ok());
        assert!(refused(&there, false, &[]).contains("a.png: there is a file"));
        // An input stays even so, under whatever name it is given.
        let roundabout = folder
            .path()
            .join("../")
            .join(folder.path().file_name().unwrap());
        let roundabout = roundabout.join("a.png");
        assert!(refused(&roundabout, true, &[&there]).contains("reads the file"));
        assert!(refused(folder.path(), true, &[]).contains("there is a folder"));
        let nowhere = folder.path().join("nowhere/c.png");
        assert!(refused(&nowhere, true, &[]).contains("there is no folder"));
        assert!(refused(Path::new(".."), true, &[]).contains("names no file"));
    }

    /// What is written as text never takes the place of a picture.
    #[test]
    fn a_picture_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (picture, text) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
        fs::write(&picture, b"\x89PNG\r\n\x1a\n").unwrap();
        fs::write(&text, "origin,truth").unwrap();
        assert!(claim_text("--predictions", &text, true, &[]).is_ok());
        let error = claim_text("--predictions", &picture, true, &[]).unwrap_err();
        assert!(
            error.to_string().contains("the file is a picture"),
            "{error}"
        );
        assert!(claim_text("--predictions", &folder.path().join("c"), false, &[]).is_ok());
    }

    /// The files of a run stay whatever is said.
    #[test]
    fn a_run_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("checkpoints/step-3");
        fs::create_dir_all(&checkpoint).unwrap();
        let (recipe, weights) = (
            folder.path().join(RECIPE_FILE),
            checkpoint.join("model.safetensors"),
        );
        for file in [&recipe, &weights, &checkpoint.join("manifest.json")] {
            fs::write(file, "kept").unwrap();
        }
        for file in [&recipe, &weights] {
            assert!(refused(file, true, &[]).contains("belongs to a run"));
        }
        assert!(claim("--out", &folder.path().join("new.csv"), false, &[]).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nowhere_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link.png");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(refused(&link, false, &[]).contains("there is a file"));
    }
}
