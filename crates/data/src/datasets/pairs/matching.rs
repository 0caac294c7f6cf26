//! Which mask belongs to which image, by the names of the files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::decode::EXTENSIONS;
use crate::error::DataError;
use crate::source::Remark;

/// The endings of formats that keep the numbers of a mask.
const OF_MASKS: [&str; 4] = ["png", "tif", "tiff", "bmp"];

/// An image and its mask.
pub(super) struct Pair {
    pub image: PathBuf,
    pub mask: PathBuf,
    /// Why they cannot be a pair, if they cannot.
    pub fault: Option<String>,
}

/// A file by its name without the ending.
type Named = (String, PathBuf);

/// The images of one folder with the masks of another, in the order of their numbers, and what was noticed.
///
/// # Errors
/// A folder that is not there, holds no image, or whose images and masks cannot be told apart.
pub(super) fn pairs(
    root: &Path,
    [images, masks]: [&Path; 2],
    suffix: &str,
    endings: &[&str],
) -> Result<(Vec<Pair>, Vec<Remark>), DataError> {
    let mut remarks = Vec::new();
    let (mut pictures, labels) = match is_same(images, masks) {
        true => apart(root, images, suffix, endings, &mut remarks)?,
        false => {
            let pictures = list(root, images, endings, &mut remarks)?;
            (pictures, list(root, masks, &EXTENSIONS, &mut remarks)?)
        }
    };
    if pictures.is_empty() {
        return Err(DataError::Missing {
            path: images.to_path_buf(),
            hint: none_in(images, endings),
        });
    }
    pictures.sort_by_cached_key(|(stem, path)| (natural(stem), path.clone()));
    let mut by_stem: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (stem, path) in labels {
        by_stem.entry(stem).or_default().push(path);
    }
    let mut sharing: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
    for (stem, path) in &pictures {
        sharing.entry(stem).or_default().push(path);
    }
    let expected: BTreeSet<String> = pictures
        .iter()
        .map(|(stem, _)| format!("{stem}{suffix}"))
        .collect();
    // What no image lays claim to.
    let free: Vec<(&String, &Path)> = by_stem
        .iter()
        .filter(|(name, _)| !expected.contains(*name))
        .map(|(name, paths)| (name, &*paths[0]))
        .collect();
    let mut found = Vec::with_capacity(pictures.len());
    for (stem, image) in &pictures {
        let name = format!("{stem}{suffix}");
        let others = sharing[stem.as_str()].iter().filter(|path| *path != image);
        let others: Vec<String> = others.map(|path| shown(root, path)).collect();
        let mut fault = (!others.is_empty()).then(|| {
            format!(
                "it would share its mask with {}; give each image a name of its own",
                others.join(", ")
            )
        });
        // A mask that is missing is found when the pair is read, so that a scan lists all of them.
        let mask = match by_stem.get(&name).map(Vec::as_slice) {
            Some([mask]) => mask.clone(),
            Some(several) => {
                let several: Vec<String> = several.iter().map(|path| shown(root, path)).collect();
                fault.get_or_insert_with(|| {
                    format!(
                        "it has {} masks, {}; keep one",
                        several.len(),
                        several.join(" and ")
                    )
                });
                masks.join(format!("{name}.png"))
            }
            None => {
                if let Some(near) = near(root, &free, stem, &name) {
                    let missing = shown(root, &masks.join(format!("{name}.png")));
                    fault.get_or_insert_with(|| format!("its mask {missing} is not there; {near}"));
                }
                masks.join(format!("{name}.png"))
            }
        };
        found.push(Pair {
            image: image.clone(),
            mask,
            fault,
        });
    }
    by_stem.retain(|name, _| !expected.contains(name));
    let alone = by_stem.into_values().flatten();
    remarks.extend(
        alone.map(|path| Remark::new(shown(root, &path), "a mask without an image, left out")),
    );
    Ok((found, remarks))
}

/// A path relative to the root, with `/` on every platform.
pub(super) fn shown(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    let parts = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

/// What a mask that is missing may be called instead.
fn near(root: &Path, masks: &[(&String, &Path)], stem: &str, name: &str) -> Option<String> {
    let other_case = |(other, _): &&(&String, &Path)| other.to_lowercase() == name.to_lowercase();
    if let Some((_, path)) = masks.iter().find(other_case) {
        return Some(format!("{} differs in case", shown(root, path)));
    }
    let (rest, path) = masks.iter().find_map(|(other, path)| {
        let rest = other.strip_prefix(stem)?;
        rest.starts_with(|letter: char| !letter.is_alphanumeric())
            .then_some((rest, path))
    })?;
    let path = shown(root, path);
    Some(format!("is it {path}? then set `mask-suffix = \"{rest}\"`"))
}

/// Whether two paths lead to one folder.
fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// The images and the masks of one folder.
fn apart(
    root: &Path,
    folder: &Path,
    suffix: &str,
    endings: &[&str],
    remarks: &mut Vec<Remark>,
) -> Result<(Vec<Named>, Vec<Named>), DataError> {
    let files = list(root, folder, endings, remarks)?;
    if !suffix.is_empty() {
        let stems: Vec<String> = files.iter().map(|(stem, _)| stem.clone()).collect();
        // `7_mask` is an image where there is a `7_mask_mask`.
        let is_mask = |(stem, _): &Named| {
            stem.ends_with(suffix) && stems.binary_search(&format!("{stem}{suffix}")).is_err()
        };
        let (masks, images) = files.into_iter().partition(is_mask);
        return Ok((images, masks));
    }
    let is_mask = |(_, path): &Named| OF_MASKS.contains(&&*ending(path));
    let (masks, images): (Vec<Named>, Vec<Named>) = files.into_iter().partition(is_mask);
    if images.is_empty() && !masks.is_empty() {
        return Err(DataError::unreadable(
            folder.display().to_string(),
            "images and masks are to lie in this one folder, and nothing tells them apart: every file would be its \
             own mask; set `mask-suffix`, or put them into two folders",
        ));
    }
    if !images.is_empty() {
        remarks.push(Remark::new(
            shown(root, folder),
            format!(
                "one folder for images and masks: its {} JPEG, WebP and GIF files are taken for images, its {} PNG, \
                 TIFF and BMP files for masks",
                images.len(),
                masks.len()
            ),
        ));
    }
    Ok((images, masks))
}

/// The image files of a folder with their names without endings, sorted; what else lies there is remarked on.
fn list(
    root: &Path,
    folder: &Path,
    endings: &[&str],
    remarks: &mut Vec<Remark>,
) -> Result<Vec<Named>, DataError> {
    if !folder.is_dir() {
        return Err(DataError::Missing {
            path: folder.to_path_buf(),
            hint: "expected a folder of image files".into(),
        });
    }
    let fault = |error| DataError::io(folder, "list", error);
    let mut found = Vec::new();
    let mut others = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() || !endings.contains(&&*ending(&path)) {
            others.push(if path.is_dir() {
                format!("{name}/")
            } else {
                name
            });
            continue;
        }
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        found.push((stem, path));
    }
    found.sort();
    others.sort();
    if let Some(first) = others.first() {
        let message = match others.len() {
            1 => format!("`{first}` in it is no image file, left out"),
            count => {
                format!("{count} entries in it are no image files, left out: `{first}` and others")
            }
        };
        remarks.push(Remark::new(shown(root, folder), message));
    }
    Ok(found)
}

/// Why a folder may hold no image.
fn none_in(folder: &Path, endings: &[&str]) -> String {
    let known = endings.join(", ");
    let inner = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<String> = inner
        .filter(|entry| entry.path().is_dir())
        .map(|entry| format!("`{}`", entry.file_name().to_string_lossy()))
        .collect();
    folders.sort();
    match folders.is_empty() {
        true => format!("no images in it (known endings: {known})"),
        false => format!(
            "no images in it, but the folders {}; give the one that the images lie in",
            folders.join(", ")
        ),
    }
}

/// The ending of a file's name, in lower case.
fn ending(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default();
    ending.to_string_lossy().to_lowercase()
}

/// A name cut into text and numbers, so that `2` comes before `10`.
fn natural(name: &str) -> Vec<(String, u128)> {
    let mut parts: Vec<(String, u128)> = vec![(String::new(), 0)];
    let mut digits = false;
    for letter in name.chars() {
        match letter.to_digit(10) {
            Some(digit) => {
                let last = parts.last_mut().map(|(_, number)| number);
                if let Some(number) = last {
                    *number = number.saturating_mul(10).saturating_add(u128::from(digit));
                }
                digits = true;
            }
            None => {
                if std::mem::take(&mut digits) {
                    parts.push((String::new(), 0));
                }
                if let Some((text, _)) = parts.last_mut() {
                    text.push(letter);
                }
            }
        }
    }
    parts
}
